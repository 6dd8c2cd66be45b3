"""Training: generic over the task, bounded by a budget, resumable to the bit.

Names are loaded when they are first asked for (PEP 562): budgets and plans need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Public name -> the module that has it.
_NAMES = {
    "Budget": "sightline.training.budget",
    "Loss": "sightline.training.loss",
    "OptimConfig": "sightline.training.optim",
    "Progress": "sightline.training.state",
    "Spent": "sightline.training.budget",
    "StepPlan": "sightline.training.plan",
    "TrainConfig": "sightline.training.state",
    "TrainResult": "sightline.training.state",
    "cross_entropy": "sightline.training.loss",
    "paper_lr": "sightline.training.optim",
    "perplexity": "sightline.training.loss",
    "subnormals_flushed": "sightline.core.subnormals",
    "train": "sightline.training.loop",
}

__all__ = [
    "Budget",
    "Loss",
    "OptimConfig",
    "Progress",
    "Spent",
    "StepPlan",
    "TrainConfig",
    "TrainResult",
    "cross_entropy",
    "paper_lr",
    "perplexity",
    "subnormals_flushed",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sightline.training' has no attribute {name!r}")
    value = getattr(import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


if TYPE_CHECKING:
    from sightline.core.subnormals import subnormals_flushed as subnormals_flushed
    from sightline.training.budget import Budget as Budget
    from sightline.training.budget import Spent as Spent
    from sightline.training.loop import train as train
    from sightline.training.loss import Loss as Loss
    from sightline.training.loss import cross_entropy as cross_entropy
    from sightline.training.loss import perplexity as perplexity
    from sightline.training.optim import OptimConfig as OptimConfig
    from sightline.training.optim import paper_lr as paper_lr
    from sightline.training.plan import StepPlan as StepPlan
    from sightline.training.state import Progress as Progress
    from sightline.training.state import TrainConfig as TrainConfig
    from sightline.training.state import TrainResult as TrainResult
