"""The content of the files of real tools: one entry for each file, read as a user would name it.

Each module of `expected/` is for one module of `writers/`; its `CASES` are collected here. `docs/generate.py` makes the
page of formats from this table, and `test_cases.py` reads every file.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILES = Path(__file__).parent / "files"


class Case(NamedTuple):
    """One file of a tool.

    file: what `--data` names, relative to the tool's folder in `files/`
    kind: the format in words, for the table in the documentation
    task, keys: how a user reads it; a value of a key that starts with "@" is a path relative to the folder
    items: the result. translation: (source, target); classification: (text or shape of the source, label); language:
        texts; forecasting: (name, first time, values of all targets by step); others: (shapes of the sources, target)
    notes: a part of each note that must be given
    """

    file: str
    kind: str
    task: str
    items: list[Any]
    keys: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()
    tool: str = ""  # the module's name, filled in by `all_cases`

    @property
    def id(self) -> str:
        """A readable name."""
        return f"{self.tool}: {self.file} ({self.task})"

    @property
    def flags(self) -> str:
        """The flags that read the file, as they are typed."""
        values = {"data": self.file, **self.keys}
        typed = (f"--{key.replace('_', '-')} {str(value).removeprefix('@')}" for key, value in values.items())
        return f"`{' '.join(typed)}`"


def all_cases() -> list[Case]:
    """The cases of all tools."""
    tools = sorted(path.stem for path in (Path(__file__).parent / "expected").glob("*.py"))
    modules = {tool: importlib.import_module(f"tests.formats.expected.{tool}") for tool in tools}
    return [case._replace(tool=tool) for tool, module in modules.items() for case in module.CASES]


def versions() -> dict[str, str]:
    """The version of each tool that wrote its files."""
    return json.loads((FILES / "versions.json").read_text())
