"""The gain from state to state inside an encoder, whose recurrences may read in either direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from sightline.core.mixer import SequenceMixer
from sightline.inspect.record import recorded_inputs
from sightline.lab.reach import StateReach, state_reach

NO_STATE = "no layer has a state: each sees the whole sequence at once"


def reading_reach(
    module: nn.Module, read: Callable[[], object], lags: Sequence[int], generator: torch.Generator
) -> StateReach | None:
    """Norms of ∂h_T/∂h_{T-k} of all that reads step by step in a module, while `read()` calls it with one row.

    One stack of layers that reads in one direction is one state. Of several readers, such as the two halves of each
    layer that reads both ways, each has its own input as it is: together their Jacobian has theirs as blocks, whose
    root mean square gain and largest singular value are given. T is one more than the longest lag. None without a
    state.
    """
    readers = dict(_outermost(module, ""))
    with recorded_inputs(readers) as inputs:
        read()
    length = lags[-1] + 1
    blocks = []
    for path, x in inputs.items():
        reached = state_reach(readers[path], x[:1, :length].detach(), lags, generator=generator)
        if reached is not None:
            blocks.append(reached)
    return joined(blocks) if blocks else None


def joined(blocks: Sequence[StateReach]) -> StateReach:
    """The reach of the block-diagonal Jacobian of all blocks."""
    numbers = sum(one.numbers for one in blocks)
    squares = torch.stack([one.numbers * one.frobenius.square() for one in blocks]).sum(0)
    largest = [one.spectral for one in blocks if one.spectral is not None]
    spectral = torch.stack(largest).amax(0) if len(largest) == len(blocks) else None
    return StateReach(squares.sqrt() / math.sqrt(numbers), spectral, numbers, len(blocks))


def _outermost(module: nn.Module, path: str) -> Iterator[tuple[str, SequenceMixer]]:
    """The causal parts of a module that are in no other causal part, by their paths."""
    if isinstance(module, SequenceMixer):
        yield path, module
        return
    for name, child in module.named_children():
        yield from _outermost(child, f"{path}.{name}" if path else name)
