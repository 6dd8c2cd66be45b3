"""Integrated gradients, by `captum`: attributions of the input vectors that sum to the change of the output."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sightline.core.errors import EnvironmentFault

STEPS, MOST_STEPS = 64, 1024  # points of the integral
ROWS = 64  # points that are computed at once
CLOSE = 0.01  # of the change of the output, that attributions may miss


class IntegratedGradients(NamedTuple):
    """The attributions of one row.

    values: (S, D); change: the output at the input less that at the baseline; gap: |change - Σ values|
    steps: points of the integral
    """

    values: Tensor
    change: float
    gap: float
    steps: int

    @property
    def complete(self) -> bool:
        """Whether the values sum to the change, but for `CLOSE` of it."""
        return self.gap <= CLOSE * abs(self.change) + 1e-6


def integrated_gradients(
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    baseline: Tensor | None = None,
    *,
    steps: int = STEPS,
    most: int = MOST_STEPS,
) -> IntegratedGradients:
    """(x - x') ∘ ∫₀¹ ∂score(x' + a (x - x')) / ∂x da for x (1, S, D), and whether it is complete.

    Sundararajan, Taly & Yan 2017 ("Axiomatic attribution for deep networks", arXiv:1703.01365, eq. 1), by
    Gauss-Legendre quadrature; points are doubled, up to `most`, until the values sum to the change of the score
    (proposition 1). `score` maps vectors (R, S, D) to a number for each row, (R,), and must be in evaluation mode.

    A baseline of zeros does not suit a network whose first operation is a norm: it gives the same for all a x but the
    tiniest, so that all of the change is at a below √eps, below eps behind a second norm, where no point of the
    integral sees it. The result then is not `complete`.

    baseline: x' (1, S, D), zeros where it is None

    Raises:
        EnvironmentFault: "integrated gradients need captum: pip install 'sightline[inspect]'".
    """
    method, x = _captum().IntegratedGradients(score), x.detach()
    start = torch.zeros_like(x) if baseline is None else baseline.detach()
    with torch.no_grad():
        change = float(score(x)[0] - score(start)[0])
    while True:
        values = method.attribute(x, start, n_steps=steps, method="gausslegendre", internal_batch_size=ROWS)
        values = values.detach()[0]
        result = IntegratedGradients(values, change, abs(change - float(values.sum())), steps)
        if result.complete or 2 * steps > most:
            return result
        steps *= 2


def has_captum() -> bool:
    """Whether captum can be imported."""
    try:
        _captum()
    except EnvironmentFault:
        return False
    return True


def _captum() -> Any:
    try:
        return import_module("captum.attr")
    except ImportError:
        raise EnvironmentFault("integrated gradients need captum: pip install 'sightline[inspect]'") from None
