"""The public surface: each new public name, command or flag is a decision, seen as a change of tests/surface.txt.

`python tests/test_surface.py` rewrites the file.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App, Parameter

SURFACE = Path(__file__).with_name("surface.txt")
MODULES = (
    "sightline.core.errors",
    "sightline.core.state",
    "sightline.core.config",
    "sightline.models",
    "sightline.inspect",
    "sightline.ops",
    "sightline.testing",
)


def surface() -> Iterator[str]:
    import sightline
    from sightline.cli.app import build
    from sightline.core.config import encode
    from sightline.tasks.table import TASKS

    yield from (f"sightline.{name}" for name in sorted(sightline.__all__))
    for name in MODULES:
        module = importlib.import_module(name)
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == name]
        for key in sorted(getattr(module, "__all__", own)):
            if not key.startswith("_") and not isinstance(getattr(module, key), typing.TypeVar):
                yield f"{name}.{key}"
    yield from (f"mechanism {name}({fields(config)})" for name, config in sightline.MIXERS.items())
    yield from (f"architecture {name}({fields(type(config))})" for name, config in sightline.ARCHITECTURES.items())
    yield from flags(app := build(), "sightline", app.default_parameter)
    for name, task in TASKS.items():
        keys = dotted(encode(task.preset(task.Run().settings.arch)))
        yield from (f"configuration {name} {key}" for key in keys)


def flags(app: App, path: str, common: Parameter) -> Iterator[str]:
    """Every command below `app` with its arguments and flags, all spellings of each."""
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        if command.default_command is None:
            yield from flags(command, f"{path} {name}", common)
            continue
        for argument in command.assemble_argument_collection(default_parameter=common):
            if not argument.children:  # those of a group of flags are listed themselves
                yield f"{path} {name} {' '.join(argument.names) or argument.name}"


def dotted(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{path}{key}.")
        else:
            yield path + key


def fields(config: type) -> str:
    return ", ".join(inspect.signature(config).parameters)


def test_the_surface_is_the_one_that_was_decided_on():
    assert "\n".join(surface()) + "\n" == SURFACE.read_text(encoding="utf-8"), (
        "the public surface changed: if that is meant, run `python tests/test_surface.py` and commit the file"
    )


def test_every_output_directory_has_the_same_short_flag() -> None:
    every = SURFACE.read_text(encoding="utf-8").splitlines()
    pages = [line.removesuffix(" --out -o") for line in every if line.endswith(" --out -o")]  # whose -o is a file
    lines = [line for line in every if " --out-dir" in line and line.partition(" --out-dir")[0] not in pages]
    assert len(lines) >= 5
    assert [line for line in lines if not line.endswith(" --out-dir -o")] == []


if __name__ == "__main__":
    SURFACE.write_text("\n".join(surface()) + "\n", encoding="utf-8")
