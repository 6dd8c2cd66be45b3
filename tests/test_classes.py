"""Public classes are abstract, final or NamedTuples, and the name of a type occurs once in the package."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import sightline

ROOT = Path(sightline.__file__).parent
PACKAGES = sorted(f"sightline.{file.parent.name}" for file in ROOT.glob("*/__init__.py"))

# Meant to be extended, though complete.
EXTENSIBLE = {
    "CallFailed": "any failure of a call in another process, of which ProcessDied is one",
    "CheckedConfig": "the range checks that configs inherit",
    "Corpus": "training, validation and test parts of any task",
    "DataConfig": "the data keys of every task",
    "FilesConfig": "the data keys of tasks whose parts may be files",
    "FrontEndChoice": "the front end that a task is given, of which every front end makes a section with its keys",
    "LayersConfig": "the options that four kinds of models share",
    "MediaTextTask": "the task behind transcription, captioning and answering",
    "Options": "the stored options of every task",
    "Refusals": "the skipped rows of every table",
    "RunConfig": "the configuration of every task",
    "SavedResults": "what the results of all studies have in common",
    "SightlineError": "what the errors behind the exit codes have in common",
    "TaskConfig": "the model settings of every task",
    "TextsOutConfig": "the model settings of tasks that write text",
    "TextsOutOptions": "the stored options of tasks that write text",
}


NEEDS = {"sightline.serve": "fastapi"}  # packages of an extra
COPIED = {"sightline.export.onnx_runner"}  # runs beside an export, without the package


def modules(package: str) -> Iterator[str]:
    """The names of a package and of all modules in it."""
    if package in NEEDS:
        pytest.importorskip(NEEDS[package], reason=f"{package} needs {NEEDS[package]}")
    root = importlib.import_module(package)
    yield package
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not module.name.endswith("__main__") and module.name not in COPIED:
            yield module.name


def classes(package: str) -> Iterator[type]:
    for name in modules(package):
        for value in vars(importlib.import_module(name)).values():
            if inspect.isclass(value) and value.__module__ == name and not value.__name__.startswith("_"):
                yield value


def is_settled(cls: type) -> bool:
    """Whether a class is abstract (methods to implement, or a protocol), final, or a NamedTuple."""
    is_protocol = getattr(cls, "_is_protocol", False)
    is_value = issubclass(cls, tuple) and hasattr(cls, "_fields")
    return inspect.isabstract(cls) or is_protocol or is_value or "__final__" in vars(cls)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_classes_are_abstract_or_final(package: str) -> None:
    unsettled = [cls.__qualname__ for cls in classes(package) if not is_settled(cls)]
    assert set(unsettled) <= set(EXTENSIBLE)


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_extends_a_final_class(package: str) -> None:
    for cls in classes(package):
        assert not any("__final__" in vars(base) for base in cls.__mro__[1:]), cls


def type_names(source: str) -> Iterator[str]:
    """The names of the classes and type aliases of a module: an alias is a constant in camel case."""
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name.lstrip("_")[:1].isupper() and not name.isupper():
                    yield name


@pytest.mark.slow
def test_each_name_of_a_type_occurs_once() -> None:
    places = defaultdict(list)
    for file in sorted(ROOT.rglob("*.py")):
        for name in type_names(file.read_text(encoding="utf-8")):
            places[name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_a_second_class_or_alias_of_one_name_is_noticed() -> None:
    source = "class Row: ...\nRow = dict[str, int]\nRow: TypeAlias = int\nROWS = 3\nT = TypeVar('T')\nrows: int = 1"
    assert list(type_names(source)) == ["Row", "Row", "Row"]
