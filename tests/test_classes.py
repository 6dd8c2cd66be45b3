"""Classes are abstract or final; NamedTuples are values, and private classes are their module's own affair."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

PACKAGES = ("sightline.core", "sightline.ops", "sightline.mixers", "sightline.parts", "sightline.models",
            "sightline.testing", "sightline.decoding")  # fmt: skip

# Meant to be extended, though complete.
EXTENSIBLE = {
    "CallFailed": "any failure of a call in another process, of which ProcessDied is one",
    "CheckedConfig": "the range checks that configs inherit",
    "LayersConfig": "the options that four kinds of models share",
    "SightlineError": "what the errors behind the exit codes have in common",
}


def modules(package: str) -> Iterator[str]:
    """The names of a package and of all modules in it."""
    root = importlib.import_module(package)
    yield package
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        yield found.name


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
