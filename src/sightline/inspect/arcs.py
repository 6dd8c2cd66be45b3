"""Do attention heads point from words to their syntactic heads? Agreement with dependency arcs, beside a baseline.

Clark, Khandelwal, Levy & Manning 2019 ("What does BERT look at?", arXiv:1906.04341, § 4.2) and Voita et al. 2019
(arXiv:1905.09418, § 5.2): the word that a head weighs most is taken for its answer, and a head must beat the best
fixed offset, since most arcs are short.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.rows.files import read_lines

_NUMBER = re.compile(r"([1-9]\d*)(?:-([1-9]\d*))?|(\d+)\.[1-9]\d*", re.ASCII)  # of a word, of several, of an empty node


class Parsed(NamedTuple):
    """A sentence of a treebank.

    text: put together from its words, and from the tokens that are several words, such as "don't" of "do" and "n't"
    spans: of each word its first character in the text and the end; of words of one token those of the token, unless
        it is the words one after another
    """

    words: list[str]
    heads: list[int]  # of each word the index of its head, -1 = the root
    relations: list[str]
    text: str = ""
    spans: Sequence[tuple[int, int]] = ()


class _WordLine(NamedTuple):
    """A line of words: their numbers, of an empty node none, and the ten cells."""

    line: int
    first: int
    last: int
    cells: list[str]


def read_arcs(path: Path, limit: int | None = None) -> list[Parsed]:
    """The first `limit` sentences of a CoNLL-U file (universaldependencies.org/format.html), gzipped or not.

    Empty nodes (8.1) belong to no basic tree and are left out. Relations are without their subtype: "nsubj" of
    "nsubj:pass".

    Raises:
        InputError: "en.conllu:17: expected 10 columns, found 3"; "en.conllu:17: expected word 4, found '5'", where
            words are not numbered 1, 2, 3, …; "en.conllu:17: expected a head from 0 to 8, found 'x'"; "en.conllu:17:
            a word cannot be its own head"; "en.conllu:17: expected words after 3, found '2-3'", of a token of several
            words; "en.conllu: has no sentences"; and what every reader of text files raises.
    """
    sentences: list[Parsed] = []
    rows: list[_WordLine] = []
    for line in read_lines(path):
        if line.error:
            raise InputError(line.error, where=f"{path}:{line.number}")
        if not line.text.strip():
            sentences += [_sentence(rows, path)] if rows else []
            rows = []
            if limit is not None and len(sentences) >= limit:
                return sentences
        elif not line.text.startswith("#"):
            rows.append(_row(line.text, f"{path}:{line.number}", line.number))
    sentences += [_sentence(rows, path)] if rows else []
    if not sentences:
        raise InputError("has no sentences", where=path)
    return sentences


def _row(text: str, where: str, line: int) -> _WordLine:
    cells = text.split("\t")
    if len(cells) != 10:
        raise InputError(f"expected 10 columns, found {len(cells)}", where=where)
    number = _NUMBER.fullmatch(cells[0])
    if number is None:
        raise InputError(f"expected the number of a word, found {cells[0]!r}", where=where)
    first = int(number[1] or 0)
    return _WordLine(line, first, int(number[2] or first), cells)


def _sentence(rows: Sequence[_WordLine], path: Path) -> Parsed:
    words = [row for row in rows if row.first and "-" not in row.cells[0]]
    if not words:
        raise InputError("a sentence without words", where=f"{path}:{rows[0].line}")
    for place, row in enumerate(words, 1):
        where, head = f"{path}:{row.line}", row.cells[6]
        if row.first != place:
            raise InputError(f"expected word {place}, found {row.cells[0]!r}", where=where)
        if not (head.isascii() and head.isdigit() and int(head) <= len(words)):
            raise InputError(f"expected a head from 0 to {len(words)}, found {head!r}", where=where)
        if int(head) == place:
            raise InputError("a word cannot be its own head", where=where)
    text, spans = _text(rows, len(words), path)
    return Parsed(
        [row.cells[1] for row in words],
        [int(row.cells[6]) - 1 for row in words],
        [row.cells[7].partition(":")[0] for row in words],
        text,
        spans,
    )


def _text(rows: Sequence[_WordLine], words: int, path: Path) -> tuple[str, list[tuple[int, int]]]:
    """The text, and the span of each word."""
    text, covered = "", 0  # words up to this one belong to a token that is written already
    spans: list[tuple[int, int]] = []
    forms = {row.first: row.cells[1] for row in rows if row.first == row.last and "-" not in row.cells[0]}
    for row in rows:
        if not row.first or (row.last <= covered and "-" not in row.cells[0]):
            continue
        if row.first != covered + 1 or not row.first <= row.last <= words:
            raise InputError(f"expected words after {covered}, found {row.cells[0]!r}", where=f"{path}:{row.line}")
        begin, form = len(text), row.cells[1]
        text += form
        parts = [forms[number] for number in range(row.first, row.last + 1)]
        if "".join(parts) == form:
            ends = [begin + len("".join(parts[: number + 1])) for number in range(len(parts))]
            spans += zip([begin, *ends[:-1]], ends)
        else:
            spans += [(begin, len(text))] * len(parts)
        text += "" if "SpaceAfter=No" in row.cells[9].split("|") else " "
        covered = row.last
    return text.rstrip(" "), spans


def best_offset(sentences: Sequence[Parsed], relation: str | None = None) -> int:
    """The commonest distance from a word to its head, of all arcs or of those of one relation; 0 without arcs."""
    offsets = Counter(
        head - place
        for sentence in sentences
        for place, (head, label) in enumerate(zip(sentence.heads, sentence.relations))
        if head >= 0 and relation in (None, label)
    )
    return max(sorted(offsets), key=lambda offset: offsets[offset]) if offsets else 0


def arc_relations(sentence: Parsed) -> list[str]:
    """The relations of a sentence's arcs, in the order of words, roots left out."""
    return [relation for relation, head in zip(sentence.relations, sentence.heads) if head >= 0]


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
