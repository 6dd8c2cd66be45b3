"""The effect of each input position on each output, by replacing it: the common ground truth of all influence maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sightline.inspect.faithfulness import total_variation

ROWS = 64  # changed inputs that are answered at once


def probabilities_moved(changed: Tensor, whole: Tensor) -> Tensor:
    """The total variation (R, T) between the probabilities of logits (R, T, C) and those of (1, T, C)."""
    return total_variation(changed.softmax(-1), whole.softmax(-1))


def numbers_moved(changed: Tensor, whole: Tensor) -> Tensor:
    """The mean |difference| (R, T) of numbers (R, T, C) from (1, T, C)."""
    return (changed - whole).abs().mean(-1)


@torch.no_grad()
def effects_of_replacing(
    answer: Callable[[Tensor], Tensor],
    inputs: Tensor,
    replaced: Callable[[int], Tensor],
    positions: int,
    moved: Callable[[Tensor, Tensor], Tensor] = probabilities_moved,
    *,
    rows: int = ROWS,
) -> Tensor:
    """How much replacing each of the `positions` moves each of T outputs, (T, positions): the mean over replacements.

    answer: inputs (R, …), each row for itself, to logits or numbers (R, T, C)
    inputs: the one input (1, …); replaced: the inputs (N, …) in which a position alone is replaced
    moved: the size of the change, of answers (R, T, C) from the answer (1, T, C) to the input

    An intervention: unlike a weight or a slope it says what the answer depends on, for these replacements.
    """
    whole = answer(inputs)
    total = whole.new_zeros(whole.shape[1], positions)
    counts = whole.new_zeros(positions)
    for places, changed in _chunks(replaced, positions, rows):
        at = torch.tensor(places, device=whole.device)
        total.index_add_(1, at, moved(answer(changed), whole).T.to(total))
        counts.index_add_(0, at, torch.ones_like(at, dtype=counts.dtype))
    return total / counts.clamp(min=1)


def _chunks(replaced: Callable[[int], Tensor], positions: int, rows: int) -> Iterator[tuple[list[int], Tensor]]:
    """Changed inputs of several positions together, `rows` at a time, with the position of each."""
    places: list[int] = []
    waiting: list[Tensor] = []
    for position in range(positions):
        changed = replaced(position)
        places += [position] * len(changed)
        waiting.append(changed)
        while len(places) >= rows or (places and position == positions - 1):
            joined = torch.cat(waiting)
            yield places[:rows], joined[:rows]
            places, waiting = places[rows:], [joined[rows:]]
