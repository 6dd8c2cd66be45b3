"""Losses over size that are drawn from a known law, as trainings and test items would show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sightline.lab.scaling_fits import SizeScores

Law = Callable[[float], float]
SIZES = [50_000, 100_000, 200_000, 400_000, 800_000]


def planted(
    law: Law,
    generator: np.random.Generator,
    *,
    arch: str = "planted",
    sizes: Sequence[int] = SIZES,
    seeds: int = 3,
    noise: float = 0.01,
    held_out: int = 1,
    difficulty: np.ndarray | None = None,
) -> list[SizeScores]:
    """The scores of `seeds` trainings at each size: law + a seed's luck + an item's difficulty + both together.

    difficulty: (N,) of the items, the same for every size; give the same to every architecture of a comparison
    """
    difficulty = generator.normal(0, 0.3, 100) if difficulty is None else difficulty
    scores = []
    for place, size in enumerate(sizes):
        luck = generator.normal(0, noise, (seeds, 1))
        losses = law(size) + luck + difficulty - difficulty.mean() + generator.normal(0, 0.05, (seeds, len(difficulty)))
        rows = np.stack([losses, np.ones_like(losses)], -1)
        scores.append(SizeScores(arch, size, 6.0 * size * 1e6, rows, place >= len(sizes) - held_out))
    return scores


def power(exponent: float, level: float = 2.0, floor: float = 0.0) -> Law:
    """floor + level · (N / 200,000)^(−exponent)."""
    return lambda size: floor + level * (size / 200_000) ** -exponent


def broken(exponent: float, level: float = 2.0, last: float = 400_000) -> Law:
    """A power law that ends at a size, from which on more parameters change nothing."""
    return lambda size: level * (min(size, last) / 200_000) ** -exponent
