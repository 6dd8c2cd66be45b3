"""Positions taken away from an input, by removal or by replacement, and the curves of what that changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.inspect.effects import numbers_moved, probabilities_moved
from sightline.inspect.faithfulness import SHARES
from sightline.tasks.opened import OpenedSide

ROWS = 256  # changed inputs that are answered at once


@final
class Eraser:
    """Answers to one input of which sets of positions are taken away; `side` has one position of the answer.

    By removal the positions are masked, as if they were not there (DeYoung et al. 2020, "ERASER", arXiv:1911.03429).
    By replacement each has what `side.replaced` draws for it, which leaves the model an input of the kind that it was
    trained on; the drop is then the mean over `replacements` draws. A deviation from ERASER, which removes.
    """

    def __init__(self, side: OpenedSide, labels: Tensor | None, replacements: int) -> None:
        self.side, self.labels, self.replacements = side, labels, replacements
        self.positions = len(side.pieces) - side.added
        self._known: dict[tuple[str, bytes], float] = {}  # by way and set, what is lost

    @cached_property
    def ways(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """The ways that this input allows, by name: from sets (R, S), True = taken away, to answers (R, N, C)."""
        ways: dict[str, Callable[[Tensor], Tensor]] = {"removal": self._removed, "replacement": self._replaced}
        return ways if self.side.masked is not None else {"replacement": self._replaced}

    @cached_property
    def whole(self) -> Tensor:
        """The answer (1, 1, C) to the whole input."""
        return self.side.answer(self.side.input)

    @torch.no_grad()
    def drops(self, sets: np.ndarray, way: str) -> np.ndarray:
        """How much the answer loses (R,) by each set (R, S): p(x) - p(changed) of its label; of numbers the mean
        |difference|. Each set is computed once.
        """
        keys = [(way, row.tobytes()) for row in np.asarray(sets, bool)]
        new = {key: row for key, row in zip(keys, sets, strict=True) if key not in self._known}
        if new:
            self._known.update(zip(new, self._computed(np.stack(list(new.values())), way), strict=True))
        return np.array([self._known[key] for key in keys])

    def _computed(self, sets: np.ndarray, way: str) -> list[float]:
        parts: list[float] = []
        step = max(1, ROWS // self.replacements)
        for first in range(0, len(sets), step):
            chosen = torch.from_numpy(sets[first : first + step]).to(self.side.input.device)
            answers = self.ways[way](chosen)  # (R, N, C)
            if self.labels is None:
                moved = (answers - self.whole).abs().mean(2)
            else:
                label = int(self.labels[0])
                moved = (self.whole.softmax(-1) - answers.softmax(-1))[..., label]
            parts += moved.double().mean(1).tolist()
        return parts

    @torch.no_grad()
    def moved_by_removal(self, sets: Tensor) -> np.ndarray:
        """The total variation, or mean difference, (R,) of the answer without each set (R, S).

        Raises:
            InputError: "the model has no mask by which positions can be left out".
        """
        if self.side.masked is None:
            raise InputError("the model has no mask by which positions can be left out")
        moved = numbers_moved if self.labels is None else probabilities_moved
        answers = torch.cat([self._removed(part) for part in sets.to(self.side.input.device).split(ROWS)])
        return moved(answers, self.whole)[:, 0].double().cpu().numpy()

    def _removed(self, sets: Tensor) -> Tensor:
        assert self.side.masked is not None
        inputs = self.side.input.expand(len(sets), *self.side.input.shape[1:])
        return self.side.masked(inputs, ~sets)

    def _replaced(self, sets: Tensor) -> Tensor:
        inputs = self.side.input
        changed = inputs.unsqueeze(1).repeat(len(sets), self.replacements, *[1] * (inputs.dim() - 1))  # (R, N, …)
        for place, (other, differs) in enumerate(self._others):
            rows = sets[:, place].nonzero().squeeze(1)
            if len(rows):
                changed[rows] = torch.where(differs, other, changed[rows])
        answers = self.side.answer(changed.flatten(0, 1))
        return answers.unflatten(0, (len(sets), self.replacements))[:, :, 0]

    @cached_property
    def _others(self) -> list[tuple[Tensor, Tensor]]:
        """Of each position its replacements (N, …), and where they differ from the input."""
        others = [self.side.replaced(place, self.replacements) for place in range(self.positions)]
        return [(other, other != self.side.input) for other in others]


class ErasureCurves(NamedTuple):
    """The losses of one order of positions over shares: `comprehensiveness` (K,) without the first share of them,
    `sufficiency` (K,) with that share alone. Their areas (AOPC) are the means.
    """

    comprehensiveness: np.ndarray
    sufficiency: np.ndarray


def top_sets(importance: np.ndarray, shares: Sequence[float] = SHARES) -> np.ndarray:
    """The most important positions (K, S) by share of all, at least one; of equal ones the earlier."""
    length = len(importance)
    rank = np.empty(length, int)
    rank[np.argsort(-importance, kind="stable")] = np.arange(length)
    counts = np.maximum(np.ceil(np.array(shares) * length - 1e-9).astype(int), 1)
    return rank < counts[:, None]


def curves_of(
    eraser: Eraser, orders: Sequence[np.ndarray], way: str, shares: Sequence[float] = SHARES
) -> list[ErasureCurves]:
    """The curves of several importances (S,).

    Comprehensiveness and sufficiency of DeYoung et al. 2020, eqs. 1 and 2, over shares of the positions, at least one;
    a deviation: the paper's area also has the empty share, and divides by their number plus one.
    """
    top = np.concatenate([top_sets(order, shares) for order in orders])  # (O · K, S)
    drops = eraser.drops(np.concatenate([top, ~top]), way).reshape(2, len(orders), len(shares))
    return [ErasureCurves(drops[0, place], drops[1, place]) for place in range(len(orders))]
