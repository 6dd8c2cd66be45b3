"""Texts in cells: non-empty strings that can be encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sightline.data.rows.json_lines import JsonNumber, type_name
from sightline.data.rows.record import Refusals, Rows


def text_of(value: object, what: str, *, blank: bool = False) -> str:
    """The text in a cell.

    blank: whether white space alone is a text

    Raises:
        ValueError: "'text' must be a string, found a number", "'text' is empty", "NUL in 'text'", "'text' contains an
            unpaired surrogate and cannot be encoded as UTF-8".
    """
    if not isinstance(value, str) or isinstance(value, JsonNumber):
        raise ValueError(f"{what} must be a string, found {type_name(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{what} contains an unpaired surrogate and cannot be encoded as UTF-8") from None
    if not value or (value.isspace() and not blank):
        raise ValueError(f"{what} is empty")
    if "\0" in value:
        raise ValueError(f"NUL in {what}")
    return value


def text_rows(rows: Rows, columns: Sequence[tuple[str, str]], table: Refusals) -> Iterator[tuple[int, list[str]]]:
    """The line and the texts of each row; the table refuses, or skips, a row that lacks one of them.

    columns: each name with its description in errors, such as ("de", "the source")
    """
    names = list(dict.fromkeys(name for name, _ in columns))
    rows.require(names, "strings")
    for line, cells, problem, _ in rows.records(names):
        try:
            if problem:
                raise ValueError(problem)
            texts = [text_of(cells[name], what) for name, what in columns]
        except ValueError as error:
            table.refuse(error, f"{rows.path}:{line}")
        else:
            yield line, texts
