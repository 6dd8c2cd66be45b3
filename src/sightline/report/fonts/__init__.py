"""Fonts of labels, for systems that have none: Noto, with the letters that `builtin:dates` uses and those beside them.

`make fonts` writes them; `covers.json` lists what each has. A page embeds those that its text needs. They come last in
its list of fonts: a font of the system is preferred.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib.resources import files

FAMILY = "sightline"
ALWAYS = "latin-greek-cyrillic"  # of the page's own words
SIGNS = "signs"  # by which labels show spaces and ends
SHARED = {0x200C, 0x200D, 0x200E, 0x200F, 0x25CC}  # joiners, marks of direction, the place of a mark: in several fonts


def font_faces(letters: str) -> str:
    """The rules of style that embed the fonts of these letters."""
    points = set(map(ord, letters))
    return "\n".join(
        f"@font-face{{font-family:{FAMILY};src:url(data:font/woff2;base64,{_encoded(name)}) format('woff2');"
        f"unicode-range:{','.join(ranges)}}}"
        for name, ranges in covers().items()
        if name == ALWAYS or points & (_points(tuple(ranges)) - (set() if name == SIGNS else SHARED))
    )


@cache
def covers() -> dict[str, list[str]]:
    """The characters of each font, as ranges of CSS."""
    return json.loads(files("sightline.report.fonts").joinpath("covers.json").read_text("utf-8"))


def covered() -> set[int]:
    """The code points that the fonts have."""
    return set().union(*(_points(tuple(ranges)) for ranges in covers().values()))


@cache
def _points(ranges: tuple[str, ...]) -> frozenset[int]:
    ends = [one.removeprefix("U+").split("-") for one in ranges]
    return frozenset(point for one in ends for point in range(int(one[0], 16), int(one[-1], 16) + 1))


@cache
def _encoded(name: str) -> str:
    return base64.b64encode(files("sightline.report.fonts").joinpath(f"{name}.woff2").read_bytes()).decode()
