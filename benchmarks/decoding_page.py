"""The section of docs/performance.md on decoding whole models: tables for each machine of `bench_decoding.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sightline.core.digits import number_of, percent

HEAD = """\
## Decoding whole models

Generated from `benchmarks/results/decoding-*.json`, which `make bench-decoding` writes. All systems have the same
random weights, copied from ours; in float32 their tokens are equal, which is checked before anything is timed. In each
round every system decodes once, in alternating order; with one thread times are CPU seconds. *Of the limit* is the rate
of the products that the task needs, weights alone, by that of a 2,048³ product in the same dtype (for int8 in
bfloat16), the fastest kernel at hand. *First* is the time until the first token of all outputs is known, the reading of
the sources included, and *each* that of every step after it. *Compiled*: with `--compiled`; compiling is not in the
times, as models are loaded and packed before. *Same* counts outputs equal to ours in float32: random
models are more easily swayed by rounding than trained ones."""


def load_decoding(directory: Path) -> list[dict[str, Any]]:
    """The results of every machine, sorted by file name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("decoding-*.json"))]


def decoding_section(reports: list[dict[str, Any]]) -> str:
    """The section in Markdown; empty without results."""
    if not reports:
        return ""
    lines = [HEAD, ""]
    for report in reports:
        lines += [*_machine(report), ""]
    return "\n".join(lines).rstrip() + "\n"


def _machine(report: dict[str, Any]) -> Iterator[str]:
    environment = report["environment"]
    where = f"{environment['cpu']}, {number_of(environment['cores'], 'core')}, {number_of(report['threads'], 'thread')}"
    yield f"### {where}"
    yield ""
    commit = (environment["git_commit"] or "unknown")[:7]
    yield f"torch {environment['packages']['torch']}, commit {commit}. {report.get('note', '')}".rstrip()
    for result in report["results"]:
        yield ""
        yield from _job(result)
    if report["contexts"]:
        yield ""
        yield from _contexts(report["contexts"])


def _job(result: dict[str, Any]) -> Iterator[str]:
    limits = ", ".join(f"{name} {rate / 1e9:,.0f} GFLOP/s" for name, rate in result["limits"].items())
    yield f"**{result['question'][0].upper()}{result['question'][1:]}** ({result['pairs']} rounds; limits: {limits})"
    yield ""
    timed = "first_s" in result["systems"][0]
    yield f"| system | tokens/s | {'first, ms | each, ms | ' if timed else ''}of the limit | same |"
    yield f"|---|--:|{'--:|--:|' if timed else ''}--:|--:|"
    for row in result["systems"]:
        name, _, precision = row["system"].partition(" ")
        version = f" {row['version']}" if name != "sightline" else ""
        system = f"{name}{version}" + (f", {precision}" if precision else "")
        same = f"{row['same']} of {result['outputs']}"
        first, each = (f"{1e3 * row[key]['median']:,.2f} | " if timed else "" for key in ("first_s", "step_s"))
        yield f"| {system} | {row['tokens_per_s']:,.0f} | {first}{each}{percent(row['of_limit'])} | {same} |"
    yield ""
    for target in result["targets"]:
        ratio = target["ratio"]
        verdict = "met" if target["met"] else "missed"
        yield (
            f"- {ratio['median']:.2f} ({ratio['lower']:.2f}–{ratio['upper']:.2f}) times {target['peer']}, with "
            f"{target['precision']}; target ≥ {target['at_least']:g}, {verdict}"
        )


def _contexts(contexts: list[dict[str, Any]]) -> Iterator[str]:
    yield "**One step of a language model**, 4 layers, d 256, vocabulary 8,192, float32, after two contexts:"
    yield ""
    yield "| mechanism | 64, ms | 4,096, ms | ratio |"
    yield "|---|--:|--:|--:|"
    for one in contexts:
        short, long = (1e3 * one["step_s"][length]["median"] for length in ("64", "4096"))
        yield f"| `{one['mechanism']}` | {short:.2f} | {long:.2f} | {one['ratio']['median']:.2f} |"
