"""The effect of each input position on each output, by replacing it: the common ground truth of all influence maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sightline.core.interruption import interruption_point
from sightline.inspect.faithfulness import total_variation

ROWS = 64  # changed inputs that are answered at once


def probabilities_moved(changed: Tensor, whole: Tensor) -> Tensor:
    """The total variation (R, T) between the probabilities of logits (R, T, C) and those of (1, T, C)."""
    return total_variation(changed.softmax(-1), whole.softmax(-1))


def numbers_moved(changed: Tensor, whole: Tensor) -> Tensor:
    """The mean |difference| (R, T) of numbers (R, T, C) from (1, T, C)."""
    return (changed - whole).abs().mean(-1)


@torch.no_grad()
def changes_of_replacing(
    answer: Callable[[Tensor], Tensor],
    inputs: Tensor,
    replaced: Callable[[int], Tensor],
    positions: int,
    moved: Callable[[Tensor, Tensor], Tensor] = probabilities_moved,
    *,
    rows: int = ROWS,
) -> list[Tensor]:
    """How much each replacement of each of the `positions` moves each of T outputs: of each position (N, T).

    answer: inputs (R, …), each row for itself, to logits or numbers (R, T, C)
    inputs: the one input (1, …); replaced: the inputs (N, …) in which a position alone is replaced
    moved: the size of the change, of answers (R, T, C) from the answer (1, T, C) to the input
    """
    whole = answer(inputs)
    by_position: list[list[Tensor]] = [[whole.new_zeros(0, whole.shape[1])] for _ in range(positions)]
    for places, changed in _chunks(replaced, positions, rows):
        interruption_point()
        for place, change in zip(places, moved(answer(changed), whole).to(whole), strict=True):
            by_position[place].append(change.unsqueeze(0))
    return [torch.cat(changes) for changes in by_position]


def effects_of_replacing(
    answer: Callable[[Tensor], Tensor],
    inputs: Tensor,
    replaced: Callable[[int], Tensor],
    positions: int,
    moved: Callable[[Tensor, Tensor], Tensor] = probabilities_moved,
    *,
    rows: int = ROWS,
) -> Tensor:
    """The mean change (T, positions) of `changes_of_replacing` over replacements; 0 without any.

    An intervention: unlike a weight or a slope it says what the answer depends on, for these replacements.
    """
    changes = changes_of_replacing(answer, inputs, replaced, positions, moved, rows=rows)
    return torch.stack([of_one.sum(0) / max(len(of_one), 1) for of_one in changes], 1)


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
