"""Documents as positions: the token that is read at each, and the label that follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sightline.data.text.readers import Fragment
from sightline.data.tokens.text import TextTokenizer


class TextPositions(NamedTuple):
    """Documents one after another: the token read at each position, the label, and whether a document begins there."""

    tokens: np.ndarray  # (N,) int32
    labels: np.ndarray  # (N,) int32
    starts: np.ndarray  # (N,) bool


class Stretch(NamedTuple):
    """Positions of one document, in order."""

    document: int  # number of the document
    first: int  # place of the first position in the document
    tokens: np.ndarray  # (N,) int32
    labels: np.ndarray  # (N,) int32
    begins: bool
    ends: bool


def stretches(numbered: Iterable[tuple[int, Fragment]], tokenizer: TextTokenizer) -> Iterator[Stretch]:
    """The positions of documents in order, a fragment at a time; fragments come with the numbers of their blocks.

    A document reads BOS, then its tokens; EOS is the label of the last. Text whose beginning is in a block that is not
    at hand begins with BOS like a document, so that each of its tokens is a label somewhere.
    """
    document, place, before, last = -1, 0, TextTokenizer.BOS, -2
    for number, fragment in numbered:
        begins = fragment.begins or number not in (last, last + 1)
        if begins:
            document, place, before = document + 1, 0, TextTokenizer.BOS
        ids = tokenizer.encode(fragment.text)
        labels = np.concatenate([ids, np.array([TextTokenizer.EOS] if fragment.ends else [], dtype=np.int32)])
        tokens = np.concatenate([np.array([before], dtype=np.int32), labels])[: len(labels)]
        before, last = int(ids[-1]) if len(ids) else before, -2 if fragment.ends else number
        yield Stretch(document, place, tokens, labels, begins, fragment.ends)
        place += len(labels)


def documents(numbered: Iterable[tuple[int, Fragment]], tokenizer: TextTokenizer) -> list[TextPositions]:
    """Whole documents, or as much of each as is in blocks that follow each other."""
    of_document: list[list[TextPositions]] = []
    for stretch in stretches(numbered, tokenizer):
        starts = np.zeros(len(stretch.labels), dtype=bool)
        starts[:1] = stretch.begins
        if stretch.begins:
            of_document.append([])
        of_document[-1].append(TextPositions(stretch.tokens, stretch.labels, starts))
    return [joined(parts) for parts in of_document]


def joined(parts: Sequence[TextPositions]) -> TextPositions:
    """Several documents, or parts of one, one after another."""
    if not parts:
        return TextPositions(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool))
    return TextPositions(*(np.concatenate(column) for column in zip(*parts, strict=True)))
