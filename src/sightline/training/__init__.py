"""Training: generic over the task, bounded by a budget, resumable to the bit."""

from __future__ import annotations

from sightline.training.budget import Budget, Spent
from sightline.training.loop import train
from sightline.training.loss import Loss, cross_entropy, perplexity
from sightline.training.optim import OptimConfig, paper_lr
from sightline.training.state import Progress, TrainConfig, TrainResult

__all__ = [
    "Budget",
    "Loss",
    "OptimConfig",
    "Progress",
    "Spent",
    "TrainConfig",
    "TrainResult",
    "cross_entropy",
    "paper_lr",
    "perplexity",
    "train",
]
