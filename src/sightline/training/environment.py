"""The environment that a result depends on: machine, versions, threads, commit; and the device and dtype to use."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from typing import Any, Literal

import torch
from torch import nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.processes import available_cores
from sightline.core.processor import cpuinfo
from sightline.core.subnormals import flushes_subnormals

PACKAGES = ("numpy", "safetensors", "tokenizers", "sacrebleu", "scipy")
WIDE = 256


def environment() -> dict[str, Any]:
    """The contents of environment.json, in plain JSON types."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        # torch itself names its build (+cpu, +cu130), its distribution may not.
        "packages": {
            "torch": str(torch.__version__),
            **{name: version for name in PACKAGES if (version := installed_version(name))},
        },
        "sightline": installed_version("sightline"),
        "cpu": cpuinfo("model name") or platform.processor() or platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "subnormals": "flushed" if flushes_subnormals() else "kept",
        "memory_bytes": _memory_bytes(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if (status := _git("status", "--porcelain", "-uno")) is None else bool(status),
        "command": sys.argv,
    }


def resolve_device(device: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:1" or "mps"; `EnvironmentFault` if it is unavailable."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise InputError(f"must be auto, cpu, cuda or mps, found {device!r}", where="--device")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[kind]:
        raise EnvironmentFault(f"--device={device}: this machine or this torch has no {kind}; use --device=cpu")
    return torch.device(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices; elsewhere torch emulates it, 40 times slower or worse."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpuinfo("flags").split())
    return False


def resolve_dtype(dtype: str, device: torch.device, model: nn.Module) -> Literal["float32", "bfloat16"]:
    """The type of matrix products: "float32", "bfloat16" if the hardware has it, or "auto".

    "auto" is bfloat16 if the hardware has it and, on a CPU, most weights of the model are in matrices of at least
    `WIDE` rows and columns: in smaller ones the conversion costs more than the faster product saves. It is a rule, not
    a measurement, so that seed and machine determine the result.
    """
    if dtype == "auto":
        pays = device.type != "cpu" or _wide_share(model) > 0.5
        return "bfloat16" if pays and has_bfloat16(device) else "float32"
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"must be auto, float32 or bfloat16, found {dtype!r}", where="--dtype")
    if dtype == "bfloat16" and not has_bfloat16(device):
        raise EnvironmentFault(f"--dtype bfloat16: this {device.type} has no bfloat16 products; use --dtype float32")
    return "bfloat16" if dtype == "bfloat16" else "float32"


def _wide_share(model: nn.Module) -> float:
    sizes = [(p.numel(), min(p.shape)) for p in model.parameters() if p.dim() >= 2]
    return sum(n for n, least in sizes if least >= WIDE) / max(sum(n for n, _ in sizes), 1)


def installed_version(name: str) -> str | None:
    """The version of a distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
