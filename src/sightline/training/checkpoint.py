"""Checkpoints that are complete or absent: written under a temporary name, synced, hashed, renamed.

`checkpoints/step-000500/` contains `model.safetensors`, `optimizer.safetensors`, `state.json` and, written last,
`MANIFEST.json` with every file's size and SHA-256. A resumed run continues from the newest directory that verifies.
Nothing is unpickled: tensors are safetensors, the rest is JSON.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.files import faults, parse_json_object, read_regular, replacing_directory, write_new
from sightline.core.weights import HEADER_BYTES, check_safetensors, own_tensors

FORMAT = 1
MANIFEST = "MANIFEST.json"
FILES = ("model.safetensors", "optimizer.safetensors", "state.json")
logger = logging.getLogger("sightline")


@final
@dataclass(frozen=True)
class Checkpoint:
    """The content of a verified checkpoint."""

    path: Path
    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


@final
class Checkpoints:
    """The checkpoints of one run. The caller has the lock of the run directory."""

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory = directory
        self.keep = keep

    def clean(self) -> None:
        """Remove the rests of a killed save."""
        for path in self.directory.glob("step-*.tmp"):
            shutil.rmtree(path)

    def steps(self) -> list[tuple[int, Path]]:
        """Finished directories, oldest first, by the step in their names (clocks are not reliable)."""
        if not self.directory.is_dir():
            return []
        names = [(re.fullmatch(r"step-(\d+)", path.name), path) for path in self.directory.iterdir()]
        return sorted((int(name[1]), path) for name, path in names if name)

    def save(self, step: int, files: Mapping[str, bytes]) -> Path:
        """Write checkpoint `step`, then remove all others but the newest `keep`.

        Raises `EnvironmentFault` with the path, and the bytes needed if the disk is full; older checkpoints stay.
        """
        target, needed = self.directory / f"step-{step:06d}", sum(map(len, files.values()))
        with faults(target, needed):
            self.directory.mkdir(parents=True, exist_ok=True)
            with replacing_directory(target, needed) as beside:
                for name, content in [*files.items(), (MANIFEST, _manifest(step, files))]:
                    write_new(beside / name, content)
            self.prune(used=target)
        return target

    @contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """A directory for others to write the files of checkpoint `step` into; it gets its manifest and its name when
        the block ends. Raises what `save` raises.
        """
        target = self.directory / f"step-{step:06d}"
        with faults(target):
            self.directory.mkdir(parents=True, exist_ok=True)
            with replacing_directory(target) as beside:
                yield beside
                for path in beside.iterdir():
                    if path.name not in FILES:  # what the writers left
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                write_new(beside / MANIFEST, _manifest(step, {name: (beside / name).read_bytes() for name in FILES}))
            self.prune(used=target)

    def prune(self, used: Path | None = None) -> None:
        """Remove all but the newest `keep` and the one in use; `clean` removes what a kill leaves of them."""
        for _, old in self.steps()[: -self.keep]:
            if old != used:
                beside = old.with_name(old.name + ".tmp")
                os.rename(old, beside)
                try:
                    shutil.rmtree(beside)
                except OSError:
                    shutil.rmtree(beside, ignore_errors=True)
                    raise

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, or None; logs each newer one that does not.

        Raises `InputError` if there are checkpoints but none verifies.
        """
        steps = self.steps()
        for step, path in reversed(steps):
            try:
                return load(path, step)
            except (InputError, EnvironmentFault) as error:
                logger.warning("%s; falling back to the checkpoint before it", error)
        if steps:
            raise InputError("no checkpoint here verifies; start again with --overwrite", where=self.directory)
        return None


def load(path: Path, step: int) -> Checkpoint:
    """Read and verify one checkpoint directory; `InputError` names the damaged file and the reason."""
    read = partial(read_regular, follow_links=False)
    manifest = parse_json_object(read(path / MANIFEST), where=path / MANIFEST)
    listed = manifest.get("files")
    if manifest.get("format") != FORMAT or manifest.get("step") != step or not isinstance(listed, dict):
        raise InputError(f"not the manifest of step {step} in format {FORMAT}", where=path / MANIFEST)
    if set(listed) != set(FILES):
        raise InputError(f"must list {', '.join(FILES)}, lists {', '.join(sorted(listed))}", where=path / MANIFEST)
    contents = {name: read(path / name) for name in FILES}
    for name, content in contents.items():
        if listed[name] != _entry(content):
            raise InputError(f"damaged: its {len(content):,} bytes do not match the manifest", where=path / name)
    model, optimizer = (tensors_from(contents[name], path / name) for name in FILES[:2])
    return Checkpoint(path, step, model, optimizer, parse_json_object(contents[FILES[2]], where=path / FILES[2]))


def tensors_from(content: bytes, where: Path) -> dict[str, Tensor]:
    """The tensors in the content of a safetensors file; pickles and archives are refused unread."""
    check_safetensors(content[:HEADER_BYTES], where=where)
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"not a safetensors file: {error}", where=where) from None


def check_model(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Raises `InputError` for the first of the tensors that does not fit the model."""
    expected = own_tensors(model)
    for name in [*expected, *tensors]:
        if name not in tensors or name not in expected:
            lacks = "the checkpoint" if name not in tensors else "the model"
            raise InputError(f"{lacks} has no tensor {name!r}: the architectures differ", where=where)
        if tensors[name].shape != expected[name].shape or tensors[name].dtype != expected[name].dtype:
            saved, own = (f"{tuple(t.shape)} {t.dtype}" for t in (tensors[name], expected[name]))
            raise InputError(f"tensor {name!r} is {saved} in the checkpoint, {own} in the model", where=where)


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Copy the tensors into the model; raises as `check_model` does."""
    check_model(model, tensors, where)
    model.load_state_dict(dict(tensors), strict=False)  # the loop was strict; the file has a tied tensor once


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as tensors named `<parameter>/<slot>`."""
    return {
        f"{name}/{slot}": tensor.contiguous()
        for name, parameter in model.named_parameters()
        for slot, tensor in optimizer.state.get(parameter, {}).items()
    }


def check_optimizer(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Raises `InputError` for the first tensor of an optimizer's state that fits no parameter of the model."""
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    for key, tensor in tensors.items():
        name = key.rpartition("/")[0]
        if name not in shapes or (tensor.dim() > 0 and tensor.shape != shapes[name]):
            raise InputError(f"optimizer state {key!r} {tuple(tensor.shape)} fits no parameter", where=where)


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], where: Path
) -> None:
    """Put the named tensors back into the optimizer; raises as `check_optimizer` does."""
    check_optimizer(model, tensors, where)
    set_optimizer(model, optimizer, tensors)


def set_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the named tensors into the optimizer, which has those parameters."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    order = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, slot = key.rpartition("/")
        slots.setdefault(order.index(name), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def pack(model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> dict[str, bytes]:
    """The contents of a checkpoint's files."""
    contents = (
        safetensors.torch.save(own_tensors(model)),
        safetensors.torch.save(optimizer_tensors(model, optimizer)),
        json.dumps(state, indent=1, allow_nan=False).encode(),
    )
    return dict(zip(FILES, contents, strict=True))


def packed_with_hashes(model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> int:
    """The size of a checkpoint in bytes, after all the work of one but writing it."""
    files = pack(model, optimizer, state)
    return len(_manifest(0, files)) + sum(map(len, files.values()))


def _manifest(step: int, files: Mapping[str, bytes]) -> bytes:
    entries = {name: _entry(content) for name, content in files.items()}
    return json.dumps({"format": FORMAT, "step": step, "files": entries}, indent=1).encode()


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
