"""The independent references of the mechanisms: slow float64 loops in tests/reference of a source checkout."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from sightline.testing.subject import Reference

PACKAGE = "sightline_reference"


def reference_folder() -> Path | None:
    """tests/reference beside this package's source, None where it was installed without."""
    folder = Path(__file__).resolve().parents[3] / "tests" / "reference"
    return folder if (folder / "__init__.py").is_file() else None


@cache
def reference_module(name: str) -> ModuleType | None:
    """tests/reference/<name>.py, or None outside a checkout and for a mechanism without one."""
    folder = reference_folder()
    if folder is None or not (folder / f"{name}.py").is_file():
        return None
    if PACKAGE not in sys.modules:
        _load(PACKAGE, folder / "__init__.py", [str(folder)])
    return importlib.import_module(f"{PACKAGE}.{name}")


def find_reference(config: Any) -> Reference | None:
    """The reference of a config of `MIXERS`, where there is one."""
    module = _module_of(config)
    return None if module is None else module.reference


def find_initial(config: Any) -> Callable | None:
    """The initial parameters that the paper fixes, where it does."""
    return getattr(_module_of(config), "initial", None)


def _module_of(config: Any) -> ModuleType | None:
    from sightline.mixers import MIXERS

    for name, kind in MIXERS.items():
        if type(config) is kind:
            return reference_module(name)
    return None


def _load(name: str, path: Path, search: list[str]) -> None:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
