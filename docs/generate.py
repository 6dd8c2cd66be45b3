"""Write what follows from tables (pages, keys, names of architectures in `--help`) and results (performance.md).

Run `python docs/generate.py` after a change; a test compares the files with the output of this script.
"""

from __future__ import annotations

import io
import json
import sys
import textwrap
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rich.console import Console

from sightline.cli.app import COMMANDS, build
from sightline.core.front_end import KINDS_IN_WORDS
from sightline.core.settings import Key, describe_keys, keys_of
from sightline.export import FORMATS
from sightline.lab.claims.results import ClaimsResults
from sightline.parts.front_end_choice import FrontEndChoice
from sightline.parts.front_ends import FRONT_ENDS, front_ends_for
from sightline.tasks.defaults import compared
from sightline.tasks.run import RunConfig
from sightline.tasks.table import TASKS

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "benchmarks")]
from conformance_page import conformance_page  # noqa: E402
from distributed_page import distributed_page, load_training  # noqa: E402
from models_pages import architectures, autodoc, mechanisms  # noqa: E402
from rungs_page import rungs_page  # noqa: E402
from scale_page import FIGURES as SCALE_FIGURES  # noqa: E402
from scale_page import draw_scale, load_scale, scale_page  # noqa: E402

from claims_page import FIGURES as CLAIMS_FIGURES  # noqa: E402
from claims_page import claims_page, draw_claims  # noqa: E402
from decoding_page import decoding_section, load_decoding  # noqa: E402
from export_table import EQUAL  # noqa: E402
from memory_page import load_memory, memory_section  # noqa: E402
from performance_figures import draw_figures, figures  # noqa: E402
from performance_page import load_results, performance_page, rows_of  # noqa: E402
from study_page import load_lines, study_page  # noqa: E402
from tests.formats.cases import all_cases, versions  # noqa: E402
from training_page import load_trainings  # noqa: E402
from translation_page import load_translations, translation_section  # noqa: E402

RESULTS, FIGURES = HERE.parent / "benchmarks" / "results", HERE / "figures"

FORMATS_HEAD = """\
# Files that are read

Every file of this table was written by the named tool and is read by a test, which compares every item. The files are
in `tests/formats/files`; `make formats` writes them again. Several files are joined by commas, as in `a.de,a.en`."""

FRONT_ENDS_HEAD = """\
# Front ends

A front end turns the input of a model into vectors. Each kind of input has a usual one. `--front-end NAME` chooses
another, and `--front-end.KEY` sets its own keys:

```text
sightline train --data reviews.csv --arch lstm \\
    --front-end character_cnn --front-end.filters 25
```

In a file it is a section: `front_end: {name: character_cnn, filters: 25}`. A front end takes other values from the data
and from the section for its kind of input: `patches` has the patch of `--picture.patch`. Of several sources the choice
holds for those that it reads. A language model reads what it wrote, so that it takes front ends for tokens only, and
only those whose positions do not mix. Linear forecasters and autoregressive decoding read the values themselves.

This page is generated from the table `FRONT_ENDS` of `sightline.parts.front_ends`. Every front end obeys the laws of
`sightline.testing.check_front_end`.

| name | reads | tasks |
|---|---|---|"""

COMMANDS_HEAD = """\
# Commands

This page is generated from the commands' `--help`. Results go to standard output, progress and messages to standard
error; `--json` prints one object with `schema_version`. The [quick start](quickstart.md) lists the exit statuses.
"""

ARCHITECTURE_NAMES_HEAD = '''\
"""The names of all architectures by task, written by docs/generate.py for what does not import torch."""

from __future__ import annotations

ARCHITECTURES_OF = {'''


EXPORT_NAMES_HEAD = '''\
"""The formats of `sightline export`, written by docs/generate.py so that `--help` need not import torch."""

from __future__ import annotations
'''
EXPORT_NAMES_END = """\
TO_HELP = "Format: " + "; ".join(f"{name} ({summary})" for name, summary in EXPORTS.items()) + "."
"""
EXPORTS_HEAD = """\
# Which models can be exported

This page is generated from `benchmarks/results/export-*.json`, which `make export-table` writes: it exports a small
untrained model of every architecture of every task. "equal": the exported program gave what the model gives, for
several sizes of batches and lengths, an empty row among them. A number is that of the reason of a refusal, which
`sightline export` prints too. [Exporting models](export.md) describes the formats."""
EXPORTED_BY_ALL = """\
Every architecture of every task: all settings and tensors are read back as they were (`tests/export/test_hub.py`)."""


def front_ends() -> str:
    """The page of the front ends that tasks choose from, from `FRONT_ENDS`."""
    lines, reads = [FRONT_ENDS_HEAD], {name: task.Run().settings.reads for name, task in TASKS.items()}
    chosen = {name: FRONT_ENDS[name] for name in front_ends_for({kind for own in reads.values() for kind in own})}
    for name, config in chosen.items():
        tasks = ", ".join(task for task, own in reads.items() if config.accepts in own)
        lines.append(f"| [`{name}`](#{name.replace('_', '-')}) | {KINDS_IN_WORDS[config.accepts]} | {tasks} |")
    for name, config in chosen.items():
        lines += ["", f"## {name}", ""]
        built = dict.fromkeys(type(example.build(12)) for example in config.examples())
        for cls in (config, *built):
            lines += [autodoc(cls), ""]
        rows = [row for row in describe_keys(type(FrontEndChoice.named(name))) if row.name != "name"]
        own = key_table(row._replace(name=f"front_end.{row.name}") for row in rows)
        lines += own if rows else ["It has no keys of its own."]
    return "\n".join(lines) + "\n"


def key_table(rows: Iterable[Key]) -> list[str]:
    """Keys of a configuration as a table; a section's own row is left out."""
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        if row.type != "section":
            values = f"{row.type}, {row.allowed}" if row.allowed else row.type
            cells = (f"`{row.name}`", values, f"`{row.default}`" if row.default else "", row.description)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def part(row: Key, run: RunConfig) -> str:
    """Which part of a run a key belongs to: corpus, settings, training; nothing for those of the run itself."""
    name = row.name.partition(".")[0]
    return next((one for one in ("corpus", "settings", "training") if name in keys_of(type(getattr(run, one)))), "")


def group(row: Key, run: RunConfig) -> str:
    """The heading that a key has in `--help`."""
    name = row.name.partition(".")[0]
    if name in ("arch", "model", "match"):
        return "Model"
    headings = {"corpus": "Data", "settings": "Inputs, loss and evaluation"}
    return headings.get(part(row, run), "Training")


def common_keys() -> str:
    """The keys that every task has, for the page of tasks."""
    run = TASKS["translation"].preset("transformer")
    rows = (row for row in describe_keys(type(run), run) if part(row, run) in ("training", ""))
    return "\n".join(key_table(rows)) + "\n"


def task_keys(name: str) -> str:
    """The architectures of one task and its own keys, for its page."""
    task, by_default = TASKS[name], compared(name)
    run = task.preset(by_default[-1])
    rows = [row for row in describe_keys(type(run), run) if row.name.partition(".")[0] not in ("arch", "model")]
    listed = ", ".join(f"`{known}`" for known in task.architectures())
    lines = [
        f"`--arch` chooses one of {listed}. `compare` takes {', '.join(f'`{one}`' for one in by_default)} by default.",
        "",
        "## Keys of the data",
        "",
        *key_table(row for row in rows if part(row, run) == "corpus"),
        "",
        "## Keys of the model, the loss and the evaluation",
        "",
        f"Defaults are those of `{by_default[-1]}`. The keys `model.…` depend on the architecture: see",
        "[Architectures](../architectures.md). Training has the [keys of every task](../tasks/index.md), whose",
        "defaults depend on task and architecture:",
        f"`sightline train --task {name} --arch ARCH --print-config` prints them.",
        "",
        *key_table(row for row in rows if part(row, run) == "settings"),
    ]
    return "\n".join(lines) + "\n"


def help_keys() -> str:
    """The keys of every task as `--help` lists them."""
    tables = {}
    for name, task in TASKS.items():
        run = task.preset(compared(name)[-1])
        order = ["Data", "Model", "Inputs, loss and evaluation", "Training"]
        rows = sorted(describe_keys(type(run), run), key=lambda row: order.index(group(row, run)))
        tables[name] = [
            {
                "group": group(row, run),
                "name": row.name,
                "values": f"{row.type}, {row.allowed}" if row.allowed else row.type,
                "default": "" if row.name == "arch" else row.default or "",  # by the data, see ARCH_HELP
                "description": row.description,
            }
            for row in rows
            if row.type != "section"
        ]
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"


def commands() -> str:
    """The command reference, from the help of every command."""
    lines = [COMMANDS_HEAD, "```text", help_of(), "```"]
    app = build()
    for verb in COMMANDS:
        nested = [name for name in app[verb] if not name.startswith("-")]
        for path in [[verb], *([verb, name] for name in nested)]:
            lines += ["", f"## sightline {' '.join(path)}", "", "```text", help_of(*path), "```"]
    return "\n".join(lines) + "\n"


def help_of(*path: str) -> str:
    """The help of a command, 80 columns wide."""
    out, app = io.StringIO(), build(path)
    app.console = Console(file=out, width=80, color_system=None)
    app([*path, "--help"])
    lines = [line.rstrip() for line in out.getvalue().partition("\nExit status:")[0].strip().splitlines()]
    return "\n".join(lines)


def architecture_names() -> str:
    """The module with the names of all architectures, for the help and for errors that need no torch."""
    lines = [ARCHITECTURE_NAMES_HEAD]
    for task, kind in TASKS.items():
        listed = ", ".join(f'"{name}"' for name in kind.architectures()) + ","
        names = textwrap.indent(textwrap.fill(listed, 112, break_on_hyphens=False), " " * 8)
        lines += [f'    "{task}": (', names, "    ),"]
    return "\n".join([*lines, "}  # fmt: skip\n"])


def export_names() -> str:
    """The module with the formats of `sightline export`, for the help."""
    lines = [EXPORT_NAMES_HEAD, "EXPORTS = {"]
    lines += [f"    {json.dumps(name)}: {json.dumps(form.summary.rstrip('.'))}," for name, form in FORMATS.items()]
    return "\n".join([*lines, "}", EXPORT_NAMES_END])


def exports() -> str:
    """The page of the architectures that have an export, from the outcomes of benchmarks/export_table.py."""
    lines = [EXPORTS_HEAD]
    for name, form in FORMATS.items():
        path = RESULTS / f"export-{name}.json"
        rows = export_rows(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else [EXPORTED_BY_ALL]
        lines += [f"\n## {name}: {form.summary.rstrip('.')}\n", *rows]
    return "\n".join(lines) + "\n"


def export_rows(outcomes: dict[str, dict[str, str]]) -> list[str]:
    """A table of outcomes, tasks by architectures, and the reasons of the refusals under it."""
    reasons = dict.fromkeys(one for of_task in outcomes.values() for one in of_task.values() if one != EQUAL)
    numbers = {reason: str(number) for number, reason in enumerate(reasons, 1)} | {EQUAL: "equal"}
    tasks = [name for name in TASKS if name in outcomes]
    archs = dict.fromkeys(arch for name in tasks for arch in TASKS[name].architectures())
    lines = [f"| architecture | {' | '.join(tasks)} |", f"|---|{'---|' * len(tasks)}"]
    for arch in archs:
        cells = [numbers.get(outcomes[name].get(arch, ""), " ") for name in tasks]
        lines.append(f"| {arch} | {' | '.join(cells)} |")
    return [*lines, "", *(f"{number}. {reason}" for reason, number in numbers.items() if reason != EQUAL)]


def formats() -> str:
    """The page of files by task: who wrote them, their format, and the flags that read them."""
    lines, tools = [FORMATS_HEAD], versions()
    for task in TASKS:
        cases = [case for case in all_cases() if case.task == task]
        if cases:
            lines += ["", f"## [{task}](tasks/{task}.md)", "", "| written by | format | flags |", "|---|---|---|"]
            lines += [f"| {tools[case.tool]} | {case.kind} | {case.flags} |" for case in cases]
    return "\n".join(lines) + "\n"


def performance() -> str:
    """The page of benchmarks, from the files of `make bench` and of the other targets that begin with `bench-`."""
    reports = load_results(RESULTS)
    drawings = figures(rows_of(reports))
    shown = [(f"{FIGURES.name}/{name}.svg", text) for name, (text, _) in drawings.items()]
    page = performance_page(reports, shown, load_trainings(RESULTS))
    sections = (
        translation_section(load_translations(RESULTS)),
        memory_section(load_memory(RESULTS)),
        decoding_section(load_decoding(RESULTS)),
    )
    return "\n".join(filter(None, (page, *sections)))


def distributed() -> str:
    """The page of several processes, with its tables written again."""
    return distributed_page((HERE / "distributed.md").read_text(encoding="utf-8"), load_training(RESULTS))


def scale() -> str:
    """The page of ladders of sizes, with its measured run written again."""
    return scale_page((HERE / "tutorials/scale.md").read_text(encoding="utf-8"), load_scale(RESULTS))


STUDIED = load_lines(RESULTS / "study")
CLAIMED = RESULTS / "claims.json"

PAGES = {
    "../src/sightline/tasks/names.py": architecture_names,  # first: the help of `train` lists these names
    "../src/sightline/cli/export_formats.py": export_names,
    "../src/sightline/cli/keys.json": help_keys,
    "formats.md": formats,
    "mechanisms.md": mechanisms,
    "architectures.md": architectures,
    "front_ends.md": front_ends,
    "rungs.md": rungs_page,
    "exports.md": exports,
    "conformance.md": conformance_page,
    "distributed.md": distributed,
    "tutorials/scale.md": scale,
    "commands.md": commands,
    "keys/every-task.md": common_keys,
    **{f"keys/{name}.md": partial(task_keys, name) for name in TASKS},
    "performance.md": performance,
    **({"claims.md": lambda: claims_page(ClaimsResults.load(CLAIMED))} if CLAIMED.exists() else {}),
    "defaults.md": partial(study_page, STUDIED),
}

if __name__ == "__main__":
    draw_figures(rows_of(load_results(RESULTS)), FIGURES)
    if CLAIMED.exists():
        draw_claims(ClaimsResults.load(CLAIMED), HERE / CLAIMS_FIGURES)
    if (scaled := load_scale(RESULTS)) is not None:
        draw_scale(scaled, HERE / SCALE_FIGURES)
    for name, content in PAGES.items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(content(), encoding="utf-8")
