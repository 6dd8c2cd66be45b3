"""AdamW, its parameter groups, and learning-rate schedules over any kind of budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from sightline.core.errors import InputError

Kind = Literal["cosine", "inverse_sqrt", "linear", "constant"]


@dataclass(frozen=True)
class OptimConfig:
    """AdamW (Loshchilov & Hutter 2019) with clipping and a schedule.

    `lr` is the peak. After `warmup_steps` of linear warm-up the rate follows `schedule`: "cosine" and "linear" fall to
    `final_lr`·lr at the end of the budget, "inverse_sqrt" as in Vaswani et al. 2017 (see `learning_rate`), "constant"
    stays. `clip_norm` bounds the global gradient norm; None = off.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-8
    weight_decay: float = 0.01
    warmup_steps: int = 100
    schedule: Kind = "cosine"
    final_lr: float = 0.0
    clip_norm: float | None = 1.0

    def __post_init__(self) -> None:
        wrong = [
            ("lr", "positive and finite", not (0 < self.lr < math.inf)),
            ("beta1", "in [0, 1)", not 0 <= self.beta1 < 1),
            ("beta2", "in [0, 1)", not 0 <= self.beta2 < 1),
            ("eps", "positive", not 0 < self.eps < math.inf),
            ("weight_decay", "at least 0", not 0 <= self.weight_decay < math.inf),
            ("warmup_steps", "at least 0", self.warmup_steps < 0),
            ("final_lr", "in [0, 1]", not 0 <= self.final_lr <= 1),
            ("clip_norm", "positive or null", self.clip_norm is not None and not self.clip_norm > 0),
            ("schedule", "cosine, inverse_sqrt, linear or constant", self.schedule not in get_args(Kind)),
        ]
        for name, must, is_wrong in wrong:
            if is_wrong:
                raise InputError(f"must be {must}, found {getattr(self, name)!r}", where=f"optim.{name}")


def paper_lr(d_model: int, warmup_steps: int) -> float:
    """The peak rate of Vaswani et al. 2017, eq. 3: (d_model · warmup)^-1/2; with "inverse_sqrt" it is that schedule."""
    return (d_model * warmup_steps) ** -0.5


def learning_rate(config: OptimConfig, step: int, fraction: float, warm_fraction: float) -> float:
    """The rate of the step after `step` completed ones.

    t = step + 1. Warm-up: lr · t / warmup_steps while t < warmup_steps. Then with p = (fraction - warm_fraction) /
    (1 - warm_fraction), the share used of the budget left after warm-up, and floor f = final_lr: cosine
    lr · (f + (1 - f)(1 + cos πp)/2); linear lr · (1 - (1 - f)p); inverse_sqrt lr · (warmup/t)^1/2, which is
    d_model^-1/2 · min(t^-1/2, t · warmup^-3/2) of Vaswani et al. 2017, eq. 3, when lr is `paper_lr`.
    """
    t = step + 1
    if t < config.warmup_steps:
        return config.lr * t / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "inverse_sqrt":
        return config.lr * math.sqrt(max(config.warmup_steps, 1) / t)
    progress = min(max((fraction - warm_fraction) / max(1.0 - warm_fraction, 1e-12), 0.0), 1.0)
    left = 0.5 * (1.0 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1.0 - progress
    return config.lr * (config.final_lr + (1.0 - config.final_lr) * left)


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the model's trainable parameters; matrices decay, embeddings and vectors (norms, biases) do not."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    decayed, plain = [], []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (plain if parameter.dim() < 2 or id(parameter) in embeddings else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )
