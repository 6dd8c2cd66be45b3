"""The section of docs/performance.md about the memory of training, from the files that `bench_memory.py` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HEAD = """\
## Memory of training steps

The language models of [Training steps](#training-steps) on batches of 8 rows (`make bench-memory`): MiB by which the
resident high-water mark of a process of its own rises in its first step, above weights and batch. Gradients (one
float32 for each of 5.2 million weights) and AdamW's averages (two) are among them. One thread. *Ratio*: ours divided by
the least of the others; the target is at most 1. Compiled peers are left out: the compiler's own
memory would be in the number."""


def load_memory(directory: Path) -> list[dict[str, Any]]:
    """The results in a directory, one of each processor."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("memory-*.json"))]


def memory_section(reports: Sequence[dict[str, Any]]) -> str:
    """The section in Markdown; empty without results."""
    if not reports:
        return ""
    lines = [HEAD, ""]
    for report in reports:
        lines += [*_report(report), ""]
    return "\n".join(lines).rstrip() + "\n"


def _report(report: dict[str, Any]) -> Iterator[str]:
    facts = report["environment"]
    commit = (facts["git_commit"] or "unknown")[:7]
    yield f"**{report['processor']}**, torch {facts['packages']['torch']}, commit {commit}:"
    yield ""
    names = list(dict.fromkeys(name for row in report["results"] for name in row["peak_bytes"]))
    yield f"| positions | precision | {' | '.join(names)} | ratio |"
    yield f"|--:|---|{'--:|' * len(names)}--:|"
    for row in report["results"]:
        sizes = [_mebibytes(row["peak_bytes"].get(name)) for name in names]
        ratio = f"{row['ratio']:.2f}, {'met' if row['met'] else 'missed'}" if "ratio" in row else ""
        yield f"| {row['length']:,} | {row['dtype']} | {' | '.join(sizes)} | {ratio} |"


def _mebibytes(size: int | None) -> str:
    return "" if size is None else f"{size / 2**20:,.0f}"
