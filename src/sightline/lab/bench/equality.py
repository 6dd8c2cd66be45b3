"""Are two results the same? Nothing is timed before this is answered."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor
from torch.autograd import grad

from sightline.lab.bench.scenario import Case, Run

FLOOR = 1e-2


def check_case(case: Case) -> float:
    """The largest relative difference between what the case says has to be equal; infinite where shapes differ."""
    pair = case.check or ((case.ours, case.other) if case.other is not None else None)
    if pair is None:
        raise ValueError("a case has to be held against something: give it `other` or `check`")
    return largest_difference(*pair)


def largest_difference(found: Run, expected: Run) -> float:
    """max over the tensors of |found - expected| / |expected| in the root mean square, computed in float64.

    A gradient may be zero but for rounding (that of a key's bias is): what is smaller than a hundredth of the largest
    expected tensor counts as that.
    """
    ours, theirs = ([x.detach().double() for x in run()] for run in (found, expected))
    if not theirs or [x.shape for x in ours] != [x.shape for x in theirs]:
        return math.inf
    sizes = [_root_mean_square(x) for x in theirs]
    least = FLOOR * max(sizes)
    apart = [_root_mean_square(a - b) for a, b in zip(ours, theirs)]
    if not all(math.isfinite(x) for x in (*sizes, *apart)):
        return math.inf
    return max(d / max(size, least) if d else 0.0 for d, size in zip(apart, sizes))


def _root_mean_square(x: Tensor) -> float:
    return x.square().mean().sqrt().item() if x.numel() else 0.0


def trained(y: Tensor, inputs: Sequence[Tensor], towards: Tensor) -> list[Tensor]:
    """The output and the gradients of (y · towards) summed, with respect to `inputs`."""
    return [y.detach(), *grad(y, list(inputs), towards)]
