"""A table in a pipe or a file has every cell whole, however wide it is; a terminal keeps its width."""

from __future__ import annotations

import io

import pytest
from rich import console as rich_console
from rich.table import Table

from sightline.cli.tables import console_for

LONG = "0123456789 " * 20


def table() -> Table:
    rows = Table(box=None)
    for heading in ("name", "exponent"):
        rows.add_column(heading, no_wrap=True)
    rows.add_row("gru", LONG)
    return rows


def test_a_pipe_gets_every_cell_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table()
    console_for(rows, 100).print(rows)
    assert LONG.strip() in capsys.readouterr().out


def test_a_terminal_keeps_its_width_but_for_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    real = rich_console.Console

    def terminal(**options: object) -> rich_console.Console:
        return real(file=io.StringIO(), force_terminal=True, width=140, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(rich_console, "Console", terminal)
    assert console_for(table(), 100).width == 140
    assert console_for(table(), 150).width == 150
