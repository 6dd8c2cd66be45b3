"""CoNLL-U (universaldependencies.org/format.html): a row is a sentence.

Its cells are its comments (`# text = …`, `# text_en = …`), the text, put together from the words where no comment has
it, and the words' columns `form`, `lemma` and `upos`, each joined by spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from sightline.data.rows.files import Content, TextLine, check_file, read_lines, split_lines
from sightline.data.rows.json_lines import under
from sightline.data.rows.record import Record, Rows

_COMMENT = re.compile(r"# ?(\S+) = (.*)")
_COLUMNS = {"form": 1, "lemma": 2, "upos": 3}


@final
class Conllu(Rows):
    """A file of sentences."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        super().__init__(path)
        self._content = Content(path)

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        return _sentences(read_lines(self.path), names)

    def part(self, names: Sequence[str], start: int, stop: int, line: int) -> Iterator[Record]:
        return _sentences(split_lines(self._content.read(start, stop), line, start), names)


def _sentences(lines: Iterable[TextLine], names: Sequence[str] | None) -> Iterator[Record]:
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
    cells, problem = {}, next((f"{line.error} (line {line.number})" for line in block if line.error), None)
    if problem is None:
        try:
            cells = _cells(block)
            if names is not None:
                cells = {name: under(cells, name) for name in names}
        except ValueError as error:
            cells, problem = {}, str(error)
    return Record(block[0].number, cells, problem, stop)


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
