"""The page of conformance: public implementations under the laws, from the results and notes of `make conformance`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from sightline.core.yaml12 import parse_yaml, read_yaml
from sightline.testing.foreign import FOREIGN_LAWS
from sightline.testing.foreign.subject import POSITIONS, ROWS

CONFORMANCE = Path(__file__).parent.parent / "conformance"
NO_REPORT = "no report found"
_LINK = re.compile(r"https://[^ ]+")
OUTCOMES = {"holds": "✓", "violated": "✗", "refused": "!", "not offered": "–"}
HEAD = """\
# Conformance

Which public implementations obey the [laws on other modules](foreign.md), and where they do not: {subjects} subjects of
{packages} packages, {laws} laws, {cells} cells. Generated from `conformance/results` and `conformance/notes`.

## How it was measured

Each subject is a small adapter in `conformance/subjects`: a tiny model with random weights, called as the documentation
of its library shows, in evaluation mode on a CPU. Options are subjects of their own. Versions are pinned, and each list
of requirements has an environment of its own; all use torch {torch}. `make conformance` repeats it.

A cell has one of four words; the mark is that of the tables below.

- **{holds} holds**: the largest difference is within the tolerance.
- **{violated} violated**: it is not. The size is the largest difference, relative to the largest expected value.
  Outputs that are not finite, or have another shape, count as infinite.
- **{refused} refused**: the call raised an error. An error is not a wrong number.
- **{not_offered} not offered**: the documentation has no such thing, or the law has no meaning for the subject.

How each cell was checked:

- Every file was run twice, in two processes. A difference in one digit would fail the run.
- The control, a plain call twice and of a second module of the same seed, holds for every subject.
- A fault was planted in every subject: its state lacks the last token of every call. Where there is no state, or no law
  is left that could see that, outputs have a tenth of those of the row before, or grow from call to call. For every
  subject a law that holds without the fault was violated with it.
- For each cause below, a violation was reproduced without the harness, the cause was read in the source of that
  version, and the tracker of the library was searched for a report. Where a valid call gives wrong numbers without an
  error, a script in `findings/` shows it without sightline.

## What the cells do not say

- Nothing about accuracy, speed or how a model trains, and nothing about an option that is not named.
- Weights are random and models tiny: a difference of 1e-3 here can be larger or smaller in a trained model.
- *Holds* is a statement about random inputs of {positions} positions and {rows} rows in evaluation mode, not a proof.
  Kernels that compute by blocks of 16 or more positions are judged in their first block, unless an option of the
  subject makes blocks shorter.
- A cache that is updated in place is a design: *state is a value* is then *not offered*.
- Not to obey a law can be a decision of the authors. The notes say what is documented.
- Counts of two packages cannot be compared: a law that has no meaning for a subject counts as *not offered*.
- An adapter can be wrong. Each is one file of `conformance/subjects`: please open an issue of this project.

## Which laws matter to you

| you want to | read these laws |
|---|---|
| generate text, one prompt at a time | *steps*, *prompt, then steps* |
| generate for a batch of prompts | *rows*, *left padding*, *padded prompt, then steps*; for beams *selected rows* |
| feed a long or endless input in pieces | *chunks 5 + 8*, *chunks 5 + 1 + 7*, *two in turn*, *fork* |
| train with a state carried from batch to batch | *chunks 5 + 8*, *gradients through the state* |
| train or embed texts of different lengths | *right padding* or *left padding*, *content under the mask*, *rows* |
| train on documents packed in a row | *documents* |
"""


class Note(NamedTuple):
    """What is known of violated cells, or refused ones: of each of these subjects under each of these laws."""

    subjects: list[str]
    laws: list[str]
    cause: str
    instead: str
    reported: str
    finding: str = ""
    checked: str = ""


def load_results(folder: Path = CONFORMANCE / "results") -> dict[str, dict[str, Any]]:
    """The results of every file of subjects, by its name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def load_notes(folder: Path = CONFORMANCE / "notes") -> list[Note]:
    """The notes of all files, in the order of their names."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    return [Note(**one) for text in texts for one in parse_yaml(f"notes:\n{text}")["notes"] or []]


def conformance_page() -> str:
    """The page in Markdown."""
    reports = [report for one in load_results().values() for report in one["subjects"]]
    lines = [_head(reports), *_overview(reports), *_violations(reports), *_subjects(reports), *_not_judged()]
    return "\n".join(lines) + "\n"


def _head(reports: list[dict[str, Any]]) -> str:
    torch = {one["torch"].partition("+")[0] for one in load_results().values()}
    return HEAD.format(
        subjects=len(reports),
        packages=len({report["package"] for report in reports}),
        laws=len(FOREIGN_LAWS),
        cells=f"{sum(len(report['cells']) for report in reports):,}",
        torch=" and ".join(sorted(torch)),
        positions=POSITIONS,
        rows=ROWS,
        **{word.replace(" ", "_"): mark for word, mark in OUTCOMES.items()},
    )


def _packages(reports: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Subjects by package and version, in the order of names."""
    packages: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for report in reports:
        packages.setdefault((report["package"], report["version"].partition("+")[0]), []).append(report)
    return dict(sorted(packages.items()))


def _of(report: dict[str, Any], outcome: str) -> list[dict[str, Any]]:
    return [cell for cell in report["cells"] if cell["outcome"] == outcome]


def _overview(reports: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("## Packages", "", "In the order of their names. Numbers are cells.", "")
    yield "| package | version | subjects | holds | violated | refused | not offered |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for (package, version), own in _packages(reports).items():
        counts = (str(sum(len(_of(report, outcome)) for report in own)) for outcome in OUTCOMES)
        yield f"| [{package}](#{_anchor(package)}) | {version} | {len(own)} | {' | '.join(counts)} |"


def _violations(reports: list[dict[str, Any]]) -> Iterator[str]:
    """A section per note: first those with a finding, each part in the order of packages."""
    by_name = {report["subject"]: report for report in reports}
    notes = sorted(load_notes(), key=lambda note: by_name[note.subjects[0]]["package"])
    yield from ("", "## Wrong numbers without an error", "")
    yield "Violations of valid calls. Each with its size, its cause, what to do instead, and whether it was reported."
    yield "Positions are counted from 0, from the first output that is compared."
    for note in notes:
        if note.finding:
            yield from _section(note, by_name)
    yield from ("", "## Other violations, and refusals that need a word", "")
    yield "Calls that the documentation does not speak of, such as one of no positions or NaN under a mask, and errors"
    yield "that do not say why."
    for note in notes:
        if not note.finding:
            yield from _section(note, by_name)


def _section(note: Note, by_name: dict[str, dict[str, Any]]) -> Iterator[str]:
    title = f"{by_name[note.subjects[0]]['package']}: {_listed(note.subjects, 1)}: {_listed(note.laws, 1)}"
    yield from ("", f"### {_text(title)}", "")
    for subject in note.subjects:
        cells = {cell["law"]: cell for cell in by_name[subject]["cells"]}
        yield f"- {_text(subject)}: {'; '.join(f'*{law}* {_size(cells[law])}' for law in note.laws)}."
    yield from ("", f"**Cause.** {note.cause.strip()}", "", f"**Instead.** {note.instead.strip()}", "")
    reported = note.reported.strip()
    if reported.startswith(NO_REPORT):
        yield f"**Not reported**, as far as was found{reported.removeprefix(NO_REPORT)}."
    else:
        yield f"**Reported.** {_LINK.sub(_linked, reported)}."
    yield from ("", f"**Checked.** {_checked(note)}")


def _linked(found: re.Match[str]) -> str:
    return f"<{found[0]}>"


def _checked(note: Note) -> str:
    ways = ["Two runs of the suite"]
    if note.finding:
        ways.append(f"`findings/{note.finding}.sh`, without sightline")
    if note.checked:
        ways.append(note.checked.strip().rstrip("."))
    return "; ".join(ways) + "."


def _size(cell: dict[str, Any]) -> str:
    """The size of a violation and where it begins: `0.23 from position 5`; or that a call is refused."""
    if cell["outcome"] == "refused":
        return f"refused ({_text(cell['detail'])})"
    infinite = f"inf ({cell['detail']})" if cell["detail"] else "inf"
    size = infinite if cell["error"] is None else f"{cell['error']:.2g}"
    return size if cell["position"] is None else f"{size} from position {cell['position']}"


def _subjects(reports: list[dict[str, Any]]) -> Iterator[str]:
    """For each package a table in words, and every cell as a mark."""
    yield from ("", "## Subjects")
    for (package, version), own in _packages(reports).items():
        yield from ("", f"### {package}", "", f"Version {version}.", "")
        yield "| subject | violated or refused | holds | not offered |"
        yield "|---|---|--:|--:|"
        for report in own:
            numbers = [str(len(_of(report, word))) for word in ("holds", "not offered")]
            yield f"| {' | '.join([_text(report['subject']), _not_obeyed(report), *numbers])} |"
        yield from ("", *_errors(own), *_matrix(package, own))


def _not_obeyed(report: dict[str, Any]) -> str:
    """The laws that a subject violates, and those whose calls it refuses."""
    named = {word: "; ".join(cell["law"] for cell in _of(report, word)) for word in ("violated", "refused")}
    return "<br>".join(f"**{word}**: {laws}" for word, laws in named.items() if laws) or "none"


def _errors(own: list[dict[str, Any]]) -> Iterator[str]:
    """What was refused, and with which error."""
    refusals: dict[str, list[str]] = {}
    for report in own:
        for cell in _of(report, "refused"):
            refusals.setdefault(cell["detail"], []).append(f"{report['subject']}: {cell['law']}")
    if refusals:
        yield from ('<details class="cells"><summary>Errors of refused calls</summary>', "<ul>")
        for detail, cells in refusals.items():
            yield f"<li><code>{escape(detail)}</code><br>{escape(_listed(cells, 4))}</li>"
        yield from ("</ul></details>", "")


def _matrix(package: str, own: list[dict[str, Any]]) -> Iterator[str]:
    legend = ", ".join(f"{mark} {word}" for word, mark in OUTCOMES.items())
    yield f'<details class="cells"><summary>All cells of {escape(package)}</summary>'
    yield f"<p>{legend}. {', '.join(f'{number} {escape(law)}' for number, law in enumerate(FOREIGN_LAWS, 1))}.</p>"
    yield '<div class="table-wrapper"><table class="matrix"><thead><tr><th scope="col">subject</th>'
    yield from (
        f'<th scope="col"><abbr title="{escape(law)}">{number}</abbr></th>'
        for number, law in enumerate(FOREIGN_LAWS, 1)
    )
    yield "</tr></thead><tbody>"
    for report in own:
        words = {cell["law"]: cell["outcome"] for cell in report["cells"]}
        cells = "".join(_mark(law, words[law]) for law in FOREIGN_LAWS)
        yield f'<tr><th scope="row">{escape(report["subject"])}</th>{cells}</tr>'
    yield from ("</tbody></table></div></details>", "")


def _mark(law: str, word: str) -> str:
    about = f' class="{word}" title="{escape(law)}: {word}"' if word in ("violated", "refused") else ""
    return f"<td{about}>{OUTCOMES[word]}</td>"


def _not_judged() -> Iterator[str]:
    path = CONFORMANCE / "not_judged.yaml"
    yield from ("", "## Not judged", "", "Packages that were considered and have no row, and why.", "")
    yield from ("| package | why |", "|---|---|")
    for package, reason in read_yaml(path).items():
        yield f"| {package} | {_text(reason)} |"


def _listed(names: list[str], most: int) -> str:
    return "; ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _text(text: str) -> str:
    """For a cell of a table, or a heading."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _anchor(title: str) -> str:
    return title.lower()
