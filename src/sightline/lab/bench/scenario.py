"""What is compared with what: one scenario, at one size, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Run = Callable[[], Sequence[Tensor]]  # computes; outputs, and gradients where there are any
Kind = Literal["ratio", "growth", "curve"]


class Unavailable(Exception):
    """A peer that is not installed, or that this machine cannot run; the message says which and why."""


class Case(NamedTuple):
    """One scenario at one size. `check` is what has to be equal, found and expected; None means `ours` and `other`.

    `flops` and `moved_bytes` are what one call of `ours` cannot do without: products that the result depends on, each
    input and output once.
    """

    ours: Run
    other: Run | None = None
    check: tuple[Run, Run] | None = None
    flops: float = 0.0
    moved_bytes: float = 0.0


class Aim(NamedTuple):
    """What was set out for: the ratio, or our peak of memory in bytes, at least or at most `value`."""

    value: float
    of: Literal["ratio", "peak_bytes"] = "ratio"
    relation: Literal["at least", "at most"] = "at least"

    def met(self, found: float) -> bool:
        """Whether `found` is what was set out for."""
        return found >= self.value if self.relation == "at least" else found <= self.value


@dataclass(frozen=True)
class Scenario:
    """A name, a question, and how to build it at a size.

    kind: `ratio` divides the peer's time by ours, `growth` the time of the larger of two sizes by that of the smaller,
        `curve` has ours alone.
    peer: what it is compared with, in words; `package` is the distribution that has it.
    size: what the sizes count.
    checked: what our results were held against, and where.
    tiny: a size for tests.
    tolerance: the relative root mean square that every output and gradient has to stay below.
    """

    name: str
    family: str
    kind: Kind
    question: str
    peer: str
    sizes: tuple[int, ...]
    build: Callable[[int, torch.device], Case]
    tiny: int
    checked: str = "the peer, outputs and gradients"
    package: str = "torch"
    size: str = "positions"
    aims: Mapping[int, Aim] = field(default_factory=dict)
    tolerance: float = 1e-5
