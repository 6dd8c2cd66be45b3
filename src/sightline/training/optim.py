"""AdamW, its parameter groups, and learning-rate schedules over any kind of budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import nn

from sightline.core.settings import CheckedConfig, key

Schedule = Literal["cosine", "inverse_sqrt", "linear", "constant"]


@final
@dataclass(frozen=True)
class OptimConfig(CheckedConfig):
    """AdamW (Loshchilov & Hutter 2019) with clipping and a schedule (see `learning_rate`).

    Raises:
        InputError: "lr: must be positive, found 0.0".
    """

    lr: float = key(1e-3, "Peak learning rate.", above=0)
    beta1: float = key(0.9, "Decay of AdamW's average of gradients, per step.", at_least=0, below=1)
    beta2: float = key(0.98, "Decay of AdamW's average of squared gradients, per step.", at_least=0, below=1)
    eps: float = key(1e-8, "Number that AdamW adds to the root of the squared gradients' average.", above=0)
    weight_decay: float = key(
        0.01,
        "Decoupled weight decay of matrices; embeddings, learned positions, biases and norms have none.",
        at_least=0,
    )
    warmup: float = key(
        0.2, "Share of the budget in which the learning rate rises linearly to its peak.", at_least=0, below=1
    )
    warmup_steps: int | None = key(None, "Steps of that rise; null: the share that `warmup` says.", at_least=0)
    schedule: Schedule = key(
        "cosine",
        "Learning rate after warm-up: cosine and linear fall until the budget ends, inverse_sqrt falls as in Vaswani "
        "et al. 2017, constant stays.",
    )
    final_lr: float = key(
        0.0, "Learning rate at the end of cosine and linear, as a share of the peak.", at_least=0, at_most=1
    )
    clip_norm: float | None = key(1.0, "Largest global norm of the gradient; null: no clipping.", above=0)


def paper_lr(d_model: int, warmup_steps: int) -> float:
    """The peak rate of Vaswani et al. 2017, eq. 3: (d_model · warmup)^-1/2; with "inverse_sqrt" it is that schedule."""
    return (d_model * warmup_steps) ** -0.5


def learning_rate(
    config: OptimConfig, step: int, fraction: float, warm_fraction: float, steps: float = math.inf
) -> float:
    """The rate of the step after `step` completed ones, of `steps` in the whole budget.

    t = step + 1. Warm-up: lr · t / w while t < w, with w = warmup_steps, or warmup · steps. Then with p = (fraction -
    warm_fraction) / (1 - warm_fraction), the share used of the budget left after warm-up, and floor f = final_lr:
    cosine lr · (f + (1 - f)(1 + cos πp)/2); linear lr · (1 - (1 - f)p); inverse_sqrt lr · (w/t)^1/2, which is
    d_model^-1/2 · min(t^-1/2, t · w^-3/2) of Vaswani et al. 2017, eq. 3, when lr is `paper_lr`.
    """
    t = step + 1
    warm = config.warmup_steps if config.warmup_steps is not None else config.warmup * steps if config.warmup else 0.0
    if t < warm:
        return config.lr * t / warm
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "inverse_sqrt":
        return config.lr * math.sqrt(max(warm, 1) / t)
    progress = min(max((fraction - warm_fraction) / max(1.0 - warm_fraction, 1e-12), 0.0), 1.0)
    left = 0.5 * (1.0 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1.0 - progress
    return config.lr * (config.final_lr + (1.0 - config.final_lr) * left)


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the model's trainable parameters; matrices decay, the others do not.

    The others are vectors (norms, biases), biases of any shape, embeddings, and the parameters that a module names in
    its attribute `undecayed`, such as learned positions.
    """
    vectors = _tables_of_vectors(model)
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            without = parameter.dim() < 2 or id(parameter) in vectors or name.endswith("bias")
            (plain if without else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def _tables_of_vectors(model: nn.Module) -> set[int]:
    """The ids of the parameters whose rows are vectors that are looked up or added, not maps."""
    tables: set[int] = set()
    for module in model.modules():
        names = ("weight",) if isinstance(module, nn.Embedding | nn.EmbeddingBag) else getattr(module, "undecayed", ())
        own = dict(module.named_parameters(recurse=False))
        tables.update(id(own[name]) for name in names if name in own)
    return tables
