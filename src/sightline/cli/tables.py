"""Results on standard output: as JSON, or as tables, of which a pipe or a file gets every cell whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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


def show_results(results: Any, print_table: Callable[[Any], None], ending: str, *, json: bool) -> None:
    """Print the results as one JSON object, or as a table with an ending."""
    if json:
        from sightline.core.json_text import to_json

        print(to_json(results.to_dict()))
        return
    print_table(results)
    print(ending)
