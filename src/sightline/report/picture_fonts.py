"""Fonts of labels in pictures: those of matplotlib, of the system, and those that the package has for other scripts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

import matplotlib as mpl
from matplotlib import font_manager

from sightline.report.drawing import STYLE

# Of the system, where it has them, for letters that the font before has not.
FALLBACKS = (
    "Noto Sans", "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
    "Noto Sans Bengali", "Noto Sans Thai", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Hiragino Sans",
    "Arial Unicode MS", "Microsoft YaHei", "WenQuanYi Zen Hei", "Droid Sans Fallback",
)  # fmt: skip
OWN = ("devanagari", "bengali", "thai", "kana-han", "hangul")  # the scripts that matplotlib's own font has not


@contextmanager
def every_script(name: str) -> Iterator[None]:
    """Inside the block figures have the package's style, and labels a font for every script that can be had.

    A letter that no font has is a box. name: of the figure, for ids in SVG that are the same in every run
    """
    style = {**STYLE, "font.family": picture_fonts(), "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@cache
def picture_fonts() -> list[str]:
    """Families in the order in which a letter is looked for."""
    known = font_manager.fontManager.ttflist
    installed = {font.name for font in known}
    for name in OWN:
        path = str(files("sightline.report.fonts").joinpath(f"{name}.ttf"))
        known += [font_manager.FontEntry(fname=path, name=f"sightline {name}", weight=w) for w in ("normal", "bold")]
    return ["DejaVu Sans", *(name for name in FALLBACKS if name in installed), *(f"sightline {name}" for name in OWN)]
