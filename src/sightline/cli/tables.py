"""Results on standard output: as JSON, or as tables, of which a pipe or a file gets every cell whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sightline.cli.messages import print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDEST = 10_000


def table_of(headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, lined: bool = False) -> Table:
    """A table whose first `left` columns are words and whose others are numbers; lined: below its headings."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sightline.report.text import visible

    looks: dict[str, Any] = {"box": box.SIMPLE_HEAD} if lined else {"box": None, "header_style": ""}
    table = Table(pad_edge=False, padding=(0, 2, 0, 0), **looks)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < left or not heading else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


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
        print_json(results.to_dict())
        return
    print_table(results)
    print(ending)
