"""Translation memories (TMX 1.4) and XLIFF (1.2, 2.0), read as streams: a row is a unit, a cell a text of it.

Inline codes (`ph`, `bpt`, `it`, …) are left out, text inside highlights (`hi`, `g`, `pc`, `mrk`) stays. A file that
declares entities is refused: nothing outside it is read, and nothing in it grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from sightline.core.errors import InputError
from sightline.data.rows.files import MAX_LINE_BYTES, check_expansion, check_file, open_bytes, plain_errors
from sightline.data.rows.json_lines import under
from sightline.data.rows.record import Record, Rows

_UNITS = {"tmx": ("tu",), "xliff": ("trans-unit", "segment")}  # of each root, the elements that are rows
_CODES = frozenset(("bpt", "ept", "it", "ph", "ut", "x", "bx", "ex", "sc", "ec"))  # whose content is not text


@final
class XmlUnits(Rows):
    """A file of translation units.

    root: tmx or xliff. The cells of TMX are named by language, that of the header's `srclang` first; those of XLIFF
    `source` and `target`
    """

    in_bytes = False
    seekable = False

    def __init__(self, path: Path, root: str) -> None:
        check_file(path)
        super().__init__(path)
        self._root = root

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        for number, (line, cells) in enumerate(self._units(), 1):
            problem = None
            if names is not None:
                try:
                    cells = {name: under(cells, name) for name in names}
                except ValueError as error:
                    cells, problem = {}, str(error)
            yield Record(line, cells, problem, number)

    def _units(self) -> Iterator[tuple[int, dict[str, Any]]]:
        parser = _Parser(self.path, self._root)
        size, expanded = self.path.stat().st_size, 0
        with open_bytes(self.path) as stream, plain_errors(self.path):
            while block := stream.read(1 << 16):
                expanded += len(block)
                check_expansion(expanded, size, self.path)
                yield from parser.feed(block)
        if not expanded:
            raise InputError("is empty", where=self.path)
        yield from parser.feed(b"", last=True)


@final
class _Parser:
    """Collects units while a file is parsed."""

    def __init__(self, path: Path, root: str) -> None:
        self._path, self._root = path, root
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.EntityDeclHandler = lambda *_: self._refuse("declares entities, which are not read")
        self._expat.SkippedEntityHandler = lambda name, *_: self._refuse(f"uses the entity &{name};, which is not read")
        self._open: list[str] = []
        self._ready: list[tuple[int, dict[str, Any]]] = []
        self._unit: tuple[int, dict[str, Any]] | None = None
        self._source = self._language = ""
        self._text: list[str] | None = None
        self._depth = self._codes = self._size = 0

    def feed(self, block: bytes, *, last: bool = False) -> list[tuple[int, dict[str, Any]]]:
        """Parse a block; returns the units that end in it."""
        self._ready = []
        try:
            self._expat.Parse(block, last)
        except expat.ExpatError as error:
            problem = expat.ErrorString(error.code)
            raise InputError(f"broken XML: {problem}", where=f"{self._path}:{error.lineno}") from None
        except LookupError as error:  # encodings that expat does not know are Python's
            raise InputError(f"broken XML: {error}; save the file as UTF-8", where=f"{self._path}:1") from None
        return self._ready

    def _refuse(self, problem: str) -> None:
        raise InputError(problem, where=f"{self._path}:{self._expat.CurrentLineNumber}")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if not self._open and tag != self._root:
            self._refuse(f"is XML, but not {self._root}: its root is <{name}>")
        parent = self._open[-1] if self._open else ""
        self._open.append(tag)
        if self._text is not None:
            self._codes += tag in _CODES
            if tag == "cp" and not self._codes:  # a character that XML cannot contain, by its number
                self._text.append(chr(int(attributes.get("hex", "FFFD"), 16)))
        elif tag == "header":
            self._source = attributes.get("srclang", "").lower()
        elif tag in _UNITS[self._root]:
            self._unit = self._expat.CurrentLineNumber, {}
        elif tag == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang", "")
        elif self._unit is not None and (
            (tag == "seg" and parent == "tuv") or (tag in ("source", "target") and parent in _UNITS[self._root])
        ):
            self._text, self._depth, self._size = [], len(self._open), 0
            self._language = self._language if tag == "seg" else tag

    def _characters(self, text: str) -> None:
        if self._text is not None and not self._codes:
            self._text.append(text)
            self._size += len(text)
            if self._size > MAX_LINE_BYTES:
                self._refuse(f"a text is longer than {MAX_LINE_BYTES} characters")

    def _end(self, name: str) -> None:
        tag = self._open[-1]
        if self._text is not None:
            self._codes -= tag in _CODES
            if len(self._open) == self._depth and self._unit is not None:
                self._unit[1][self._language] = "".join(self._text)
                self._text = None
        elif self._unit is not None and tag in _UNITS[self._root]:
            line, cells = self._unit
            first = [key for key in cells if key.lower() == self._source]
            self._ready.append((line, {key: cells[key] for key in dict.fromkeys((*first, *cells))}))
            self._unit = None
        self._open.pop()


def tmx_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """A TMX file whose languages are the columns."""
    source = quoteattr(next(iter(columns), "*all*"))
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n<header srclang={source}/>\n<body>\n'
    languages = [quoteattr(name) for name in columns]
    rows = zip(*columns.values(), strict=True)
    units = (
        "".join(f"<tuv xml:lang={a}><seg>{_escaped(b)}</seg></tuv>" for a, b in zip(languages, row)) for row in rows
    )
    return (head + "".join(f"<tu>{unit}</tu>\n" for unit in units) + "</body>\n</tmx>\n").encode()


def xliff_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """An XLIFF 1.2 file of the columns `source` and `target`."""
    units = (
        f'<trans-unit id="{number}">' + "".join(f"<{tag}>{_escaped(text)}</{tag}>" for tag, text in zip(columns, row))
        for number, row in enumerate(zip(*columns.values(), strict=True), 1)
    )
    body = "".join(f"{unit}</trans-unit>\n" for unit in units)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<xliff version="1.2">\n<file><body>\n'
    return f"{head}{body}</body></file>\n</xliff>\n".encode()


def _escaped(text: object) -> str:
    return escape(str(text), {"\r": "&#13;"})
