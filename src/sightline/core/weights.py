"""A model's tensors as files have them: each tensor once, safetensors only."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sightline.core.errors import InputError
from sightline.core.shapes import AnyTensor

HEADER_BYTES = 9  # 8 of the header's length and the brace that opens it
PICKLED = (b"\x80", b"PK", b"\x1f\x8b")  # pickle, zip (as torch.save writes), gzip


def own_tensors(model: nn.Module) -> dict[str, AnyTensor]:
    """The model's parameters and saved buffers, detached; a shared (tied) tensor once, under its first name."""
    saved = model.state_dict().keys()
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach().contiguous() for name, tensor in named if name in saved}


def check_safetensors(start: bytes, *, where: Path) -> None:
    """Refuse a file by its first `HEADER_BYTES` bytes; nothing else of it needs to be read.

    Raises:
        InputError: "not a safetensors file but a pickle or an archive, which can run code; only safetensors are read".
    """
    if start[HEADER_BYTES - 1 : HEADER_BYTES] != b"{":
        kind = " but a pickle or an archive, which can run code" if start.startswith(PICKLED) else ""
        raise InputError(f"not a safetensors file{kind}; only safetensors are read", where=where)
