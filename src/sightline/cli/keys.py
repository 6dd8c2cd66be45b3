"""The keys of every task's configuration, for `--help`: read from a generated file, so that help needs no torch."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise
from typing import Any

from sightline.tasks.defaults import EXAMPLES, compared

WIDTH = 80
DEFAULT = "translation"


def load_keys() -> dict[str, list[dict[str, Any]]]:
    """For each task its keys, in order, with group, values, default and description (written by docs/generate.py)."""
    return json.loads((files("sightline.cli") / "keys.json").read_text(encoding="utf-8"))


def keys_help(arguments: Sequence[str]) -> str:
    """All keys of the task that the arguments name (`--task forecasting --help`), else of translation, in groups, after
    an example for it. A comparison, whose architectures `--archs` names, has no key `arch`, nor has a ladder.
    """
    verb = arguments[0]
    compares = verb != "train"
    keys = load_keys()
    task = next(iter(_values_of("--task", arguments)), None)
    task = task if task in keys else DEFAULT
    others = ", ".join(name for name in keys if name != task)
    lines = textwrap.wrap(f"Example for {task} (`--task NAME --help` shows {others}):", WIDTH)
    shown = "`train --print-config` prints them" if compares else "add --print-config"
    note = f"Defaults are those of {compared(task)[-1]}. Other architectures have their own: {shown}."
    lines += ["", " \\\n      ".join(textwrap.wrap("  " + _example(task, verb), WIDTH - 8, break_on_hyphens=False))]
    lines += ["", *textwrap.wrap(note, WIDTH)]
    group = ""
    for row in keys[task]:
        if compares and row["name"] == "arch":
            continue
        if row["group"] != group:
            group = row["group"]
            lines += ["", group, "─" * len(group)]
        default = f" [{row['default']}]" if row["default"] else ""
        head = f"--{row['name'].replace('_', '-')}  {row['values']}{default}"
        lines += ["", *textwrap.wrap(head, WIDTH, subsequent_indent="      ")]
        lines += textwrap.wrap(row["description"], WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join([*lines, *_plugins_help(arguments)])


def _plugins_help(arguments: Sequence[str]) -> list[str]:
    """The architectures of the plugins that the arguments name, by form; none are loaded where they name none."""
    named = _values_of("--plugin", arguments)
    if not named:
        return []
    from sightline.models.plugins import load_plugins

    lines = []
    for plugin in load_plugins(named):
        title = f"Plugin {plugin.name}"
        lines += ["", title, "─" * len(title)]
        for arch, forms in plugin.forms.items():
            lines += ["", *textwrap.wrap(f"{arch} ({', '.join(forms)})", WIDTH, subsequent_indent="    ")]
    return lines


def _example(task: str, verb: str) -> str:
    """A command line to train with; without its architecture one to compare with, or for a ladder; to scale with, with
    a budget that every size can have.
    """
    line = EXAMPLES[task]
    if verb == "train":
        return line
    line = re.sub(r" --arch \S+", "", line).replace("sightline train", f"sightline {verb}")
    if verb == "scale":
        line = re.sub(r" --budget \S+", " --budget 2Mtok", line)
    return line.replace(" --data", "") if verb == "ladder" else line


def _values_of(flag: str, arguments: Sequence[str]) -> list[str]:
    """All values of a flag, written `--flag value` or `--flag=value`."""
    values = [after for argument, after in pairwise(arguments) if argument == flag]
    return values + [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{flag}=")]
