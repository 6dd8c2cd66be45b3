"""The section of the performance page about training steps, from the files that `bench_training.py` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightline.core.digits import number_of, percent

HEAD = """\
## Training steps

A decoder of 4 layers, width 256, 4 heads, 8,192 tokens, batches of 8 rows, on the same batch with the same weights
(`make bench-training`). `transformers` Llama and the hand-written model compute the same function as ours, which is
checked first; x-transformers has about as many weights. A step is loss, gradients, clipping and fused AdamW. *Of the
limit* is the rate of the operations that the step needs (a causal mask hides half of attention) as a share of the rate
of a 2048³ product of the same precision, measured between the rounds. *Ratio*: time of the fastest peer in the table,
divided by ours, median of the rounds (quartiles); the target is 1.5. Modes that are not in the table, such as compiled
peers, were not measured on that machine."""
LATE = """\
A step of an LSTM language model (width 256, 8,192 tokens, 256 positions) whose optimizer's averages are those of that
many steps on a text that follows Zipf's law, with subnormal numbers kept and flushed in turns:"""


def load_trainings(directory: Path) -> list[dict[str, Any]]:
    """The results in a directory, one of each processor and number of threads."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("training-*.json"))]


def training_section(results: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of Markdown; none without results."""
    lines = [HEAD, ""] if results else []
    for one in results:
        facts, threads = one["environment"], number_of(one["threads"], "thread")
        clock = "processor time of the thread" if one["threads"] == 1 else "seconds of the clock"
        commit = (facts["git_commit"] or "unknown")[:7]
        lines += [
            f"**{one['processor']}**, {threads}, {clock}, torch {facts['packages']['torch']}, commit {commit}:",
            "",
            "| positions | model, precision | tokens/s | of the limit | ratio |",
            "|--:|---|--:|--:|--:|",
        ]
        for row in one["lengths"]:
            lines += _rows(row)
        lines += ["", *_late(one.get("late", []))]
    return lines


def _rows(row: dict[str, Any]) -> list[str]:
    lines = []
    for number, one in enumerate(sorted(row["rows"], key=lambda one: -one["tokens_per_s"])):
        ratio = row.get("ratio")
        shown = f"{ratio['median']:.2f} ({ratio['lower']:.2f}–{ratio['upper']:.2f})" if ratio else ""
        cells = [f"{row['length']:,}" if number == 0 else "", one["name"], f"{one['tokens_per_s']:,}",
                 percent(one["of_limit"]), shown if one["name"] == row.get("ours") else ""]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _late(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = [LATE, "", "| steps | averages that are subnormal | kept, ms | flushed, ms |", "|--:|--:|--:|--:|"]
    for row in rows:
        cells = [f"{row['after']:,}", percent(row["subnormal"]), f"{row['kept_ms']:.3g}", f"{row['flushed_ms']:.3g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]
