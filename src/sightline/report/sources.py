"""Where the numbers of a page stand in its file of results, as JSON pointers (RFC 6901).

A cell's `data-source` lists one pointer or several, separated by spaces; the numbers of the cell are their values, in
this order. `data-how` says how one number follows from them where it is not the value itself: "minus", "mean",
"median", "mean of ratios" (of values two by two), "text" (the cell is a text of the file), or "derived".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup


def pointer(*parts: str | int) -> str:
    """The JSON pointer of a value, such as `/architectures/0/metrics/exact_match/mean`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def locators(file: str, plain: Any) -> dict[str, Callable[..., Markup]]:
    """The functions of a template that write these attributes: `at` for one place, in parts or tuples of parts, and
    `at_all` for several places.

    A place whose value is unknown, null in the file or not in it, gets no attribute.

    plain: the content of the file
    """

    def at_all(places: Iterable[tuple[str | int, ...]], how: str = "") -> Markup:
        known = [f"{file}#{pointer(*at)}" for place in places if (at := _found(plain, place))]
        if not known:
            return Markup("")
        first = known[0] if len(known) == 1 else f"{known[0]} and {len(known) - 1} more"
        title = f"{how} of {first}" if how else first
        text = Markup(' data-source="{}"').format(" ".join(known))
        return text + Markup(' data-how="{}"').format(how) * bool(how) + Markup(' title="{}"').format(title)

    def at(*parts: str | int | tuple[str | int, ...], how: str = "") -> Markup:
        place: tuple[str | int, ...] = ()
        for part in parts:
            place += part if isinstance(part, tuple) else (part,)
        return at_all([place], how)

    return {"at": at, "at_all": at_all}


def _found(plain: Any, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The place with indices from the end counted from the beginning; empty where the value is not known."""
    found: tuple[str | int, ...] = ()
    for part in place:
        try:
            part = part + len(plain) if isinstance(part, int) and part < 0 else part
            plain = plain[part]
        except (KeyError, IndexError, TypeError):
            return ()
        found += (part,)
    return () if plain is None else found
