"""The display of results of calls: a prompt shows them as lines of text, a notebook as a table."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.core.notebook import html_lines, html_table
from sightline.data.rows.in_memory import frame_like
from sightline.report.text import visible


@dataclass(frozen=True, repr=False)
class ShownResult(ABC):
    """Results with a directory and a page.

    results: all numbers, the content of their file
    directory, report: where the files are, and the page for a browser
    """

    results: Any
    directory: Path
    report: Path

    @abstractmethod
    def _parts(self) -> tuple[str, list[tuple[str, ...]], Iterable[str]]:
        """The verdict, the rows of a table whose first one is its head, and notes below it."""

    def __repr__(self) -> str:
        verdict, rows, notes = self._parts()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(map(visible, (verdict, "", *lines, "", *notes, f"report: {self.report}")))

    def _repr_html_(self) -> str:
        verdict, (head, *rows), notes = self._parts()
        place = html.escape(str(self.report))
        link = f'<p>report: <a href="{place}">{place}</a></p>'
        return f"<p><b>{html.escape(verdict)}</b></p>{html_table(head, rows)}{html_lines(notes)}{link}"


def frame_of(rows: Sequence[dict[str, Any]], like: Any = None) -> Any:
    """A frame of rows with the same names, of the library that made `like`."""
    return frame_like({name: [row[name] for row in rows] for name in rows[0]}, like)
