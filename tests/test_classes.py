"""Classes are abstract, final or NamedTuples; a type's name occurs once, a value's says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from abc import ABC
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
    "_Body": "the parts that the bodies of requests share",
    "_Linear": "the options that both linear forecasters share",
}


EMPTY = {"found", "said", "told", "wanted", "made", "given"}  # say how a value came, not what it is

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
            if inspect.isclass(value) and value.__module__ == name:
                yield value


def is_settled(cls: type) -> bool:
    """Whether a class is abstract (methods to implement, an `ABC` or a protocol), final, or a NamedTuple."""
    is_protocol = getattr(cls, "_is_protocol", False)
    is_value = issubclass(cls, tuple) and hasattr(cls, "_fields")
    is_abstract = inspect.isabstract(cls) or ABC in cls.__bases__
    return is_abstract or is_protocol or is_value or "__final__" in vars(cls)


@pytest.mark.parametrize("package", PACKAGES)
def test_classes_are_abstract_or_final(package: str) -> None:
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


def bound_names(source: str) -> Iterator[tuple[int, str]]:
    """Lines and names of the variables, parameters, fields, functions and classes that a module binds.

    Nothing of a module that has none of the words of `EMPTY`, which need not be parsed.
    """
    if not any(word in source.lower() for word in EMPTY):
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
                | ast.arg(arg=name)
                | ast.FunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
                | ast.alias(asname=str(name))
            ):
                yield node.lineno, name


def says_nothing(name: str) -> bool:
    """Whether one of the words of a name is such a participle."""
    return not EMPTY.isdisjoint(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))


def test_no_name_says_how_a_value_came() -> None:
    places = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in sorted(ROOT.rglob("*.py"))
        for line, name in bound_names(file.read_text(encoding="utf-8"))
        if says_nothing(name)
    ]
    assert places == []


@pytest.mark.parametrize(
    "source",
    [
        "found = 1",
        "first, *found = range(3)",
        "found: int",
        "for found in (): ...",
        "[found for found in ()]",
        "with open('x') as found: ...",
        "if (found := 1): ...",
        "def f(*found): ...",
        "lambda found: 1",
        "class C:\n    found: int",
        "class C:\n    @property\n    def found(self): ...",
        "class C:\n    def f(self): self.found = 1",
        "try: ...\nexcept KeyError as found: ...",
        "match x:\n    case [1, *found]: ...",
        "import x as found",
        "def _found(): ...",
        "class FoundValues: ...",
        "values_found = 1",
    ],
)
def test_a_name_that_says_how_a_value_came_is_noticed(source: str) -> None:
    assert any(says_nothing(name) for _, name in bound_names(source))


@pytest.mark.parametrize("source", ["founder = foundation = 1", "call(found=1)", "one.found", "import found"])
def test_other_names_are_left_alone(source: str) -> None:
    assert not any(says_nothing(name) for _, name in bound_names(source))
