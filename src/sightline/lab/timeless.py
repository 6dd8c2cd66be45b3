"""The part of results that is the same whenever and wherever a comparison runs. Imports no torch."""

from __future__ import annotations

from typing import Any

from sightline.lab.results import Results

# What a clock, the load or the place decides; `verdict` is replaced by the judgement, which has no warnings.
MEASURED = frozenset({
    "train_s", "cpu_s", "seconds", "cpu_seconds", "tokens_per_s", "ms", "peak_memory_bytes", "others_cores", "warnings",
    "cautions", "verdict", "cluster",
})  # fmt: skip


def timeless(results: Results) -> dict[str, Any]:
    """`results` as plain JSON types, without times, memory and the warnings about them."""
    return {**_without(results.to_dict()), "judgement": results.judgement}


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(part) for key, part in value.items() if key not in MEASURED}
    return [_without(part) for part in value] if isinstance(value, list) else value
