"""The metrics of a run's best validation, from its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG = "metrics.jsonl"
_COUNTED = ("event", "steps", "tokens", "seconds", "flops", "best")


def best_scores(run: Path) -> dict[str, float]:
    """The metrics of the validation that the run's best model comes from; empty where no log tells."""
    best: dict[str, Any] = {}
    try:
        for line in (run / LOG).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record.get("best"):
                best = record
    except (OSError, ValueError, AttributeError):
        return {}
    return {name: value for name, value in best.items() if name not in _COUNTED and isinstance(value, float | int)}
