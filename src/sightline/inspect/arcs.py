"""Do attention heads point from words to their syntactic heads? Agreement with dependency arcs, beside a baseline.

Clark, Khandelwal, Levy & Manning 2019 ("What does BERT look at?", arXiv:1906.04341, § 4.2) and Voita et al. 2019
(arXiv:1905.09418, § 5.2): the word that a head weighs most is taken for its answer, and a head must beat the best
fixed offset, since most arcs are short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.rows.files import read_lines


class Parsed(NamedTuple):
    """A sentence of a treebank."""

    words: list[str]
    heads: list[int]  # of each word the index of its head, -1 = the root
    relations: list[str]


def read_arcs(path: Path, limit: int | None = None) -> list[Parsed]:
    """The first `limit` sentences of a CoNLL-U file, gzipped or not; words only, as the format numbers them.

    Raises:
        InputError: "en.conllu:17: expected 10 columns, found 3"; "en.conllu:17: expected a head from 0 to 8, found
            'x'"; and what every reader of text files raises.
    """
    sentences: list[Parsed] = []
    rows: list[tuple[int, list[str]]] = []
    for line in read_lines(path):
        if line.error:
            raise InputError(line.error, where=f"{path}:{line.number}")
        if not line.text.strip():
            sentences += [_sentence(rows, path)] if rows else []
            rows = []
            if limit is not None and len(sentences) >= limit:
                return sentences
        elif not line.text.startswith("#"):
            cells = line.text.split("\t")
            if len(cells) != 10:
                raise InputError(f"expected 10 columns, found {len(cells)}", where=f"{path}:{line.number}")
            if cells[0].isdigit():
                rows.append((line.number, cells))
    return sentences + ([_sentence(rows, path)] if rows else [])


def _sentence(rows: Sequence[tuple[int, list[str]]], path: Path) -> Parsed:
    for number, cells in rows:
        if not (cells[6].isdigit() and int(cells[6]) <= len(rows)):
            raise InputError(f"expected a head from 0 to {len(rows)}, found {cells[6]!r}", where=f"{path}:{number}")
    words, heads, relations = zip(*((cells[1], int(cells[6]) - 1, cells[7].partition(":")[0]) for _, cells in rows))
    return Parsed(list(words), list(heads), list(relations))


def best_offset(sentences: Sequence[Parsed], relation: str | None = None) -> int:
    """The commonest distance from a word to its head, of all arcs or of those of one relation; 0 without arcs."""
    offsets = Counter(
        head - place
        for sentence in sentences
        for place, (head, label) in enumerate(zip(sentence.heads, sentence.relations))
        if head >= 0 and relation in (None, label)
    )
    return max(sorted(offsets), key=lambda offset: offsets[offset]) if offsets else 0


def offset_hits(sentence: Parsed, offset: int) -> np.ndarray:
    """For each arc of a sentence whether the fixed offset finds it; arcs in the order of words, roots left out."""
    return np.array([head - place == offset for place, head in enumerate(sentence.heads) if head >= 0], bool)


def arc_hits(weights: Tensor, sentence: Parsed) -> np.ndarray:
    """For each head whether it finds each arc, (H, arcs): its heaviest other word is the word's head.

    weights (H, T, T) of one sentence of T words. A word's weight on itself does not count, as no word heads itself.
    """
    length = len(sentence.words)
    own = weights[:, :length, :length].clone()
    own.diagonal(dim1=1, dim2=2).fill_(-1.0)
    answer = own.argmax(2).cpu().numpy()  # (H, T)
    heads = np.array(sentence.heads)
    return (answer == heads)[:, heads >= 0]
