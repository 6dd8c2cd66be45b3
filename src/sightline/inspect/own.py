"""An input of a module of your own, opened for inspection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.modes import evaluating
from sightline.tasks.opened import OpenedInput, OpenedSide, replaced_stretches, replaced_tokens


@torch.no_grad()
def open_module(module: nn.Module, inputs: Any, pieces: Sequence[str] | None = None) -> OpenedInput:
    """The input (1, S, …) of a module that gives logits (1, C) or (1, T, C), alone or first of several results.

    Its vectors are those of the first front end or embedding in it. Token ids are replaced by others of the embedding,
    vectors by those of other positions.

    Raises:
        InputError: "expected a tensor (1, S, …), got (2, 7)"; "3 pieces for 7 positions".
    """
    if not isinstance(inputs, Tensor) or inputs.dim() < 2 or inputs.shape[0] != 1:
        shape = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise InputError(f"expected a tensor (1, S, …), got {shape}")
    length = inputs.shape[1]
    pieces = [str(number) for number in range(1, length + 1)] if pieces is None else list(pieces)
    if len(pieces) != length:
        raise InputError(f"{len(pieces)} pieces for {length} positions")

    def answer(changed: Tensor) -> Tensor:
        result: Any = module(changed)
        logits = result if isinstance(result, Tensor) else result[0]
        return logits.unsqueeze(1) if logits.dim() == 2 else logits

    with evaluating(module):
        labels = answer(inputs)[0].argmax(1)
    vectors = next((part for part in module.modules() if isinstance(part, FrontEnd | nn.Embedding)), None)
    if inputs.is_floating_point():
        replaced = replaced_stretches(inputs, [(place, place + 1) for place in range(length)])
    else:
        table = next((part for part in module.modules() if isinstance(part, nn.Embedding)), None)
        size = int(inputs.max()) + 2 if table is None else table.num_embeddings
        replaced = replaced_tokens(inputs, 0, size)
    side = OpenedSide(pieces, inputs, answer, replaced, vectors)
    return OpenedInput("text", " ".join(pieces), side, [str(label) for label in labels.tolist()], labels)
