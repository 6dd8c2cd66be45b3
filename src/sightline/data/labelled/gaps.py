"""Missing values of series: refused, or filled by a straight line between their neighbours."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np

from sightline.data.rows.numbers import number_of

Missing = Literal["refuse", "linear"]
_GAPS = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))


def filled(steps: Any, missing: Missing, what: str) -> Any:
    """A list of T numbers or of T lists of C numbers, or its text in JSON, with its gaps filled; others as they are.

    A gap at an end has the value next to it.

    Raises:
        ValueError: "'series' has a channel without values"; what `number_of` raises.
    """
    if missing == "refuse":
        return steps
    if isinstance(steps, str):
        try:
            steps = json.loads(steps)
        except (ValueError, RecursionError):
            return steps
    rows = [step if isinstance(step, list) else [step] for step in steps] if isinstance(steps, list) else []
    if not any(map(_is_gap, (value for row in rows for value in row))) or len({len(row) for row in rows}) > 1:
        return steps
    channels = []
    for channel in zip(*rows, strict=True):
        known = [place for place, value in enumerate(channel) if not _is_gap(value)]
        if not known:
            raise ValueError(f"{what} has a channel without values")
        values = [number_of(channel[place], f"step {place + 1} of {what}") for place in known]
        channels.append(np.interp(range(len(channel)), known, values).tolist())
    return [list(step) for step in zip(*channels, strict=True)]


def _is_gap(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in _GAPS)
