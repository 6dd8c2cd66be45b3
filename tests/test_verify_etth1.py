"""What the ETTh1 verification asks for: its gates, and the protocol it measures under."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import verify_etth1 as verify


def outcome(arch: str, horizon: int, mse: float, mae: float) -> Any:
    return verify.Outcome(
        arch, horizon, 2785, 2784, 9.0, 9.0, mse, mae, 1.0, published=verify.REPEAT[horizon] if arch == "repeat" else
        verify.DLINEAR[horizon],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "mse", "mae", "good"),
    [
        ("repeat", 1.2946, 0.7133, True),
        ("repeat", 1.2934, 0.7133, False),
        ("repeat", 1.2946, 0.7146, False),
        ("dlinear", 0.3660, 0.4080, True),
        ("dlinear", 0.3860, 0.3990, False),
        ("dlinear", 0.3750, 0.3880, False),
        ("transformer", 0.9, 0.9, True),  # beside them, honestly: no gate
    ],
)
def test_the_gates(arch: str, mse: float, mae: float, good: bool) -> None:
    """Errors under the published protocol decide, by .001 and .01 of numbers with three places."""
    assert verify.passes(outcome(arch, 96, mse, mae)) is good


def test_without_a_published_number_nothing_is_claimed() -> None:
    assert verify.passes(replace(outcome("dlinear", 96, 9.0, 9.0), published=None))


@pytest.mark.parametrize("arch", ["dlinear", "nlinear", "transformer", "lstm", "gru"])
def test_epochs_are_whole(arch: str) -> None:
    run = verify.run_of(arch, 96, "x.csv", 0)
    windows = 8640 - 336 - 96 + 1
    steps = int(run.training.budget.removesuffix("steps"))
    assert steps == verify.SETTINGS[arch].epochs * run.training.validate_every
    an_epoch, size = run.training.validate_every, run.settings.batch_size
    assert (an_epoch - 1) * size < windows <= an_epoch * size
    assert run.corpus.split == (8640.0, 2880.0, 2880.0)
