"""Numbers in cells: series of one or more channels, strictly finite."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from sightline.core.digits import number_of as counted
from sightline.data.rows.json_lines import JsonNumber

# A number with a decimal comma, its thousands perhaps grouped by points.
EUROPEAN = r"^\s*[-+]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?([eE][-+]?\d+)?\s*$"
THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?")  # commas may be between thousands
WITHOUT_COMMAS = "write it without commas between thousands, or decimals with a point"
_LARGEST = float(np.finfo(np.float32).max)


@final
class DecimalComma(str):
    """A cell of a column of numbers with decimal commas, as it was written."""

    __slots__ = ()


def number_of(value: Any, what: str) -> float:
    """A finite number; `ValueError` such as "'x3' is 'abc', not a number", "'x3' is nan: numbers must be finite"."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{what} is empty, not a number")
    number = parsed(value)
    if number is None:
        way = f": {WITHOUT_COMMAS}" if THOUSANDS.fullmatch(str(value).strip()) else ""
        raise ValueError(f"{what} is {str(value)[:80]!r}, not a number{way}")
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise ValueError(f"{what} is {str(value)[:80]}: numbers must be finite")
    return number


def parsed(value: Any) -> float | None:
    """The number in a cell, finite or not; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, DecimalComma):
        value = (
            value.replace(".", "").replace(",", ".")
            if re.search(EUROPEAN, value) or not {".", ","} & set(value)
            else ""
        )
    if isinstance(value, str) and "_" in value:  # Python's own way to group digits, which no table means
        return None
    try:
        return float(value)
    except ValueError:
        return None
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def is_number(value: Any) -> bool:
    """Whether a cell contains a number, finite or not."""
    return parsed(value) is not None


def is_series(value: Any) -> bool:
    """Whether a cell contains a list, as itself or as the text of a list of numbers."""
    if not isinstance(value, str) or value.lstrip()[:1] != "[":
        return isinstance(value, list)
    try:
        series_of(value, "it")
    except ValueError as error:
        return "finite" in str(error)  # a list of numbers, one of which is refused later, with its place
    return True


def series_of(value: Any, what: str) -> np.ndarray:
    """A list of T numbers, or of T lists of C numbers, as float32 (T, C).

    Raises:
        ValueError: "'series' has no steps"; "step 3 of 'series' has 2 channels, the first one has 3"; "step 3 of
            'series' is nan: numbers must be finite"; what `number_of` says.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=JsonNumber)
        except (ValueError, RecursionError):
            raise ValueError(f"{what} is not a list of numbers: {value[:40]!r}") from None
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list of numbers, found {str(value)[:40]!r}")
    if not value:
        raise ValueError(f"{what} has no steps")
    rows = [step if isinstance(step, list) else [step] for step in value]
    if not rows[0]:
        raise ValueError(f"{what} has no channels")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"step {number} of {what} has {counted(len(row), 'channel')}, the first one has {len(rows[0])}"
            )
    return np.array(
        [[number_of(x, f"step {number} of {what}") for x in row] for number, row in enumerate(rows, 1)], np.float32
    )


def joined(channels: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Series (T, ·) side by side; `ValueError` where they differ in length."""
    for channel, name in zip(channels, names, strict=True):
        if len(channel) != len(channels[0]):
            raise ValueError(f"{name!r} has {counted(len(channel), 'step')}, {names[0]!r} has {len(channels[0])}")
    return np.concatenate(channels, 1)
