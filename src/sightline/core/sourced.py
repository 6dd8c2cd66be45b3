"""Numbers of sentences that carry the places from which they come in a file of results.

A sentence is written once, for terminals, files and pages. A page writes it within `with_sources()`: `sourced` then
puts the places of a number beside it, between noncharacters of Unicode, which no text has, and `replace_sources` takes
them out again. Everywhere else `sourced` returns its text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Place = tuple[str | int, ...]  # keys and indices from the top of the file; an architecture may be given by its name

START, COMMA, BETWEEN, END = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_MARKED = re.compile(f"{START}([^{START}{END}]*){BETWEEN}([^{START}{BETWEEN}]*){END}")
_active: ContextVar[bool] = ContextVar("sources of numbers", default=False)


@contextmanager
def with_sources() -> Iterator[None]:
    """Within it, the texts of `sourced` carry their places."""
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def sourced(text: str, *places: Place, how: str = "") -> str:
    """The text of one number, with the places of the values that it shows or follows from.

    how: how it follows from them, see `report.sources`; "" where it is the value itself
    """
    return (
        f"{START}{COMMA.join([how, *(pointer(*place) for place in places)])}{BETWEEN}{text}{END}"
        if _active.get()
        else text
    )


def pointer(*parts: str | int) -> str:
    """The JSON pointer (RFC 6901) of a place, such as `/architectures/0/metrics/exact_match/mean`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def indexed(plain: Any, place: Place) -> Place:
    """The place with indices for names, and those from the end counted from the beginning; empty where its value is not
    known.

    plain: the content of the file
    """
    resolved: Place = ()
    for part in place:
        try:
            if isinstance(plain, list):
                part = _index(plain, part)
            plain = plain[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return ()
        resolved += (part,)
    return () if plain is None else resolved


def _index(records: list[Any], part: str | int) -> int:
    """The index of a record by its name, or an index counted from the beginning."""
    names = [
        next((record[key] for key in ("arch", "name") if key in record), None)
        for record in records
        if isinstance(record, dict)
    ]
    if part in names:
        return names.index(part)
    return int(part) + len(records) if int(part) < 0 else int(part)


def place_of(pointer: str) -> Place:
    """The place of a JSON pointer, with indices as text."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def replace_sources(text: str, written: Callable[[str, list[Place], str], str]) -> str:
    """The text with each number that carries places replaced by `written(number, places, how)`."""

    def one(match: re.Match[str]) -> str:
        how, *pointers = match[1].split(COMMA)
        return written(match[2], list(map(place_of, pointers)), how)

    return _MARKED.sub(one, text)


def number_spans(text: str) -> tuple[str, list[tuple[int, int, list[Place], str]]]:
    """The text without places, and of each number that carries some its start and end there, the places, and how."""
    spans, plain, read = [], "", 0
    for match in _MARKED.finditer(text):
        plain += text[read : match.start()]
        how, *pointers = match[1].split(COMMA)
        spans.append((len(plain), len(plain) + len(match[2]), list(map(place_of, pointers)), how))
        plain, read = plain + match[2], match.end()
    return plain + text[read:], spans


def as_stored(written: str, stored: str) -> str:
    """A stored text as it is `written` again with places; the stored one where another version wrote it differently."""
    return written if without_sources(written) == stored else stored


def without_sources(text: str) -> str:
    """The text as it is without places."""
    return replace_sources(text, lambda number, places, how: number)
