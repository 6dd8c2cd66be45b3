"""Texts in cells: non-empty strings that can be encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sightline.data.rows.json_lines import JsonNumber, type_name
from sightline.data.rows.record import Refusals, Rows


def text_of(value: object, what: str, *, blank: bool = False) -> str:
    """The text in a cell.

    blank: whether white space alone is a text

    Raises:
        ValueError: "'text' must be a string, found a number", "'text' is empty" (null is, too), "NUL in 'text'",
            "'text' contains an unpaired surrogate and cannot be encoded as UTF-8".
    """
    if value is None:
        raise ValueError(f"{what} is empty")
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


def text_chunks(
    rows: Rows, columns: Sequence[tuple[str, str]], table: Refusals
) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    """The lines and the columns of texts, some rows at a time; the table refuses, or skips, a row that lacks one.

    columns: each name with its description in errors, such as ("de", "the source")
    """
    names = list(dict.fromkeys(name for name, _ in columns))
    rows.require(names, "strings")
    for lines, read, problems in rows.chunks(names):
        cells = dict(zip(names, read, strict=True))
        texts = [cells[name] for name, _ in columns]
        if not problems and all(map(_are_texts, read)):
            yield lines, texts
            continue
        good = []
        for place, line in enumerate(lines):
            try:
                if place in problems:
                    raise ValueError(problems[place])
                for column, (_, what) in zip(texts, columns, strict=True):
                    text_of(column[place], what)
                good.append(place)
            except ValueError as error:
                table.refuse(error, f"{rows.path}:{line}")
        yield [lines[place] for place in good], [[column[place] for place in good] for column in texts]


def _are_texts(cells: list[object]) -> bool:
    """Whether `text_of` accepts all cells of a column, by a few quick looks."""
    if any(kind is not str for kind in set(map(type, cells))) or not all(map(str.strip, cells)):  # type: ignore[arg-type]
        return False
    whole = "".join(cells)  # type: ignore[arg-type]
    try:
        return "\0" not in whole and (whole.isascii() or bool(whole.encode()))
    except UnicodeEncodeError:
        return False
