"""A model and an opened input, with what several methods of influence maps read: the answer, and what layers did."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any, Literal, NamedTuple, final

import numpy as np
from torch import Tensor, nn

from sightline.inspect.heads import heads_of
from sightline.inspect.influence_map import InfluenceMap, InfluenceMethod, InspectedInput, InspectedOutput, MapSide
from sightline.inspect.integrated import MOST_STEPS
from sightline.inspect.record import POOLED, recorded_attention, recorded_inputs
from sightline.tasks.opened import OpenedInput, OpenedSide

# The quantity that each method shows, and what it does not mean.
SENTENCES: dict[str, tuple[str, str]] = {
    "softmax": (
        "The share of its attention that each row gives to each column; the shares of a row sum to 1.",
        "What a position attends to need not be what its output depends on.",
    ),
    "value_weighted": (
        "The length of the vector that each column adds to each row: its weight times its projected value.",
        "Vectors may cancel each other, and what passes the layer by is not shown.",
    ),
    "rollout": (
        "How much of each position's input reaches each position of the last layer, if half of every output is input.",
        "Values, feed-forward layers and layers without attention are passed over.",
    ),
    "implicit": (
        "The number by which each column's value is multiplied in each row's output; the matrix is exact.",
        "Norms and gates come after it; where a convolution comes first, a value is already of several positions.",
    ),
    "jacobian": (
        "The norm of the derivative of each row's output by each column's input of this layer.",
        "It is exact for small changes of this input, and says nothing of large ones.",
    ),
    "effect": (
        "How much the probabilities (total variation) or the forecast (mean difference) change if it is replaced.",
        "Where several positions say the same, replacing one of them changes little.",
    ),
    "gradient": (
        "The slope of each answer's probability, or of a forecast, along each column's vector, times that vector.",
        "It is the effect of a small change, and its sign is left out.",
    ),
    "relevance": (
        "The part of each answer's logit that AttnLRP assigns to each column.",
        "Biases, added positions and the softmax absorb a part of the logit.",
    ),
    "integrated_gradients": (
        "The part of each answer's probability, or of a forecast, that each column adds on the way from a neutral one.",
        "Another neutral input gives another map.",
    ),
}

OF_ANSWERS = ("effect", "gradient", "integrated_gradients")  # in the unit of the answer


class MapPlace(NamedTuple):
    """The meaning of the rows and columns of a layer's map."""

    kind: Literal["self", "cross"]
    rows: MapSide
    columns: MapSide


@final
class OpenedModel:
    """A model and an opened input, with what several methods read: the answer, and what the layers did.

    points: the most points of the integral of integrated gradients
    directions: by which norms of Jacobians are estimated; None = exact
    """

    def __init__(
        self,
        model: nn.Module,
        opened: OpenedInput,
        replacements: int,
        *,
        points: int = MOST_STEPS,
        directions: int | None = None,
    ) -> None:
        self.model, self.opened, self.replacements = model, opened, replacements
        self.points, self.directions = points, directions
        self.notes: list[str] = []
        self._counts: Counter[Any] = Counter()

    def run(self) -> Tensor:
        """The model's answer (1, T, C)."""
        return self.opened.source.answer(self.opened.source.input)

    @cached_property
    def answer(self) -> Tensor:
        return self.run()

    @cached_property
    def recorded(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Of one call the weights of every layer by its first probe, and of layers with heads what their values are of,
        and their outputs before the last projection.
        """
        heads = heads_of(self.model)
        sources = {name: layer.value for name, layer in heads.items()}
        joined = {name: layer.out for name, layer in heads.items()}
        with recorded_attention(self.model, signed=True) as weights:
            with recorded_inputs(sources) as read, recorded_inputs(joined) as written:
                self.run()
        return joined_rows(weights), read, written

    def sides(self) -> list[tuple[MapSide, OpenedSide]]:
        sides: list[tuple[MapSide, OpenedSide]] = [("source", self.opened.source)]
        return sides if self.opened.read is None else [*sides, ("output", self.opened.read)]

    def size(self, side: MapSide, *, rows: bool) -> int:
        if side == "source":
            return len(self.opened.source.pieces)
        read = self.opened.read
        return len(self.opened.outputs) if rows or read is None else len(read.pieces)

    def place(self, path: str, shape: str = "S") -> MapPlace:
        """Where the map of a probe with this shape, or of a layer, belongs; `path` is its own in the model."""
        if shape.split()[-1] == "M" or shape == POOLED:
            return MapPlace("cross", "output", "source")
        writer = self.opened.writer
        inside = writer is not None and any(
            self.model.get_submodule(".".join(path.split(".")[:depth])) is writer
            for depth in range(path.count(".") + 2)
        )
        side: MapSide = "output" if inside else "source"
        return MapPlace("self", side, side)

    def map(
        self, method: InfluenceMethod, name: str, place: MapPlace, weights: Tensor, *, limits: str = "", **more: Any
    ) -> list[InfluenceMap]:
        """The map, in a list; empty, with a note, where its positions are not those of the input."""
        size = (self.size(place.rows, rows=True), self.size(place.columns, rows=False))
        if weights.shape[1:] != size:
            self.notes.append(f"{method}: {name} has {weights.shape[1]} × {weights.shape[2]} positions of its own")
            return []
        layer = -1
        if name not in ("model", "layers"):
            layer = self._counts[method, place]
            self._counts[method, place] += 1
        meaning, usual = SENTENCES[method]
        if method in OF_ANSWERS and self.opened.answer_unit:
            meaning += " Forecasts are in the units in which the model reads the series."
        array = weights.detach().float().cpu().numpy()
        return [InfluenceMap(name, layer, method, *place, array, meaning=meaning, limits=limits or usual, **more)]

    def with_added(self, side: OpenedSide, weights: Tensor) -> Tensor:
        """Weights (T, S) of a side's positions with columns of 0 for those that the model adds."""
        return nn.functional.pad(weights, (side.added, 0))

    def input(self) -> InspectedInput:
        opened = self.opened
        values = None if opened.values is None else np.asarray(opened.values, np.float32)
        spans = [[0, 0]] * opened.source.added + [list(span) for span in opened.spans] if opened.spans else []
        return InspectedInput(
            opened.kind,
            opened.source.pieces,
            opened.text,
            spans,
            values,
            list(opened.channels),
            opened.spectrogram,
            opened.frame_s,
            opened.pixels,
            list(opened.grid or ()),
        )

    def output(self) -> InspectedOutput:
        opened = self.opened
        probability: list[float | None] = [None] * len(opened.outputs)
        if opened.labels is not None:
            probability = [float(p) for p in of_labels(self.answer.softmax(-1)[0], opened.labels)]
        forecast = None if opened.forecast is None else np.asarray(opened.forecast, np.float32)
        read = [] if opened.read is None else opened.read.pieces
        return InspectedOutput(opened.outputs, read, probability, forecast)


def joined_rows(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of probes of one module as one where each row is at one of them alone, as of global rows."""
    joined: dict[str, Tensor] = {}
    for name, own in weights.items():
        beside = (other for other in joined if other.rpartition(".")[0] == name.rpartition(".")[0])
        first = next((other for other in beside if _apart(joined[other], own)), None)
        if first is None:
            joined[name] = own
        else:
            joined[first] = joined[first] + own
    return joined


def _apart(one: Tensor, other: Tensor) -> bool:
    """Whether each row of weights is 0 in one of the two."""
    return one.shape == other.shape and not bool((one.any(-1) & other.any(-1)).any())


def of_labels(answer: Tensor, labels: Tensor) -> Tensor:
    """The numbers (T,) of the labels (T,) in an answer (T, C)."""
    return answer.gather(1, labels.unsqueeze(1)).squeeze(1)
