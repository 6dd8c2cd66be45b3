"""Real bugs of this class of software, planted into the mechanisms, each with the laws that must see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest


class Mutant(NamedTuple):
    bug: str
    config: Any
    plant: Callable[[pytest.MonkeyPatch], None]
    laws: tuple[str, ...]  # each of these must fail


MUTANTS: list[Mutant] = []


def mutant(bug: str, config: Any, *laws: str) -> Callable[[Callable[[pytest.MonkeyPatch], None]], None]:
    def register(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
        MUTANTS.append(Mutant(bug, config, plant, laws))

    return register


def wrap(patch: pytest.MonkeyPatch, owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace owner.name by around(original, *arguments)."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *given, **named: around(original, *given, **named))
