"""The metrics of the validation whose model a run kept, from its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG = "metrics.jsonl"
_COUNTED = ("event", "steps", "tokens", "seconds", "cpu_seconds", "flops", "best")


def metrics_in(record: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics in a line of the log, which has besides what was spent until then; None for an undefined one."""
    return {name: value for name, value in record.items() if name not in _COUNTED}


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
    return {name: value for name, value in metrics_in(best).items() if isinstance(value, float | int)}
