"""One step of training: loss, gradients, clipping, update."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, final

import torch
from torch import nn

from sightline.core.shapes import AnyTensor
from sightline.training.buffers import SavedBuffers
from sightline.training.checkpoint import Checkpoint, Checkpoints, pack, restore_model, restore_optimizer
from sightline.training.flops import StepFlops, shapes
from sightline.training.loss import Objective
from sightline.training.optim import OptimConfig, build_optimizer

CLIP_EPS = 1e-6  # what torch adds to the norm


@final
class Gradients(NamedTuple):
    """The result of a batch whose gradients are in the parameters, unless it has a fault."""

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


class Steps(ABC):
    """The steps of a model: its optimizer, on a device, in a number format. `buffers` are those of that model."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, buffers: SavedBuffers, device: torch.device, dtype: str
    ) -> None:
        self.optimizer, self.buffers, self.device, self.dtype = optimizer, buffers, device, dtype

    def gradients(self, batch: Any, step: int = 0) -> Gradients:
        """Gradients of the mean loss of a batch, clipped; `step` is for those that draw random numbers by it.

        The forward pass may change buffers: `undo` puts them back, until `update` completes the step. It is called here
        for a result with a fault.
        """
        self.buffers.keep()
        result = self._gradients(batch, step)
        if result.fault is not None:
            self.undo()
        return result

    @abstractmethod
    def _gradients(self, batch: Any, step: int) -> Gradients:
        """See `gradients`."""

    def update(self, lr: float) -> None:
        """Change the parameters by their gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.buffers.forget()

    def undo(self) -> None:
        """Free the gradients and put back the buffers of before a step that failed or must not be taken."""
        self.optimizer.zero_grad(set_to_none=True)
        self.buffers.restore()

    def autocast(self) -> torch.autocast:
        """The number format of matrix products."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16")


@final
class Stepper(Steps):
    """The steps of one model: its objective and optimizer, on a device, in a number format."""

    def __init__(
        self, model: nn.Module, objective: Objective, config: OptimConfig, device: torch.device, dtype: str
    ) -> None:
        super().__init__(build_optimizer(model, config), SavedBuffers(model), device, dtype)
        self.model, self.objective, self.config = model, objective, config
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.flops = StepFlops()

    def _gradients(self, batch: Any, step: int) -> Gradients:
        key = shapes(batch)
        batch = batch.to(self.device)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self.flops.counting(key):
            with self.autocast():
                loss = self.objective(self.model, batch)
            (loss.total / max(loss.count, 1)).backward()
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        total, norm_value, nll = torch.stack([loss.total.detach().float(), norm.float(), loss.nll.float()]).tolist()
        clip(self.parameters, self.config.clip_norm, norm, norm_value)
        return Gradients(total, norm_value, nll, loss.count, self.flops.of(key))

    @property
    def finite(self) -> bool:
        """Whether all weights are, and no saved buffer has a NaN."""
        return self.buffers.valid and all(bool(parameter.isfinite().all()) for parameter in self.parameters)

    def gather(self) -> None:
        """Bring all weights into `model`, where they are already."""

    def save(self, checkpoints: Checkpoints | None, step: int, content: dict[str, Any]) -> None:
        """Save a checkpoint; `content` is that of its state.json."""
        if checkpoints is not None:
            save(self.model, self.optimizer, checkpoints, step, content)

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Continue from a checkpoint; raises `InputError` where it does not fit the model."""
        if checkpoint is not None:
            restore(self.model, self.optimizer, checkpoint)


def clip(parameters: list[nn.Parameter], clip_norm: float | None, norm: AnyTensor, value: float) -> None:
    """Scale gradients of the global norm `norm`, in numbers `value`, down to `clip_norm`, None = to any.

    Gradients of a smaller norm, which torch multiplies by 1, are left alone: that is a pass over all of them.
    """
    if clip_norm is not None and not clip_norm / (value + CLIP_EPS) > 1.0 + 1e-6:  # near 1 torch's rounding decides
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)


def save(
    model: nn.Module, optimizer: torch.optim.Optimizer, checkpoints: Checkpoints, step: int, content: dict[str, Any]
) -> None:
    """Save whole tensors of this process as checkpoint `step`."""
    checkpoints.save(step, pack(model, optimizer, content))


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Put the tensors of a checkpoint into the model and its optimizer."""
    restore_model(model, checkpoint.model, checkpoint.path / "model.safetensors")
    restore_optimizer(model, optimizer, checkpoint.optimizer, checkpoint.path / "optimizer.safetensors")
