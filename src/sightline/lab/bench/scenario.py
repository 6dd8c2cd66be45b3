"""The definition of a benchmark scenario, and of a scenario at one size, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor

Computation = Callable[[], Sequence[Tensor]]  # computes the outputs, and the gradients if there are any
Kind = Literal["ratio", "growth", "curve"]


@final
class Unavailable(Exception):
    """A peer is not installed or cannot run on this machine; the message says which and why."""


class Case(NamedTuple):
    """One scenario at one size. `check` are the actual and expected results to compare; None means `ours` and `other`.

    `flops` and `moved_bytes` are the minimum for one call of `ours`: the products that the result depends on, and each
    input and output once.
    """

    ours: Computation
    other: Computation | None = None
    check: tuple[Computation, Computation] | None = None
    flops: float = 0.0
    moved_bytes: float = 0.0


class Aim(NamedTuple):
    """A target: the ratio, or our peak memory in bytes, is at least or at most `value`."""

    value: float
    of: Literal["ratio", "peak_bytes"] = "ratio"
    relation: Literal["at least", "at most"] = "at least"

    def met(self, measured: float) -> bool:
        """Whether `measured` meets the target."""
        return measured >= self.value if self.relation == "at least" else measured <= self.value


@final
@dataclass(frozen=True)
class Scenario:
    """A name, a question, and a function that builds the case at a size.

    kind: `ratio` divides the peer's time by ours, `growth` divides the time at the larger of two sizes by that at the
        smaller, `curve` measures ours alone.
    peer: the peer in words; `package` is the distribution that contains it.
    size: the unit of the sizes.
    checked: the reference for our results.
    tiny: a size for tests.
    tolerance: upper bound of the relative root mean square difference of every output and gradient.
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
