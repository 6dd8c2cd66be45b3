"""Checkpoints of a model whose tensors are divided over processes, by torch.distributed.checkpoint.

Each process writes its parts of the tensors, and the first one joins them into the files that a training of one process
writes: any number of processes can continue from them, and nothing in them is unpickled. The directory gets its name
when it is complete, as `training.checkpoint` has it. All processes need to see the run directory.
"""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

from sightline.core.errors import EnvironmentFault
from sightline.core.weights import own_tensors
from sightline.training.checkpoint import (
    FILES,
    Checkpoint,
    Checkpoints,
    check_model,
    check_optimizer,
    optimizer_tensors,
    set_optimizer,
)
from sightline.training.distributed import Team

MODEL, OPTIMIZER, STATE = FILES


def save_sharded(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoints: Checkpoints | None,
    step: int,
    content: dict[str, Any],
    team: Team,
) -> None:
    """Save checkpoint `step`; `checkpoints` are those of the run in the first process, None in the others.

    Raises:
        EnvironmentFault: "runs/x/checkpoints/step-000500: No space left on device", or the directory is not shared.
    """
    model_tensors, moments = own_tensors(model), optimizer_tensors(model, optimizer)
    parts = dict.fromkeys(model_tensors, 1) | dict.fromkeys(moments, 2)
    with ExitStack() as stack:

        def begin() -> Path:
            assert checkpoints is not None
            return stack.enter_context(checkpoints.writing(step))

        beside = team.from_first(begin)
        writer = dcp.HuggingFaceStorageWriter(
            str(beside), fqn_to_index_mapping=parts, save_distributed=True, enable_consolidation=True
        )
        _quietly(lambda: dcp.save({**model_tensors, **moments}, storage_writer=writer), beside)
        if checkpoints is not None:
            for number, name in ((1, MODEL), (2, OPTIMIZER)):
                shard = beside / f"model-{number:05d}-of-00002.safetensors"
                if shard.exists():
                    shard.rename(beside / name)
                else:  # an optimizer has no tensors before the first step
                    (beside / name).write_bytes(safetensors.torch.save({}))
            _write_scalars(beside / OPTIMIZER, {name: one for name, one in moments.items() if one.dim() == 0})
            (beside / STATE).write_text(json.dumps(content, indent=1, allow_nan=False))


def load_sharded(model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Checkpoint | None, team: Team) -> None:
    """Read each process's parts of a checkpoint that the first process has verified.

    Raises:
        InputError: what `check_model` and `check_optimizer` raise.
    """

    def checked() -> tuple[Path, dict[str, Tensor | None]]:
        assert checkpoint is not None
        check_model(model, checkpoint.model, checkpoint.path / MODEL)
        check_optimizer(model, checkpoint.optimizer, checkpoint.path / OPTIMIZER)
        return checkpoint.path, {name: one if one.dim() == 0 else None for name, one in checkpoint.optimizer.items()}

    path, scalars = team.from_first(checked)
    parameters = dict(model.named_parameters())
    moments: dict[str, Tensor] = {}
    for name, scalar in scalars.items():
        if scalar is None:
            moments[name] = torch.zeros_like(parameters[name.rpartition("/")[0]].detach())
    reader = dcp.HuggingFaceStorageReader(str(path))
    _quietly(lambda: dcp.load({**own_tensors(model), **moments}, storage_reader=reader), path)
    set_optimizer(model, optimizer, {**moments, **{name: one for name, one in scalars.items() if one is not None}})


def _write_scalars(path: Path, scalars: dict[str, Tensor]) -> None:
    """Put values without axes, such as a count of steps, into a safetensors file, where torch leaves zeros."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, tensor in scalars.items():
            file.seek(8 + length + header[name]["data_offsets"][0])
            file.write(tensor.cpu().numpy().tobytes())


def _quietly(action: Any, path: Path) -> None:
    """Calls torch's checkpointing without its log; a fault of the disk in any process is ours in all of them."""
    log = logging.getLogger("torch.distributed.checkpoint")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        action()
    except CheckpointException as error:
        faults = [fault[0] for fault in error.failures.values()]
        reason = next((fault.strerror for fault in faults if isinstance(fault, OSError)), None) or faults[0]
        raise EnvironmentFault(f"{path}: {reason}") from error
    finally:
        log.setLevel(before)
