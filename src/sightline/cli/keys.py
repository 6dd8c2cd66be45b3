"""The keys of every task's configuration, for `--help`: read from a generated file, so that help needs no torch."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

WIDTH = 80
DEFAULT = "translation"


def load_keys() -> dict[str, list[dict[str, Any]]]:
    """For each task its keys, in order: name, values, default, description (docs/generate.py writes the file)."""
    return json.loads((files("sightline.cli") / "keys.json").read_text(encoding="utf-8"))


def keys_help(arguments: Sequence[str]) -> str:
    """All keys of the task that the arguments name (`--task forecasting --help`), else of translation."""
    keys = load_keys()
    task = _task_of(arguments)
    task = task if task in keys else DEFAULT
    others = ", ".join(name for name in keys if name != task)
    lines = textwrap.wrap(f"All keys of {task} (`--task NAME --help` lists those of {others}):", WIDTH)
    for row in keys[task]:
        default = f" [{row['default']}]" if row["default"] else ""
        head = f"--{row['name'].replace('_', '-')}  {row['values']}{default}"
        lines += ["", *textwrap.wrap(head, WIDTH, subsequent_indent="      ")]
        lines += textwrap.wrap(row["description"], WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _task_of(arguments: Sequence[str]) -> str | None:
    for place, argument in enumerate(arguments):
        if argument == "--task":
            return next(iter(arguments[place + 1 :]), None)
        if argument.startswith("--task="):
            return argument.partition("=")[2]
    return None
