"""Findings of a law, an error and its tolerance each, and how tensors are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sightline.core.errors import InputError

MAX_FLOAT64 = 1e-10  # largest difference, relative to the largest expected value where that is above 1
RMS_FLOAT32, MAX_FLOAT32 = 1e-6, 1e-5
RMS_BFLOAT16 = 1e-2
FLOOR = 1e-2  # expected values smaller than this (RMS) do not make a relative error stricter


class ComparedTensors(NamedTuple):
    """The operands of `close`, so that the same comparison can be identified in another dtype."""

    name: str
    dtype: torch.dtype
    expected: Tensor  # (N,) float64


class Finding(NamedTuple):
    """One comparison: `error` must not exceed `tolerance`; a tolerance of 0 asks for bit-identity or a plain yes."""

    error: float
    tolerance: float
    what: str
    compared: ComparedTensors | None = None

    @property
    def holds(self) -> bool:
        return self.error <= self.tolerance

    @property
    def severity(self) -> float:
        """Error in units of the tolerance."""
        if self.tolerance:
            return self.error / self.tolerance
        return math.inf if self.error else 0.0


def worst(findings: Iterable[Finding]) -> Finding | None:
    """The finding furthest over (or nearest to) its tolerance, the last one among equals; None if there are none."""
    return max(reversed(list(findings)), key=lambda finding: (finding.severity, finding.tolerance), default=None)


Tensors = Tensor | Iterable[Tensor]


def close(actual: Tensors, expected: Tensors, what: str) -> Finding:
    """Equality within the tolerance of the narrowest dtype; several tensors are compared as one vector."""
    actual, expected = _listed(actual), _listed(expected)
    shapes, others = [tuple(t.shape) for t in actual], [tuple(t.shape) for t in expected]
    if shapes != others:
        return Finding(math.inf, MAX_FLOAT64, f"{what}: shapes {shapes} instead of {others}")
    dtype = _narrowest([*actual, *expected])
    a, b = _vector(actual), _vector(expected)
    if not len(a):
        return Finding(0.0, MAX_FLOAT64, what)
    difference = (a - b).abs()
    if not torch.isfinite(difference).all():
        return Finding(math.inf, MAX_FLOAT64, f"{what}: not finite")
    compared = ComparedTensors(what, dtype, b)
    largest = float(difference.max()) / max(1.0, float(b.abs().max()))
    if dtype == torch.float64:
        return Finding(largest, MAX_FLOAT64, f"{what}, float64", compared)
    rms = relative_rms(difference, b)
    if dtype == torch.float32:
        in_all, in_one = (
            Finding(rms, RMS_FLOAT32, f"{what}, float32 RMS", compared),
            Finding(largest, MAX_FLOAT32, f"{what}, float32", compared),
        )
        return max(in_all, in_one, key=lambda finding: finding.severity)
    return Finding(rms, RMS_BFLOAT16, f"{what}, {str(dtype).removeprefix('torch.')} RMS", compared)


def relative_rms(difference: Tensor, expected: Tensor) -> float:
    """RMS of the difference over that of what was expected, which counts as `FLOOR` where it is smaller."""
    return float(difference.square().mean().sqrt()) / max(FLOOR, float(expected.square().mean().sqrt()))


def same(actual: Tensors, expected: Tensors, what: str) -> Finding:
    """Bit-identity (any NaN equals any NaN): the error is the largest difference, infinite where shapes differ."""
    error = 0.0
    actual, expected = _listed(actual), _listed(expected)
    if [(t.shape, t.dtype) for t in actual] != [(t.shape, t.dtype) for t in expected]:
        return Finding(math.inf, 0.0, f"{what}: shapes or dtypes differ")
    for a, b in zip(actual, expected, strict=True):
        if torch.equal(a, b) or not a.numel():
            continue
        both_nan = (a != a) & (b != b)
        difference = torch.where(both_nan, 0.0, (a.double() - b.double()).abs())
        difference = torch.where(difference.isnan(), math.inf, difference)
        error = max(error, float(difference.max()))
    return Finding(error, 0.0, what)


def zero(tensors: Tensors, what: str) -> Finding:
    """Exact zeros: the error is the largest magnitude."""
    vector = _vector(_listed(tensors))
    error = float(vector.nan_to_num(math.inf, math.inf, -math.inf).abs().max()) if len(vector) else 0.0
    return Finding(error, 0.0, what)


def finite(tensors: Tensors, what: str) -> Finding:
    """No NaN, no infinity: the error is their number."""
    vector = _vector(_listed(tensors))
    return Finding(float((~torch.isfinite(vector)).sum()), 0.0, what)


def true(condition: bool, what: str) -> Finding:
    """A plain yes or no; `what` describes the expectation."""
    return Finding(0.0 if condition else 1.0, 0.0, what)


def refused(call: Callable[[], object], what: str) -> Finding:
    """`call()` raises `ValueError` (or `TypeError`), as bad arguments must."""
    try:
        call()
        outcome = "no error"
    except (ValueError, TypeError):
        return Finding(0.0, 0.0, f"a ValueError for {what}")
    except Exception as error:
        outcome = f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
    return Finding(1.0, 0.0, f"expected a ValueError for {what}, got {outcome}")


def refusal(call: Callable[..., object], *arguments: Any) -> str:
    """The `InputError` of a call as text; "" if there is none."""
    try:
        call(*arguments)
    except InputError as error:
        return str(error)
    return ""


def _listed(tensors: Tensors) -> list[Tensor]:
    return [t.detach() for t in ([tensors] if isinstance(tensors, Tensor) else tensors)]


def _vector(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.double().flatten() for t in tensors]) if tensors else torch.zeros(0)


def _narrowest(tensors: list[Tensor]) -> torch.dtype:
    floating = [t.dtype for t in tensors if t.is_floating_point()]
    return min(floating, key=lambda dtype: -torch.finfo(dtype).eps, default=torch.float64)
