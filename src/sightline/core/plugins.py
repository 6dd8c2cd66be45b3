"""Modules outside of the package that the user names as plugins: a file, a module, or an installed entry point.

Nothing here reads a name out of a model or a configuration: what is imported is what the user typed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import final

from sightline.core.errors import InputError, one_line

GROUP = "sightline.mixers"  # of entry points
MODULE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


@final
@dataclass(frozen=True)
class PluginSource:
    """An imported module, and what tells it from another version of itself.

    name: its import name, which a saved model keeps
    again: what names it in another process of this machine: the absolute path of a file, otherwise as it was named
    sha256: of its file, or of all Python files of a package; modules that it imports from elsewhere do not count
    version: of the distribution that installs it as a plugin, otherwise its `__version__`; None where it has neither
    """

    name: str
    again: str
    sha256: str
    version: str | None
    module: ModuleType


def installed_plugins() -> dict[str, metadata.EntryPoint]:
    """The entry points of the group `sightline.mixers` by name. None of them is imported."""
    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def import_plugin(named: str) -> PluginSource:
    """The plugin of that name: a file that ends in .py, an installed entry point, or a module.

    Modules are looked up in the working directory too. A file's folder is searched for what the file imports.

    Raises:
        InputError: "plugin 'forgett': no module 'forgett', neither here nor among the installed ones"; "plugin
            'forget.py': no such file"; what went wrong in its import, with the line.
    """
    if named.endswith(".py"):
        return _import_file(named)
    entry = installed_plugins().get(named)
    if entry is not None and entry.attr:
        raise _refused(named, f"its entry point names {entry.value!r}, expected a module")
    name = named if entry is None else entry.module
    if not MODULE_NAME.fullmatch(name):
        raise _refused(named, "neither a file that ends in .py nor the name of a module")
    module = import_from_here(name, lambda problem: _refused(named, problem))
    version = entry.dist.version if entry is not None and entry.dist is not None else None
    return _described(named, module, named, version)


def import_from_here(name: str, refused: Callable[[str], InputError]) -> ModuleType:
    """The module of that name, from the working directory or an installed one.

    Raises:
        InputError: `refused("no module 'x', neither here nor among the installed ones")`, or of what went wrong.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise refused(f"no module {error.name!r}, neither here nor among the installed ones") from None
        raise refused(_failure(error)) from error
    except Exception as error:
        raise refused(_failure(error)) from error


def check_plugin_file(named: str) -> None:
    """Raises `InputError` where a file is named that does not exist: "plugin 'forget.py': no such file"."""
    if named.endswith(".py") and not Path(named).is_file():
        raise _refused(named, "no such file")


def _import_file(named: str) -> PluginSource:
    check_plugin_file(named)
    path, name = Path(named).resolve(), Path(named).stem
    if not MODULE_NAME.fullmatch(name) or "." in name:
        raise _refused(named, "its name is not that of a module: use letters, digits and _")
    before = sys.modules.get(name)
    if before is None:
        _check_free(name, path, named)
        before = _run_file(name, path, named)
    elif _file(before) != path:
        raise _refused(named, f"a module {name!r} is loaded already: rename the file")
    return _described(named, before, str(path), None)


def _check_free(name: str, path: Path, named: str) -> None:
    """Refuse a file whose name is that of another module, which `name` alone would find."""
    spec = importlib.util.find_spec(name)
    other = spec is not None and spec.origin is not None and Path(spec.origin).resolve() != path
    if other or name in sys.stdlib_module_names:
        raise _refused(named, f"there is another module {name!r}: rename the file")


def _run_file(name: str, path: Path, named: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _refused(named, "not a Python file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last, so that its other files hide no module
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _refused(named, _failure(error)) from error
    return module


def _described(named: str, module: ModuleType, again: str, version: str | None) -> PluginSource:
    file = _file(module)
    if file is None or file.suffix != ".py":
        raise _refused(named, "has no Python source")
    own = getattr(module, "__version__", None)
    version = version or (own if isinstance(own, str) else None)
    return PluginSource(module.__name__, again, _sha256(file), version, module)


def _sha256(file: Path) -> str:
    """Of a module's file; of a package, of the names and the contents of all its Python files."""
    if file.name != "__init__.py":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    for one in sorted(file.parent.rglob("*.py")):
        whole.update(f"{one.relative_to(file.parent).as_posix()}\0".encode())
        whole.update(hashlib.sha256(one.read_bytes()).digest())
    return whole.hexdigest()


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file).resolve()


def _failure(error: Exception) -> str:
    """The fault of an import, with the line of the user's code."""
    if isinstance(error, SyntaxError):
        return f"importing it failed: {error.msg} ({Path(error.filename or '').name}:{error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"importing it failed: {type(error).__name__}: {one_line(error)}{at}"


def _refused(named: str, problem: str) -> InputError:
    return InputError(f"plugin {named!r}: {problem}")
