"""One step of training: loss, gradients, clipping, update."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, final

import torch
from torch import nn

from sightline.training.flops import StepFlops, shapes
from sightline.training.loss import Objective
from sightline.training.optim import OptimConfig, build_optimizer


@final
class Gradients(NamedTuple):
    """The result of a batch whose gradients are in the parameters."""

    total: float  # the smoothed sum that was minimised
    norm: float  # of the gradient, before clipping
    nll: float  # the plain sum
    labels: int
    flops: int

    @property
    def fault(self) -> str | None:
        """The value that is not finite, in words; the parameters must not be updated then."""
        if not math.isfinite(self.total):
            return f"the loss is {self.total}"
        return None if math.isfinite(self.norm) and math.isfinite(self.nll) else f"the gradient norm is {self.norm}"


@final
class Stepper:
    """The steps of one model: its objective and optimizer, on a device, in a number format."""

    def __init__(
        self, model: nn.Module, objective: Objective, config: OptimConfig, device: torch.device, dtype: str
    ) -> None:
        self.model, self.objective, self.config, self.device, self.dtype = model, objective, config, device, dtype
        self.optimizer = build_optimizer(model, config)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.flops = StepFlops()

    def gradients(self, batch: Any) -> Gradients:
        """Gradients of the mean loss of a batch, clipped."""
        key = shapes(batch)
        batch = batch.to(self.device)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self.flops.counting(key):
            with self.autocast():
                loss = self.objective(self.model, batch)
            (loss.total / max(loss.count, 1)).backward()
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.config.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip_norm, norm)
        total, norm_value, nll = torch.stack([loss.total.detach().float(), norm.float(), loss.nll.float()]).tolist()
        return Gradients(total, norm_value, nll, loss.count, self.flops.of(key))

    def update(self, lr: float) -> None:
        """Change the parameters by their gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()

    def autocast(self) -> torch.autocast:
        """The number format of matrix products."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16")
