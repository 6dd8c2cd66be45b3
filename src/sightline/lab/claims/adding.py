"""The adding problem (Hochreiter & Schmidhuber 1997, § 5.4), as used since: the sum of two marked numbers."""

from __future__ import annotations

import torch
from torch import nn

from sightline.lab.claims.fitting import Draw, Examples, held_out
from sightline.training.loss import Loss

MEAN_ERROR = 1.0 / 6.0  # mean squared error of the constant answer 1: the variance of the sum


def adding(length: int) -> Draw:
    """Numbers in [0, 1) and marks (B, T, 2), one mark in each half; the label is the sum of the two marked numbers."""

    def draw(generator: torch.Generator, count: int) -> Examples:
        value, rows = torch.rand(count, length, generator=generator), torch.arange(count)
        mark = torch.zeros_like(value)
        mark[rows, torch.randint(length // 2, (count,), generator=generator)] = 1.0
        mark[rows, torch.randint(length // 2, length, (count,), generator=generator)] = 1.0
        total = (value * mark).sum(1)
        return Examples((torch.stack([value, mark], 2),), total, torch.ones_like(total).bool())

    return draw


def squared_error(model: nn.Module, batch: Examples) -> Loss:
    """The squared error of the one number (B, 1) that the model gives for each row."""
    total = (model(*batch.inputs)[:, 0] - batch.labels).square().sum()
    return Loss(total, total.detach(), len(batch.labels))


@torch.no_grad()
def adding_error(model: nn.Module, length: int) -> float:
    """The mean squared error on 500 examples that no training has drawn."""
    examples = held_out(adding(length), 0, 500)
    return float((model(*examples.inputs)[:, 0] - examples.labels).square().mean())
