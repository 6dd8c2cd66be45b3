"""Training steps on pieces of a batch, in one process or several: accumulation, DDP and FSDP2.

The gradient is that of the mean over all labels of the whole batch: each process adds up the gradients of the sums of
its pieces, torch averages them over the processes, and the number of labels, summed over the processes too, divides
them. Pieces with more labels weigh more, as they do in one batch.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.training.buffers import SavedBuffers
from sightline.training.checkpoint import Checkpoint, Checkpoints
from sightline.training.distributed import Team
from sightline.training.flops import StepFlops, shapes
from sightline.training.loss import Loss, Objective
from sightline.training.optim import build_optimizer
from sightline.training.shares import Share
from sightline.training.state import TrainConfig
from sightline.training.step import Gradients, Stepper, Steps, clip, restore, save


@final
class _Goal(nn.Module):
    """The objective as a module, so that DDP and FSDP see a whole forward pass; `loss` is the last one."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.loss: Loss | None = None

    def forward(self, batch: Any) -> Tensor:
        self.loss = self.objective(self.model, batch)
        return self.loss.total


def make_stepper(
    model: nn.Module, objective: Objective, config: TrainConfig, device: torch.device, dtype: str, team: Team
) -> Stepper | SharedStepper:
    """The steps of a training: plain ones where one process computes each batch as a whole."""
    if team.alone and not config.in_pieces:
        return Stepper(model, objective, config.optim, device, dtype)
    if getattr(model, "carries_state", False):
        raise InputError(
            "a state that is carried from batch to batch needs one process and whole batches", where="--bptt"
        )
    return SharedStepper(model, objective, config, device, dtype, team)


@final
class SharedStepper(Steps):
    """The steps of one process of a training; see `Stepper`, whose batches are whole.

    Under FSDP each process has a part of every tensor, and `model` gets the weights by `gather`, in the first process.
    """

    def __init__(
        self, model: nn.Module, objective: Objective, config: TrainConfig, device: torch.device, dtype: str, team: Team
    ) -> None:
        self.model, self.objective, self.team = model, objective, team
        self.config, self.seed = config.optim, config.seed
        self.sharded = config.parallel == "fsdp" and not team.alone
        self._goal = _Goal(deepcopy(model) if self.sharded else model, objective)
        self._call: nn.Module = self._goal
        if self.sharded:
            _shard(self._goal, device)
        elif not team.alone:
            self._call = nn.parallel.DistributedDataParallel(
                self._goal, device_ids=[device] if device.type == "cuda" else None, find_unused_parameters=True
            )
        optimizer = build_optimizer(self._goal.model, self.config)
        super().__init__(optimizer, SavedBuffers(self._goal.model), device, dtype)
        self.parameters = [p for p in self._goal.model.parameters() if p.requires_grad]
        self.flops = StepFlops()

    def _gradients(self, batch: Share, step: int) -> Gradients:
        """Gradients of the mean loss of the whole batch, clipped; its values are those of all processes."""
        self._goal.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = nll = torch.zeros((), device=self.device)
        labels = flops = 0
        for place, (number, rows, counts) in enumerate(batch.pieces):
            torch.manual_seed(derive(self.seed, "dropout", step, number))
            key = shapes(rows)
            with self._syncing(place + 1 == len(batch.pieces)), self.flops.counting(key):
                with self.autocast():
                    self._call(rows.to(self.device))
                loss, self._goal.loss = self._goal.loss, None
                assert loss is not None
                # 0 times the loss of rows that are another's still takes part in the sums over processes.
                (loss.total if counts else loss.total * 0.0).backward()
            if counts:
                total, nll = total + loss.total.detach().float(), nll + loss.nll.float()
                labels, flops = labels + loss.count, flops + self.flops.of(key)
        sums = self.team.sums([float(total), float(nll), float(labels), float(flops)])
        return self._averaged(*sums)

    def _averaged(self, total: float, nll: float, labels: float, flops: float) -> Gradients:
        """The gradients, averaged over processes by torch, as those of the mean over all labels, clipped."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_mul_(grads, self.team.size / max(labels, 1))
        norm = _whole(nn.utils.get_total_norm(grads))
        value = float(norm)
        clip(self.parameters, self.config.clip_norm, norm, value)
        return Gradients(total, value, nll, int(labels), int(flops))

    def _syncing(self, last: bool) -> AbstractContextManager[None]:
        """Gradients are summed over processes after the last piece only."""
        if self.sharded:
            self._goal.set_requires_gradient_sync(last)  # type: ignore[attr-defined]
        elif not last and isinstance(self._call, nn.parallel.DistributedDataParallel):
            return self._call.no_sync()
        return nullcontext()

    @property
    def finite(self) -> bool:
        """Whether all weights are, and no saved buffer has a NaN; the same in every process."""
        good = self.buffers.valid and all(bool(_part(p).isfinite().all()) for p in self.parameters)
        return not self.team.most([float(not good)])[0]

    def gather(self) -> None:
        """Put the weights of all processes into `model` of the first one; all of them call it."""
        if not self.sharded:
            return
        with torch.no_grad():
            own = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
            for name, tensor in (*self._goal.model.named_parameters(), *self._goal.model.named_buffers()):
                whole = _whole(tensor.detach())
                if self.team.first:
                    own[name].copy_(whole)

    def save(self, checkpoints: Checkpoints | None, step: int, content: dict[str, Any]) -> None:
        """Save a checkpoint, of which the first process has the directory; all of them call it."""
        if self.sharded:
            from sightline.training.sharded_checkpoint import save_sharded  # slow to import

            save_sharded(self._goal.model, self.optimizer, checkpoints, step, content, self.team)
        elif checkpoints is not None:
            save(self.model, self.optimizer, checkpoints, step, content)

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Continue from a checkpoint, which the first process has read; all of them call it."""
        if self.sharded:
            from sightline.training.sharded_checkpoint import load_sharded

            load_sharded(self._goal.model, self.optimizer, checkpoint, self.team)
        else:
            restored = self.team.from_first(lambda: checkpoint)
            assert restored is not None
            restore(self.model, self.optimizer, restored)


def _whole(tensor: Tensor) -> Tensor:
    """A tensor that is divided over processes as a whole one in each of them."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def _part(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process has."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _shard(goal: _Goal, device: torch.device) -> None:
    """Divide every tensor over the processes, all of them as one group.

    They are complete from the forward to the backward pass of a step. Groups of single layers would need less memory,
    but a layer computes keys of a memory in `initial_state` and reads them in `forward`: torch frees its weights when
    one of the two has its gradients, before the other has them.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    fully_shard(goal, mesh=mesh, reshard_after_forward=False)
