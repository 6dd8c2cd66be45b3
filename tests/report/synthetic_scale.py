"""A ladder's results with every part, fitted to losses that are drawn from known laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sightline.core.metrics import find_metric
from sightline.lab.details import Curve
from sightline.lab.results import Data
from sightline.lab.scaling_fits import SAME, fit_ladder
from sightline.lab.scaling_results import ScaleResults, SizePoint
from sightline.lab.scaling_verdict import scaling_verdict
from tests.lab.planted_sizes import SIZES, Law, broken, planted, power

NAMES = ("lstm", "my <lm>")


def make_scale(
    laws: tuple[Law, ...] = (broken(0.06), power(0.11)), seeds: int = 3, sizes: int = 5, held_out: int = 1
) -> ScaleResults:
    """Two architectures: one that flattens at 200,000 parameters, and one that follows a power law."""
    generator = np.random.default_rng(1)
    difficulty = generator.normal(0, 0.3, 100)
    scores = []
    for arch, law in zip(NAMES, laws, strict=True):
        how = {"sizes": SIZES[:sizes], "seeds": seeds, "held_out": held_out, "difficulty": difficulty}
        scores += planted(law, generator, arch=arch, **how)
    fits = fit_ladder(scores, find_metric("loss"), resamples=300)
    at = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    points = [
        SizePoint(
            arch=one.arch,
            target=one.parameters,
            parameters=one.parameters,
            d_model=8 * (place % 5 + 3),
            flops_per_token=6.0 * one.parameters,
            held_out=one.held_out,
            losses=find_metric("loss").value(one.rows).tolist(),
            loss=fits.losses[one.arch, one.parameters],
            flops=one.flops,
            tokens=1e6,
            learning_rate=2e-3,
            by_position=Curve("loss", "position in the context", at, [3.0 * x**-0.05 for x in at]),
            started=seeds,
        )
        for place, one in enumerate(scores)
    ]
    results = ScaleResults(
        command="sightline scale --data text.txt",
        environment={"cpu": "made up", "cores": 2},
        data=Data("text <1>.txt", "0" * 64, 90, 5, 5, 5, unit="documents"),
        metric="loss",
        fixed="1000000tok",
        ratio=2.0,
        seeds=list(range(seeds)),
        points=points,
        laws=fits.laws,
        held_out=fits.held_out,
        pairs=fits.pairs,
        margin=SAME,
        warnings=["Fewer than 100 steps of training (lstm at 50,000): give a larger --budget."],
    )
    return replace(results, verdict=scaling_verdict(results))
