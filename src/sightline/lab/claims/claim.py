"""A claim of the ledger, and what one measurement of it may use. Imports no torch until a claim is measured."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, final

from sightline.core.digits import number_of
from sightline.lab.claims.results import ClaimResult, Saying

T = TypeVar("T")
RULE = "Rule: "


@final
@dataclass(frozen=True)
class Effort:
    """The effort that one measurement may take.

    quick: an average of 30 s a claim on two idle cores instead of three minutes, with wider intervals
    seeds: repetitions of a training; devices: names of torch's devices, on which times are measured
    directory: a folder of its own for runs; say: takes lines of progress
    """

    quick: bool = False
    seed: int = 0
    seeds: int = 5
    threads: int = 1
    devices: tuple[str, ...] = ("cpu",)
    directory: Path = field(default=Path("claims"), compare=False)
    say: Callable[[str], object] = field(default=lambda line: None, compare=False)

    def choose(self, full: T, quick: T) -> T:
        """The value for this effort."""
        return quick if self.quick else full

    def some_seeds(self, most: int) -> range:
        """The seeds of a training that is repeated at most so often."""
        return range(self.seed, self.seed + min(most, self.seeds))

    def settings(self) -> dict[str, Any]:
        """The settings that a result depends on, in plain JSON types."""
        return {
            "quick": self.quick,
            "seed": self.seed,
            "seeds": self.seeds,
            "threads": self.threads,
            "devices": list(self.devices),
        }

    def conditions(self) -> str:
        """Effort, seeds, threads and devices in words."""
        kind = "quick form, with wider intervals" if self.quick else "full form"
        devices = "processor" if self.devices == ("cpu",) else "processor and GPU"
        return f"{kind}; first seed {self.seed}; {devices}, {number_of(self.threads, 'thread')}"


@final
@dataclass(frozen=True)
class Claim:
    """A saying, how it is measured, and the function that does: `file:function` below `sightline.lab.claims`.

    The function takes an `Effort` and returns a `ClaimResult`. Its docstring has a paragraph that begins with "Rule: ".
    Empty where the claim has no measurement yet.

    full_s, quick_s: about how long it takes on two idle cores, in either form
    """

    name: str
    statement: str
    how: str
    function: str = ""
    full_s: int = 180
    quick_s: int = 30

    def measure(self, effort: Effort) -> ClaimResult:
        """Measure the claim."""
        return replace(self._function()(effort).with_places(), claim=self.name)

    def saying(self) -> Saying:
        """The claim with the rule of its function."""
        return Saying(self.name, self.statement, self.how, rule_of(self._function()) if self.function else "")

    def _function(self) -> Callable[[Effort], ClaimResult]:
        file, _, name = self.function.partition(":")
        return getattr(import_module(f"sightline.lab.claims.{file}"), name)


def rule_of(function: Callable[..., Any]) -> str:
    """The paragraph of the docstring that begins with "Rule: ", on one line and without that word."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    rule = next((part for part in paragraphs if part.startswith(RULE)), RULE)
    text = " ".join(rule.removeprefix(RULE).split())
    return text[:1].upper() + text[1:]
