"""Tables on standard output, of which a pipe or a file gets every cell whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDEST = 10_000


def console_for(table: Table, least: int) -> Console:
    """A console at least `least` columns wide, and as wide as the table where the output is not a terminal.

    Without a terminal rich takes a width of 80 and ends cells that do not fit in an ellipsis.
    """
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, least)
    if not console.is_terminal:
        whole = console.measure(table, options=console.options.update(width=WIDEST)).maximum
        console.width = max(console.width, whole)
    return console
