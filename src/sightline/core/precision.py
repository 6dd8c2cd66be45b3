"""The precisions of a model's products when it predicts, and products that autocast leaves as they are."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "bf16", "int8"]


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switches autocast off inside the block.

    Where it is off already, `torch.export` would record what it cannot write to a file (torch 2.13).
    """
    if torch.compiler.is_exporting() and not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
