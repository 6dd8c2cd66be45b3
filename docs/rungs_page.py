"""The page of a ladder's rungs, from the table of `sightline.lab.ladder`."""

from __future__ import annotations

from sightline.lab.ladder import LADDERS, Lineage, RungClaim, described
from sightline.tasks.table import TASKS

HEAD = """\
# The rungs of a ladder

This page is generated from the table in `sightline/lab/ladder.py`. [The ladder](ladder.md) explains what a ladder is,
and how to read its page. Every rung differs from the one that it is compared with in the keys in the table, in the
width (for the same number of parameters) and in the learning rate (where it is searched); a test checks this for every
task.
"""

WORDS = {
    "better": "better",
    "kept": "no worse",
    "faster": "trains faster",
    "shorter chain": "shorter chain of dependent operations",
    "faster at length": "less time at a length",
    "smaller state": "smaller state at a length",
}


def rungs_page() -> str:
    """One table for each form of models."""
    return "\n".join([HEAD, *(_section(form, ladder) for form, ladder in LADDERS.items())])


def _section(form: str, ladder: Lineage) -> str:
    tasks = [name for name, kind in TASKS.items() if kind.form == form]
    lines = [
        f"## {', '.join(tasks)}",
        "",
        "| rung | against | change | keys | reason | claims |",
        "|---|---|---|---|---|---|",
    ]
    for rung in ladder.rungs:
        keys = f"`{described(rung.keys)}`" if rung.keys else ""
        claims = "; ".join(_claim(claim, rung.over) for claim in rung.claims)
        reason = f"{rung.reason} {rung.paper}.{f' {rung.note}' if rung.note else ''}"
        lines.append(f"| `{rung.name}` | {rung.over} | {rung.change} | {keys} | {reason} | {claims} |")
    lines += ["", *(f"Left out: {name}, since {reason}.\n" for name, reason in ladder.omitted.items())]
    return "\n".join(lines)


def _claim(claim: RungClaim, over: str) -> str:
    words = WORDS[claim.kind]
    if claim.items == "longest":
        words += " on the longest quarter"
    return f"{words} ({claim.of} against {claim.over or over})" if claim.of else words
