"""Errors about unknown names, with the nearest known one: "unknown task 'langage', did you mean 'language'?"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from sightline.core.errors import InputError

T = TypeVar("T")

MOST_LISTED = 20


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like `word`, or None where none is like it."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, cutoff)), None)


def suggest(word: str, known: Iterable[str], *, label: str | None = "known", cutoff: float = 0.6) -> str:
    """The end of a sentence about an unknown word: ", did you mean 'lr'?", else "; known: lr, beta1".

    Without a `label` it is empty where no known word is like it.
    """
    words = list(known)
    near = nearest(word, words, cutoff)
    if near is not None:
        return f", did you mean {near!r}?"
    more = ", …" if len(words) > MOST_LISTED else ""
    return f"; {label}: {', '.join(words[:MOST_LISTED])}{more}" if label else ""


def unknown(kind: str, name: str, known: Iterable[str], *, label: str | None = "known", cutoff: float = 0.6) -> str:
    """The sentence: "unknown architecture 'lstmm', did you mean 'lstm'?"."""
    return f"unknown {kind} {name[:80]!r}{suggest(name, known, label=label, cutoff=cutoff)}"


def look_up(table: Mapping[str, T], name: str, kind: str, *, where: object = None) -> T:
    """The entry of a table.

    Raises:
        InputError: "unknown architecture 'lstmm', did you mean 'lstm'?", placed at `where`.
    """
    if name not in table:
        raise InputError(unknown(kind, name, table), where=where)
    return table[name]
