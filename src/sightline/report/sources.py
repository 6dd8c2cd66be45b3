"""The places of a page's numbers in its file of results, as JSON pointers (RFC 6901).

The `data-source` of a cell, or of a number in a sentence, lists one pointer or several, separated by spaces, which are
written %20 within one; its numbers are their values, in this order. `data-how` says how one number follows from them
where it is not the value itself: "minus", "mean", "median", "least", "most", "ratio"; of values two by two "mean of
ratios", "least of ratios", "spread of ratios" (the largest over the smallest, less one), "ratio of differences";
"count" (of a list, or of the places), "text" (the element is a text of the file, or a part of one), or "derived".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup, escape

from sightline.core.sourced import Place, indexed, pointer, replace_sources


def locators(file: str, plain: Any) -> dict[str, Callable[..., Markup]]:
    """The functions of a template that write these attributes: `at` for one place, in parts or tuples of parts,
    `at_all` for several places, and `with_places` for a sentence whose numbers carry their places (`core.sourced`).

    file: its name, in which spaces are written %20 too

    A place whose value is unknown, null in the file or not in it, gets no attribute. In a place, an index may be the
    name of an architecture, a rung or a baseline.

    plain: the content of the file
    """

    def at_all(places: Iterable[Place], how: str = "") -> Markup:
        known = [f"{_escaped(file)}#{_fragment(*at)}" for place in places if (at := indexed(plain, place))]
        if not known:
            return Markup("")
        first = known[0] if len(known) == 1 else f"{known[0]} and {len(known) - 1} more"
        title = f"{how} of {first}" if how else first
        text = Markup(' data-source="{}"').format(" ".join(known))
        return text + Markup(' data-how="{}"').format(how) * bool(how) + Markup(' title="{}"').format(title)

    def at(*parts: str | int | Place, how: str = "") -> Markup:
        place: Place = ()
        for part in parts:
            place += part if isinstance(part, tuple) else (part,)
        return at_all([place], how)

    def with_places(sentence: str) -> Markup:
        def written(number: str, places: list[Place], how: str) -> str:
            attributes = at_all([tuple(Markup(part).unescape() for part in place) for place in places], how)
            return f"<span{attributes}>{number}</span>" if attributes else number

        return Markup(replace_sources(str(escape(sentence)), written))

    return {"at": at, "at_all": at_all, "with_places": with_places}


def _fragment(*place: str | int) -> str:
    """The pointer of a place without spaces, which are between pointers."""
    return _escaped(pointer(*place))


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("#", "%23").replace(" ", "%20")
