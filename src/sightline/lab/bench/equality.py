"""Comparison of two results, which precedes all timing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import Tensor
from torch.autograd import grad

from sightline.lab.bench.scenario import Case, Computation

FLOOR = 1e-2


def check_case(case: Case) -> float:
    """The largest relative difference between results that must be equal; infinite if shapes differ."""
    pair = case.check or ((case.ours, case.other) if case.other is not None else None)
    if pair is None:
        raise ValueError("a case needs a reference: set `other` or `check`")
    return largest_difference(*pair)


def largest_difference(actual: Computation, expected: Computation) -> float:
    """Maximum over the tensors of |actual - expected| / |expected|, root mean squares in float64.

    A gradient may be zero up to rounding, such as that of a key's bias. The denominator is therefore at least a
    hundredth of the norm of the largest expected tensor.
    """
    ours, theirs = ([x.detach().double() for x in run()] for run in (actual, expected))
    if not theirs or [x.shape for x in ours] != [x.shape for x in theirs]:
        return math.inf
    sizes = [_root_mean_square(x) for x in theirs]
    least = FLOOR * max(sizes)
    differences = [_root_mean_square(a - b) for a, b in zip(ours, theirs)]
    if not all(math.isfinite(x) for x in (*sizes, *differences)):
        return math.inf
    return max(d / max(size, least) if d else 0.0 for d, size in zip(differences, sizes))


def _root_mean_square(x: Tensor) -> float:
    return x.square().mean().sqrt().item() if x.numel() else 0.0


def training(call: Callable[[], Tensor], learnt: Iterable[Tensor], towards: Tensor) -> Computation:
    """Computes y = call() and the gradients of sum(y · towards) with respect to `learnt`."""
    inputs = list(learnt)

    def run() -> list[Tensor]:
        y = call()
        return [y.detach(), *grad(y, inputs, towards)]

    return run
