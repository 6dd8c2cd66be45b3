"""float64 where a device has it: Apple's GPUs (`mps`) do not."""

from __future__ import annotations

import torch

from sightline.core.shapes import AnyTensor

LACKING = frozenset({"mps"})  # kinds of devices


def precise(device: torch.device) -> torch.dtype:
    """The dtype for sums of scores and probabilities on a device: float64, or float32 where it lacks float64."""
    return torch.float32 if device.type in LACKING else torch.float64


def doubled(x: AnyTensor) -> AnyTensor:
    """x in float64, on the CPU where its device lacks that."""
    return (x.cpu() if x.device.type in LACKING else x).double()


def narrowed(x: AnyTensor, dtype: torch.dtype, device: torch.device) -> AnyTensor:
    """What follows from `doubled` tensors of this device, in a narrower dtype and back on it."""
    return x.to(dtype).to(device) if device.type in LACKING else x.to(dtype)
