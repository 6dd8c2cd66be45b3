"""What running text holds: documents and their lengths, which occur more than once, and what looks wrong in them."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sightline.data.survey import CONTROL, Finding, Survey, histogram, spread
from sightline.data.text.corpus import TextCorpus, TextPart

MOST_BYTES = 256 << 20  # of a part that are looked through
LONG_LINE = 2000  # characters
SHOWN = 10


class _Read(NamedTuple):
    """What one part's documents are like, as far as they were read."""

    lengths: list[int]  # bytes of UTF-8
    digests: list[bytes]
    problems: dict[str, list[int]]  # numbers of documents, from 1
    characters: Counter[str]
    begins: str
    whole: bool  # False: only the first so many bytes


def survey_text(corpus: TextCorpus) -> Survey:
    """Counts, lengths, repeated documents, overlaps and what looks wrong; documents are numbered from 1 in a part."""
    parts = {part.name: part for part in (corpus.train, corpus.valid, corpus.test)}
    read = {name: _look(part) for name, part in parts.items()}
    known = set(read["train"].digests)
    alphabet = set(read["train"].characters)
    described = {
        name: {
            "documents": parts[name].documents,
            "bytes": parts[name].size,
            "document_bytes": spread(found.lengths),
            "distinct_documents": len(set(found.digests)),
            "documents_in_train": 0 if name == "train" else sum(digest in known for digest in found.digests),
            "characters": len(found.characters),
            "characters_not_in_train": len(set(found.characters) - alphabet),
        }
        for name, found in read.items()
    }
    notes = list(corpus.notes)
    notes += [
        f"{name}: only the first {MOST_BYTES >> 20} MiB were looked through for lengths and problems"
        for name, found in read.items()
        if not found.whole
    ]
    lengths = {name: found.lengths for name, found in read.items() if len(found.lengths) > 1}
    return Survey(
        corpus.name,
        corpus.sha256,
        described,
        [finding for name, found in read.items() for finding in _findings(name, found)],
        notes,
        {name: repr(found.begins[:80]) for name, found in read.items() if found.begins},
        histogram("Document length", "bytes of UTF-8", lengths, "documents") if lengths else [],
    )


def _look(part: TextPart) -> _Read:
    found = _Read([], [], {}, Counter(), "", True)
    begins, whole, total = "", True, 0
    size, digest, line = 0, hashlib.sha256(), 0
    for fragment in part.fragments():
        if total > MOST_BYTES:
            whole = False
            break
        if fragment.begins:
            size, digest, line = 0, hashlib.sha256(), 0
        begins = begins or fragment.text[:80]
        content = fragment.text.encode()
        size, total = size + len(content), total + len(content)
        digest.update(content)
        found.characters.update(fragment.text)
        number = len(found.lengths) + 1
        line = _longest_line(fragment.text, line)
        for problem, wrong in (
            ("control characters", CONTROL.search(fragment.text) is not None),
            ("the replacement character U+FFFD", "\ufffd" in fragment.text),
            (f"a line of more than {LONG_LINE:,} characters", line > LONG_LINE),
        ):
            if wrong and found.problems.setdefault(problem, [0])[-1] != number:
                found.problems[problem].append(number)
        if fragment.ends:
            found.lengths.append(size)
            found.digests.append(digest.digest())
    return found._replace(begins=begins, whole=whole)


def _longest_line(text: str, carried: int) -> int:
    """Characters of the longest line that ends in `text` or is still open, `carried` of its first line before it."""
    ends = np.flatnonzero(np.frombuffer(text.encode("utf-32-le"), np.uint32) == ord("\n")).tolist()
    edges = [-1 - carried, *ends, len(text)]
    return max(after - before - 1 for before, after in pairwise(edges))


def _findings(name: str, found: _Read) -> list[Finding]:
    times = Counter(found.digests)
    again = [number for number, digest in enumerate(found.digests, 1) if times[digest] > 1]
    every = {"the same document occurs more than once": [0, *again]} | found.problems
    return [
        Finding(name, problem, len(numbers) - 1, [f"document {number}" for number in numbers[1 : SHOWN + 1]])
        for problem, numbers in every.items()
        if len(numbers) > 1
    ]
