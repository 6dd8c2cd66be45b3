"""One input, or several in a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sightline.core.errors import InputError
from sightline.data.rows.arrays import array_of, is_table

A = TypeVar("A")  # an answer


def list_of(inputs: Any) -> list[Any]:
    """Several inputs as a list, from any collection of them: a list, a tuple, an array, a column of a table.

    Raises:
        InputError: "expected one input or a list of inputs, found a table (DataFrame): choose a column, as in
            table['source']"; "…, found a row (dict): choose a value, as in row['source']"; "…, found int".
    """
    expected = "expected one input or a list of inputs, found"
    if is_table(inputs):
        name = type(inputs).__name__
        raise InputError(f"{expected} a table ({name}): choose a column, as in table['source']")
    if isinstance(inputs, Mapping):
        raise InputError(f"{expected} a row ({type(inputs).__name__}): choose a value, as in row['source']")
    if not isinstance(inputs, Iterable) or getattr(inputs, "ndim", 1) == 0:
        raise InputError(f"{expected} {type(inputs).__name__}")
    return list(inputs)


def is_blank(value: Any) -> bool:
    """Whether an input is a text of nothing but blanks."""
    return isinstance(value, str) and not value.strip()


def with_blanks(inputs: Sequence[Any], answers: Sequence[A], blank: Callable[[Any], A]) -> list[A]:
    """The answers of the inputs that are filled, and `blank` of the others, in order."""
    left, blanks = iter(answers), len(answers) < len(inputs)
    return [blank(one) if blanks and is_blank(one) else next(left) for one in inputs]


def dimensions(inputs: Any) -> int | None:
    """The number of axes of what `array_of` takes for an array of numbers; None for anything else."""
    array = array_of(inputs)
    return None if array is None else array.ndim
