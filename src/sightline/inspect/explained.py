"""One position of a model's answer to one input: the maps that may be shown as its explanation, and what they are
compared with.

A map is an importance (S,) of the S positions of the source; positions that the model adds are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
import torch
from torch import nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.seeds import derive
from sightline.inspect.effects import changes_of_replacing, numbers_moved, probabilities_moved
from sightline.inspect.erasing import Eraser, ErasureCurves, curves_of
from sightline.inspect.influence_map import InfluenceMap
from sightline.inspect.layer_maps import implicit_maps, jacobian_maps, rollout_maps, softmax_maps, value_weighted_maps
from sightline.inspect.model_maps import gradient_maps, integrated_gradients_maps, relevance_maps
from sightline.inspect.opened_model import OpenedModel
from sightline.inspect.record import replaced_attention
from sightline.tasks.opened import OpenedInput, OpenedSide

# The maps of layers that a reader may be shown, by method.
SHOWN: dict[str, Callable[[OpenedModel], list[InfluenceMap]]] = {
    "softmax": softmax_maps,
    "value_weighted": value_weighted_maps,
    "rollout": rollout_maps,
    "implicit": implicit_maps,
    "jacobian": jacobian_maps,
}


RANDOM_ORDERS = 5
POINTS = 64  # of integrated gradients
DIRECTIONS = 16  # by which norms of Jacobians are estimated


class ShownMap(NamedTuple):
    """A map that may be shown: its method, the path of its layer in the model, the number of the layer, its values."""

    method: str
    path: str
    layer: int
    values: np.ndarray  # (S,), 0 or more

    @property
    def name(self) -> str:
        """The method and the path."""
        return f"{self.method} {self.path}"


def at_row(opened: OpenedInput, row: int) -> OpenedInput:
    """The input with one position of its answer alone."""

    def only(side: OpenedSide) -> OpenedSide:
        masked = side.masked
        return side._replace(
            answer=lambda changed: side.answer(changed)[:, row : row + 1],
            masked=None if masked is None else lambda changed, kept: masked(changed, kept)[:, row : row + 1],
        )

    return opened._replace(
        source=only(opened.source),
        read=None if opened.read is None else only(opened.read),
        outputs=opened.outputs[row : row + 1],
        labels=None if opened.labels is None else opened.labels[row : row + 1],
        reads=opened.reads[row : row + 1],
    )


def as_explanation(one: InfluenceMap, opened: OpenedInput, row: int) -> np.ndarray | None:
    """The importance of the source for one position of the answer by a map of a layer, (S,); None where it has none.

    The mean over heads, of the sizes of what may be negative. Of a map from the source to the answer it is the row of
    the answer; of a map of the source over itself the row at which the answer is read, or the mean over rows where it
    is read from all of them.
    """
    if one.columns != "source":
        return None
    weights = np.abs(one.weights).mean(0)  # (rows, columns)
    if one.rows == "output":
        explanation = weights[row]
    elif opened.reads:
        explanation = weights[opened.reads[row]]
    else:
        explanation = weights.mean(0)
    return explanation[opened.source.added :].astype(np.float64)


@final
class ExplainedItem:
    """One position of the answer, with its maps and all that tests of them ask for; computed when it is asked for.

    row: the position; causal: (S,) bool, what the answer is known to depend on, None where it is not known
    """

    def __init__(
        self,
        model: nn.Module,
        opened: OpenedInput,
        row: int = 0,
        *,
        replacements: int = 8,
        seed: int = 0,
        causal: np.ndarray | None = None,
    ) -> None:
        self.model, self.opened, self.row = model, opened, row % len(opened.outputs)
        self.seed, self.causal = seed, causal
        self.notes: list[str] = []
        self._whole = OpenedModel(model, opened, replacements, directions=DIRECTIONS)
        self._one = OpenedModel(model, at_row(opened, self.row), replacements, points=POINTS)
        self._references: dict[str, np.ndarray | None] = {}
        self._curves: dict[tuple[str, bytes], ErasureCurves] = {}

    @property
    def positions(self) -> int:
        """S, the number of positions without those that the model adds."""
        return len(self.opened.source.pieces) - self.opened.source.added

    @cached_property
    def maps(self) -> list[ShownMap]:
        """All that may be shown: maps to the answer, and of a source over itself where no map leads to the answer."""
        candidates: list[tuple[bool, ShownMap]] = []
        for method, make in SHOWN.items():
            try:
                of_method = make(self._whole)
            except (InputError, EnvironmentFault) as error:
                self.notes.append(f"{method}: {error}")
                continue
            for one in of_method:
                values = as_explanation(one, self.opened, self.row)
                if values is not None and len(values) == self.positions:
                    candidates.append((one.rows == "output", ShownMap(method, one.name, one.layer, values)))
        across = self.opened.read is not None and any(to_answer for to_answer, _ in candidates)
        return [one for to_answer, one in candidates if to_answer or not across]

    @cached_property
    def changes(self) -> np.ndarray:
        """The change of the answer by each replacement of each position, (S, N): total variation, or of numbers the
        mean difference.
        """
        side = self._one.opened.source
        moved = numbers_moved if self.opened.labels is None else probabilities_moved
        number = self._one.replacements
        by_position = changes_of_replacing(
            side.answer, side.input, lambda place: side.replaced(place, number), self.positions, moved
        )
        return torch.stack(by_position)[:, :, 0].double().cpu().numpy()

    @cached_property
    def eraser(self) -> Eraser:
        """The eraser of positions."""
        opened = self._one.opened
        return Eraser(opened.source, opened.labels, min(self._one.replacements, 4))

    @property
    def one(self) -> OpenedModel:
        """The model with the input, of whose answer one position is left."""
        return self._one

    @cached_property
    def baselines(self) -> dict[str, tuple[ErasureCurves, ErasureCurves]]:
        """By way of erasing the curves of random orders, the mean of `RANDOM_ORDERS`, and of the order of effects."""
        random = np.random.default_rng(derive(self.seed, "random orders"))
        orders = [random.permutation(self.positions).astype(float) for _ in range(RANDOM_ORDERS)]
        curves = {}
        for way in self.eraser.ways:
            *drawn, oracle = curves_of(self.eraser, [*orders, self.changes.mean(1)], way)
            curves[way] = (ErasureCurves(*(np.mean(part, 0) for part in zip(*drawn, strict=True))), oracle)
        return curves

    def curves(self, values: np.ndarray, way: str) -> ErasureCurves:
        """The curves of one importance (S,), computed once."""
        key = (way, values.tobytes())
        if key not in self._curves:
            (self._curves[key],) = curves_of(self.eraser, [values], way)
        return self._curves[key]

    def reference(self, name: str) -> np.ndarray | None:
        """The importance (S,) of each position by a method of `REFERENCES`; None, with a note, where it has none."""
        if name not in self._references:
            try:
                self._references[name] = REFERENCES[name](self)
            except (InputError, EnvironmentFault) as error:
                self.notes.append(f"{name.replace('_', ' ')}: {error}")
                self._references[name] = None
        return self._references[name]

    def of_model(self, make: Callable[[OpenedModel], list[InfluenceMap]]) -> np.ndarray:
        """The sizes (S,) of a map of the whole model from the source to the answer."""
        one = next(one for one in make(self._one) if one.columns == "source")
        return np.abs(one.weights[0, 0, self.opened.source.added :]).astype(np.float64)


def _gradient(item: ExplainedItem) -> np.ndarray:
    with replaced_attention(item.model, lambda _, weights: weights.detach()):
        return item.of_model(gradient_maps)


def _leave_one_out(item: ExplainedItem) -> np.ndarray:
    alone = torch.eye(item.positions, dtype=torch.bool)
    return item.eraser.moved_by_removal(alone)


# Importances of the whole model that a map is compared with, by name.
REFERENCES: dict[str, Callable[[ExplainedItem], np.ndarray]] = {
    "gradient": _gradient,
    "integrated_gradients": lambda item: item.of_model(integrated_gradients_maps),
    "relevance": lambda item: item.of_model(relevance_maps),
    "leave_one_out": _leave_one_out,
    "effect": lambda item: item.changes.mean(1),
}


def ranks_causal(values: np.ndarray, causal: np.ndarray) -> float:
    """The share of the causal positions among as many most important ones, ties broken against them."""
    order = np.lexsort((causal, -values))
    return float(causal[order[: int(causal.sum())]].mean())
