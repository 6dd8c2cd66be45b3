"""The cells of a page's tables, and its sentences: whether each number in them is what its place in the file has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from statistics import fmean, median
from typing import Any, NamedTuple
from urllib.parse import unquote

NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
SUFFIXES = {"kB": 1e-3, "MB": 1e-6, "GB": 1e-9, "M": 1e-6, "kJ": 1e-3, "MJ": 1e-6}
SCALES = (1.0, 100.0, 1000.0)  # percentages, and seconds in milliseconds
VOID = {"br", "img", "input", "meta", "link"}


class CellText(NamedTuple):
    """Text of a cell, with the sources and the way of the nearest element around it that has some."""

    text: str
    sources: tuple[str, ...]
    how: str
    words: bool


class Cells(HTMLParser):
    """The pieces of all cells of the tables of class `data`, except those of class `derived`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces: list[CellText] = []
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tables = [attrs.get("class") or "" for tag, attrs in self.stack if tag == "table"]
        cells = [at for at, (tag, _) in enumerate(self.stack) if tag == "td"]
        if not tables or not cells or "data" not in tables[0].split() or "derived" in tables[0].split():
            return
        inside = [attrs for _, attrs in self.stack[cells[-1] :]]
        near = next((attrs for attrs in reversed(inside) if attrs.get("data-source")), {})
        sources = tuple((near.get("data-source") or "").split())
        words = "words" in (inside[0].get("class") or "").split()
        piece = CellText(data, sources, near.get("data-how") or "", words)
        last = self.pieces[-1] if self.pieces else None
        if last and sources and last.sources == sources:
            self.pieces[-1] = piece._replace(text=last.text + data)
        else:
            self.pieces.append(piece)


class Sentences(Cells):
    """The pieces of all text outside of tables, figures, code and foreign text; `words` is False for all."""

    LEFT_OUT = frozenset({"table", "figure", "script", "style", "svg", "pre", "code", "bdi", "nav", "title", "summary"})

    def handle_data(self, data: str) -> None:
        if not self.LEFT_OUT.isdisjoint(tag for tag, _ in self.stack):
            return
        near = next((attrs for _, attrs in reversed(self.stack) if attrs.get("data-source")), {})
        self.pieces.append(
            CellText(data, tuple((near.get("data-source") or "").split()), near.get("data-how") or "", False)
        )


def without_spans(page: str) -> str:
    """The page without the elements that give numbers their places, and with spaces that can break."""
    return re.sub(r"</?span\b[^>]*>", "", page).replace("\u00a0", " ")


def wrong_sentences(
    page: str, file: str, plain: dict[str, Any], constants: Iterable[str] = ()
) -> tuple[int, list[str]]:
    """As `wrong_cells` for the numbers of the sentences; `constants` are texts of the page's own with numbers."""
    known = re.compile("|".join(map(re.escape, sorted(constants, key=len, reverse=True))) or "(?!)")
    pieces = [
        piece if piece.sources else piece._replace(text=known.sub("", piece.text.replace("\u00a0", " ")))
        for piece in Sentences(page).pieces
    ]
    return wrong_pieces(pieces, file, plain)


def wrong_cells(page: str, file: str, plain: dict[str, Any]) -> tuple[int, list[str]]:
    """How many numbers of the page were found at their places, and what is wrong with the others."""
    return wrong_pieces(Cells(page).pieces, file, plain)


def wrong_pieces(pieces: Iterable[CellText], file: str, plain: dict[str, Any]) -> tuple[int, list[str]]:
    """How many numbers of the pieces were found at their places, and what is wrong with the others."""
    content, right, wrong = json.loads(json.dumps(plain)), 0, []
    for piece in pieces:
        numbers = list(NUMBER.finditer(piece.text))
        if not piece.sources:
            if numbers and not piece.words:
                wrong.append(f"no source: {piece.text!r}")
            continue
        assert all(source.startswith(f"{file}#/") for source in piece.sources), piece
        values = [value_at(content, unquote(source.partition("#")[2])) for source in piece.sources]
        if piece.how == "derived":
            right += 1
            continue
        if piece.how == "text":
            right += len(numbers)
            wrong += [] if _plain(piece.text) in _plain(values[0]) else [f"{piece.text!r} is not {values}"]
            continue
        if not piece.how and isinstance(values[0], str):  # a budget
            right += len(numbers)
            wrong += [] if _plain(piece.text) == _plain(values[0]) else [f"{piece.text!r} is not {values}"]
            continue
        wanted = _derived(piece.how, values)
        if len(numbers) != len(wanted) or not all(
            _shows(piece.text, n, v) for n, v in zip(numbers, wanted, strict=True)
        ):
            wrong.append(f"{piece.text!r} is not {wanted} ({' '.join(piece.sources)})")
        right += len(numbers)
    return right, wrong


def _plain(text: str) -> str:
    """The text without what a page adds to budgets: spaces, commas, and units in full."""
    return re.sub(r"[\s,]", "", text).replace("tokens", "tok").replace("FLOPs", "flop")


def value_at(content: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901) in a file's content."""
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        content = content[int(part)] if isinstance(content, list) else content[part]
    return content


def _derived(how: str, values: list[Any]) -> list[float]:
    match how:
        case "":
            return values
        case "minus":
            return [-values[0]]
        case "mean":
            return [fmean(values)]
        case "median":
            return [median(values[0])]
        case "least":
            return [min(values)]
        case "most":
            return [max(values)]
        case "count":
            return [len(values[0]) if isinstance(values[0], list) else len(values)]
        case "ratio":
            return [values[0] / values[1]]
        case "ratio of differences":
            return [(values[0] - values[1]) / (values[2] - values[3])]
        case "mean of ratios":
            return [fmean(_ratios(values))]
        case "least of ratios":
            return [min(_ratios(values))]
        case "spread of ratios":
            return [max(_ratios(values)) / min(_ratios(values)) - 1]
    raise AssertionError(how)


def _ratios(values: list[float]) -> list[float]:
    return [a / b for a, b in zip(values[::2], values[1::2], strict=True)]


def _shows(text: str, number: re.Match[str], value: float) -> bool:
    """Whether the number in the text is the value, rounded to its last digit."""
    shown = float(number[0].replace("−", "-").replace(",", ""))
    if text.strip().startswith("<"):
        return value < shown
    mantissa, _, power = number[0].partition("e")
    digit = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    suffix = re.match(r"\s*(kB|MB|GB|M|kJ|MJ)\b", text[number.end() :])
    scales = (SUFFIXES[suffix[1]],) if suffix else SCALES
    return any(abs(scale * value - shown) <= 0.5 * digit * (1 + 1e-6) + 1e-12 * abs(shown) for scale in scales)
