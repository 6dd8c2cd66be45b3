"""For notebooks: tables, and a display that is replaced in place, so that progress is one bar and not many lines."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, final

from sightline.core.digits import percent

EVERY_S = 0.25  # between two updates


def in_notebook() -> bool:
    """Whether the code runs in the kernel of a notebook."""
    shell: Any = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


@final
class Pane:
    """One output of a cell: a bar and lines of text below it."""

    def __init__(self) -> None:
        display = import_module("IPython.display").display  # in a notebook it is there
        self._handle: Any = display(_content(0.0, [""]), raw=True, display_id=True)
        self._last = time.monotonic()

    def show(self, fraction: float, lines: list[str], *, now: bool = False) -> None:
        """Replace the content, at most once in `EVERY_S` unless it must be `now`."""
        if now or time.monotonic() - self._last >= EVERY_S:
            self._last = time.monotonic()
            self._handle.update(_content(fraction, lines), raw=True)


def _content(fraction: float, lines: list[str]) -> dict[str, str]:
    text = "\n".join(lines)
    bar = f'<progress max="1" value="{fraction:.3f}" style="width:24em"></progress>'
    return {"text/plain": f"{percent(fraction)} {text}", "text/html": f"{bar}<pre>{html.escape(text)}</pre>"}


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells, which stay text."""
    return f"<table>{''.join([_row(head, 'th'), *(_row(row, 'td') for row in rows)])}</table>"


def html_lines(lines: Iterable[str]) -> str:
    """A paragraph for each line, which stays text."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _row(cells: Sequence[str], kind: str) -> str:
    return f"<tr>{''.join(f'<{kind}>{html.escape(cell)}</{kind}>' for cell in cells)}</tr>"
