"""One input, or several in a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sightline.core.errors import InputError
from sightline.data.media.files import MediaFile
from sightline.data.rows.arrays import array_of, is_table
from sightline.data.rows.in_memory import cells_of, is_frame

A = TypeVar("A")  # an answer


def list_of(inputs: Any) -> list[Any]:
    """Several inputs as a list, from any collection of them: a list, a tuple, an array, a column of a table of any
    library, whose missing cells are None.

    Raises:
        InputError: "expected one input or a list of inputs, found a table (DataFrame): choose a column, as in
            table['source']"; "…, found a row (dict): choose a value, as in row['source']"; "…, found int"; "…, found
            bytes".
    """
    expected = "expected one input or a list of inputs, found"
    if is_table(inputs):
        name = type(inputs).__name__
        raise InputError(f"{expected} a table ({name}): choose a column, as in table['source']")
    if isinstance(inputs, Mapping):
        raise InputError(f"{expected} a row ({type(inputs).__name__}): choose a value, as in row['source']")
    if not isinstance(inputs, Iterable) or isinstance(inputs, bytes | bytearray) or getattr(inputs, "ndim", 1) == 0:
        raise InputError(f"{expected} {type(inputs).__name__}")
    import narwhals as nw

    column = nw.from_native(inputs, pass_through=True, allow_series=True)
    if isinstance(column, nw.Series):
        return cells_of(column)
    return inputs.to_pylist() if hasattr(inputs, "to_pylist") else list(inputs)  # an array of Arrow


def is_blank(value: Any) -> bool:
    """Whether an input is missing, or a text of nothing but blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


def check_texts(inputs: Sequence[Any]) -> None:
    """Refuse inputs that are not texts; one that is missing is empty.

    Raises:
        InputError: "input 3: expected text, found float"; "input 3: expected text, found a file".
    """
    for number, one in enumerate(inputs, 1):
        if not isinstance(one, str | None):
            kind = "a file" if isinstance(one, MediaFile) else type(one).__name__
            raise InputError(f"expected text, found {kind}", where=f"input {number}")


def are_rows(inputs: Any) -> bool:
    """Whether these are the rows of a table: a frame, or a list of dicts."""
    return is_frame(inputs) or (
        isinstance(inputs, list) and bool(inputs) and all(isinstance(one, Mapping) for one in inputs)
    )


def with_blanks(inputs: Sequence[Any], answers: Sequence[A], blank: Callable[[Any], A]) -> list[A]:
    """The answers of the inputs that are filled, and `blank` of the others, in order."""
    left, blanks = iter(answers), len(answers) < len(inputs)
    return [blank(one) if blanks and is_blank(one) else next(left) for one in inputs]


def dimensions(inputs: Any) -> int | None:
    """The number of axes of what `array_of` takes for an array of numbers; None for anything else."""
    array = array_of(inputs)
    return None if array is None else array.ndim
