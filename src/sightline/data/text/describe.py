"""A summary of running text: documents and their lengths, repeated documents, and suspicious content."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sightline.data.corpus import Corpus
from sightline.data.survey import CONTROL, SHOWN, DataFinding, Survey, histogram, spread
from sightline.data.text.part import TextPart

MOST_BYTES = 256 << 20  # of a part that are looked through
LONG_LINE = 2000  # characters


class _Look(NamedTuple):
    """The documents of one part, as far as they were read."""

    lengths: list[int]  # bytes of UTF-8
    digests: list[bytes]
    problems: dict[str, list[int]]  # numbers of documents, from 1
    characters: Counter[str]
    begins: str
    whole: bool  # False: only the first `MOST_BYTES`


def survey_text(corpus: Corpus[TextPart]) -> Survey:
    """Counts, lengths, repeated documents, overlaps and suspicious content; documents are numbered from 1 in a part."""
    parts = corpus.parts
    read = {name: _look(part) for name, part in parts.items()}
    known = set(read["train"].digests)
    alphabet = set(read["train"].characters)
    described = {
        name: {
            "documents": parts[name].documents,
            "bytes": parts[name].size,
            "document_bytes": spread(look.lengths),
            "distinct_documents": len(set(look.digests)),
            "documents_in_train": 0 if name == "train" else sum(digest in known for digest in look.digests),
            "characters": len(look.characters),
            "characters_not_in_train": len(set(look.characters) - alphabet),
        }
        for name, look in read.items()
    }
    notes = list(corpus.notes)
    notes += [
        f"{name}: only the first {MOST_BYTES >> 20} MiB were looked through for lengths and problems"
        for name, look in read.items()
        if not look.whole
    ]
    lengths = {name: look.lengths for name, look in read.items() if len(look.lengths) > 1}
    return corpus.survey(
        described,
        findings=[finding for name, look in read.items() for finding in _findings(name, look)],
        notes=notes,
        examples={name: repr(look.begins[:80]) for name, look in read.items() if look.begins},
        charts=histogram("Document length", "bytes of UTF-8", lengths, "documents") if lengths else [],
    )


def _look(part: TextPart) -> _Look:
    look = _Look([], [], {}, Counter(), "", True)
    begins, whole, inside, total = "", True, False, 0
    size, digest, line = 0, hashlib.sha256(), 0
    for fragment in part.fragments():
        if total > MOST_BYTES:
            whole = False
            break
        if fragment.begins:
            size, digest, line = 0, hashlib.sha256(), 0
        begins += fragment.text[: 80 - len(begins)] if not begins or not look.lengths else ""
        content = fragment.text.encode()
        size, total = size + len(content), total + len(content)
        digest.update(content)
        look.characters.update(fragment.text)
        number = len(look.lengths) + 1
        line = _longest_line(fragment.text, line)
        for problem, wrong in (
            ("control characters", CONTROL.search(fragment.text) is not None),
            ("the replacement character U+FFFD", "\ufffd" in fragment.text),
            (f"a line of more than {LONG_LINE:,} characters", line > LONG_LINE),
        ):
            if wrong and look.problems.setdefault(problem, [0])[-1] != number:
                look.problems[problem].append(number)
        inside = not fragment.ends
        if fragment.ends:
            look.lengths.append(size)
            look.digests.append(digest.digest())
    if inside and whole:  # of a text divided by position, the part ends before the document does
        look.lengths.append(size)
        look.digests.append(digest.digest())
    return look._replace(begins=begins, whole=whole)


def _longest_line(text: str, carried: int) -> int:
    """Characters of the longest line that ends in `text` or is still open, `carried` of its first line before it."""
    ends = np.flatnonzero(np.frombuffer(text.encode("utf-32-le"), np.uint32) == ord("\n")).tolist()
    edges = [-1 - carried, *ends, len(text)]
    return max(after - before - 1 for before, after in pairwise(edges))


def _findings(name: str, look: _Look) -> list[DataFinding]:
    times = Counter(look.digests)
    again = [number for number, digest in enumerate(look.digests, 1) if times[digest] > 1]
    every = {"the same document occurs more than once": [0, *again]} | look.problems
    return [
        DataFinding(name, problem, len(numbers) - 1, [f"document {number}" for number in numbers[1 : SHOWN + 1]])
        for problem, numbers in every.items()
        if len(numbers) > 1
    ]
