"""CoNLL-U (universaldependencies.org/format.html): a row is a sentence.

Its cells are its comments (`# text = …`, `# text_en = …`), the text, put together from the words where no comment has
it, and the words' columns `form`, `lemma` and `upos`, each joined by spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, final

from sightline.data.rows.files import TextLine
from sightline.data.rows.json_lines import LineRows, record_of
from sightline.data.rows.record import Record

_COMMENT = re.compile(r"# ?(\S+) = (.*)")
_COLUMNS = {"form": 1, "lemma": 2, "upos": 3}


@final
class Conllu(LineRows):
    """A file of sentences."""

    def parse(self, lines: Iterable[TextLine], names: Sequence[str] | None) -> Iterator[Record]:
        block: list[TextLine] = []
        for line in lines:
            if line.text or line.error:
                block.append(line)
            elif block:
                yield _record(block, line.stop, names)
                block = []
        if block:
            yield _record(block, block[-1].stop, names)


def _record(block: Sequence[TextLine], stop: int, names: Sequence[str] | None) -> Record:
    problem = next((f"{line.error} (line {line.number})" for line in block if line.error), None)
    return record_of(block[0].number, partial(_cells, block), problem, stop, names)


def _cells(block: Sequence[TextLine]) -> dict[str, Any]:
    comments: dict[str, Any] = {}
    words: list[list[str]] = []
    text, covered = "", 0  # up to this word a token of several words has its own form
    for line in block:
        if line.text.startswith("#"):
            if match := _COMMENT.fullmatch(line.text):
                comments[match[1]] = match[2]
            continue
        word = line.text.split("\t")
        if len(word) != 10:
            raise ValueError(f"expected 10 columns, found {len(word)} (line {line.number})")
        first, dash, last = word[0].partition("-")
        if dash and last.isdigit():
            covered = int(last)
        elif first.isdigit():
            words.append(word)
        if dash or (first.isdigit() and int(first) > covered):
            text += word[1] + ("" if "SpaceAfter=No" in word[9].split("|") else " ")
    if not words:
        raise ValueError("a sentence without words")
    columns = {name: [word[place] for word in words] for name, place in _COLUMNS.items()}
    filled = {name: " ".join(cells) for name, cells in columns.items() if set(cells) != {"_"}}  # "_" is unspecified
    return {**filled, **({"text": text.strip()} if "form" in filled else {}), **comments}


def conllu_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """A CoNLL-U file with the columns as comments.

    Raises:
        ValueError: "row 7 contains a line break, which CoNLL-U cannot store".
    """
    sentences = []
    for number, row in enumerate(zip(*(map(str, cells) for cells in columns.values()), strict=True), 1):
        if any("\n" in cell or cell.endswith("\r") for cell in row):
            raise ValueError(f"row {number} contains a line break, which CoNLL-U cannot store")
        comments = "".join(f"# {name} = {cell}\n" for name, cell in zip(columns, row, strict=True))
        sentences.append(comments + "1" + "\t_" * 9 + "\n\n")
    return "".join(sentences).encode()
