"""Influence maps of a trained run, or of a module of your own, for one input: every method for every family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.modes import evaluating
from sightline.core.suggest import look_up
from sightline.inspect.effects import effects_of_replacing, numbers_moved, probabilities_moved
from sightline.inspect.heads import heads_of
from sightline.inspect.influence import (
    InfluenceMap,
    InfluenceMethod,
    InspectedInput,
    InspectedModel,
    InspectedOutput,
    Inspection,
    MapSide,
)
from sightline.inspect.integrated import integrated_gradients
from sightline.inspect.jacobian import layer_jacobians
from sightline.inspect.own import open_module
from sightline.inspect.record import POOLED, attention_probes, recorded_attention, recorded_inputs, replaced_outputs
from sightline.inspect.relevance import relevances
from sightline.inspect.rollout import attention_rollout, value_weighted_heads
from sightline.ops.pattern import Pattern
from sightline.tasks.load import load
from sightline.tasks.opened import OpenedInput, OpenedSide
from sightline.tasks.task import Task

REPLACEMENTS = 8  # of each position
CLOSE = 1e-3  # of a layer's output, that weights times values may miss


@torch.no_grad()
def influence(
    of: str | Path | Task[Any, Any, Any] | nn.Module,
    given: Any,
    methods: Sequence[str] | None = None,
    *,
    pieces: Sequence[str] | None = None,
    replacements: int = REPLACEMENTS,
) -> Inspection:
    """How much each position of an input counts for each position of the answer, and of every layer, by each method.

    of: the directory of a run, of a model or of a comparison; a task, as `sightline.load` gives it; or any module that
        maps inputs (R, S, …), each row for itself, to logits (R, C) or (R, T, C)
    given: one input, as `predict` takes it; for a module a tensor (1, S, …) of token ids or of vectors
    methods: the maps to make, in their order; None = all that the model has, and `Inspection.notes` says which it has
        not, and why
    pieces: of a module's input what each position shows; None = their numbers
    replacements: how often each position is replaced for "effect"

    The model computes as in evaluation mode, whatever mode it is in, and is left as it was.

    Raises:
        InputError: "unknown method 'sofmax', did you mean 'softmax'?"; a method that this model has not, where
            `methods` names it; whatever is wrong with the run or the input.
        EnvironmentFault: integrated gradients are named, and captum is not installed.
    """
    for method in methods or ():
        look_up(METHODS, method, "method")
    name = str(of) if isinstance(of, str | Path) else ""
    of = load(of) if isinstance(of, str | Path) else of
    if isinstance(of, Task):
        opened, model = of.open_input(given), of.stored_model
        facts = InspectedModel(name or of.arch, of.arch, of.name, of.parameters)
    else:
        opened, model = open_module(of, given, pieces), of
        size = sum(parameter.numel() for parameter in of.parameters())
        facts = InspectedModel(type(of).__name__, type(of).__name__, "", size)
    look = _Look(model, opened, replacements)
    maps, notes = [], []
    with evaluating(model):
        for method in METHODS if methods is None else dict.fromkeys(methods):
            try:
                maps += METHODS[method](look)
            except (InputError, EnvironmentFault) as error:
                if methods is not None:
                    raise
                notes.append(f"{method}: {error}")
        output = look.output()
    return Inspection(facts, look.input(), output, maps, notes=[*notes, *dict.fromkeys(look.notes)])


class _Place(NamedTuple):
    """What the rows and columns of a layer's map are."""

    kind: Any
    rows: MapSide
    columns: MapSide


@final
class _Look:
    """A model and an opened input, with what several methods read: the answer, and what the layers did."""

    def __init__(self, model: nn.Module, opened: OpenedInput, replacements: int) -> None:
        self.model, self.opened, self.replacements = model, opened, replacements
        self.notes: list[str] = []
        self._counts: Counter[Any] = Counter()

    def run(self) -> Tensor:
        """The model's answer (1, T, C)."""
        return self.opened.source.answer(self.opened.source.given)

    @cached_property
    def answer(self) -> Tensor:
        return self.run()

    @cached_property
    def recorded(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Of one call the weights of every probe, and of layers with heads what their values are of, and their outputs
        before the last projection.
        """
        heads = heads_of(self.model)
        sources = {name: layer.value for name, layer in heads.items()}
        joined = {name: layer.out for name, layer in heads.items()}
        with recorded_attention(self.model, signed=True) as weights:
            with recorded_inputs(sources) as read, recorded_inputs(joined) as written:
                self.run()
        return weights, read, written

    def sides(self) -> list[tuple[MapSide, OpenedSide]]:
        sides: list[tuple[MapSide, OpenedSide]] = [("source", self.opened.source)]
        return sides if self.opened.read is None else [*sides, ("output", self.opened.read)]

    def size(self, side: MapSide, *, rows: bool) -> int:
        if side == "source":
            return len(self.opened.source.pieces)
        read = self.opened.read
        return len(self.opened.outputs) if rows or read is None else len(read.pieces)

    def place(self, path: str, shape: str = "S") -> _Place:
        """Where the map of a probe with this shape, or of a layer, belongs; `path` is its own in the model."""
        if shape.split()[-1] == "M" or shape == POOLED:
            return _Place("cross", "output", "source")
        writer = self.opened.writer
        inside = writer is not None and any(
            self.model.get_submodule(".".join(path.split(".")[:depth])) is writer
            for depth in range(path.count(".") + 2)
        )
        side: MapSide = "output" if inside else "source"
        return _Place("self", side, side)

    def map(
        self, method: InfluenceMethod, name: str, place: _Place, weights: Tensor, *, limits: str = "", **more: Any
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
            opened.kind, opened.source.pieces, opened.text, spans, values, channels=list(opened.channels)
        )

    def output(self) -> InspectedOutput:
        opened = self.opened
        probability: list[float | None] = [None] * len(opened.outputs)
        if opened.labels is not None:
            probability = [float(p) for p in _of_labels(self.answer.softmax(-1)[0], opened.labels)]
        forecast = None if opened.forecast is None else np.asarray(opened.forecast, np.float32)
        read = [] if opened.read is None else opened.read.pieces
        return InspectedOutput(opened.outputs, read, probability, forecast)


def _of_labels(answer: Tensor, labels: Tensor) -> Tensor:
    """The numbers (T,) of the labels (T,) in an answer (T, C)."""
    return answer.gather(1, labels.unsqueeze(1)).squeeze(1)


def _softmax(look: _Look) -> list[InfluenceMap]:
    return _of_probes(look, "softmax", implicit=False)


def _implicit(look: _Look) -> list[InfluenceMap]:
    return _of_probes(look, "implicit", implicit=True)


def _of_probes(look: _Look, method: InfluenceMethod, *, implicit: bool) -> list[InfluenceMap]:
    maps: list[InfluenceMap] = []
    weights, _, _ = look.recorded
    for name, probe in attention_probes(look.model, signed=True).items():
        if name not in weights or probe.implicit != implicit:
            continue
        place, mean = look.place(name, probe.shape), weights[name].mean(0)
        mean = mean.unsqueeze(0) if mean.dim() < 3 else mean
        mean = in_order(look.model, name, mean) if place.kind == "self" else mean
        if probe.shape == POOLED:
            mean = mean.unsqueeze(0).expand(1, len(look.opened.outputs), -1)
        skipped = _skipped(look.model, name, mean.shape[1]) if place.kind == "self" else None
        maps += look.map(method, name, place, mean, skipped=skipped, signed=probe.signed)
    return maps


def _skipped(model: nn.Module, name: str, length: int) -> np.ndarray | None:
    """Which positions (T, T) a layer's pattern does not look at; None where it looks at all, or all before."""
    pattern = getattr(model.get_submodule(name.rpartition(".")[0]), "pattern", None)
    if not isinstance(pattern, Pattern) or pattern.everywhere:
        return None
    at = torch.arange(length)
    hidden = ~pattern.sees(at.unsqueeze(1), at, length)
    hidden = hidden.tril() if pattern.causal else hidden
    return hidden.numpy() if bool(hidden.any()) else None


def _value_weighted(look: _Look) -> list[InfluenceMap]:
    maps: list[InfluenceMap] = []
    weights, read, written = look.recorded
    for name, layer in heads_of(look.model).items():
        if name not in weights:
            continue
        values = layer.keys_values(read[name])[1]  # (B, G, S, V)
        norms, joined = value_weighted_heads(weights[name], values, layer.out.weight)
        if (joined - written[name]).abs().max() > CLOSE * written[name].abs().max():
            look.notes.append(f"value_weighted: the output of {name} is not its weights times its values alone")
            continue
        probe = attention_probes(look.model)[name]
        skipped = _skipped(look.model, name, norms.shape[2])
        maps += look.map("value_weighted", name, look.place(name, probe.shape), norms.mean(0), skipped=skipped)
    return maps


def _rollout(look: _Look) -> list[InfluenceMap]:
    maps: list[InfluenceMap] = []
    weights, _, _ = look.recorded
    layers: dict[_Place, list[Tensor]] = {}
    for name, probe in attention_probes(look.model).items():
        if name in weights and probe.shape == "B H T S":
            layers.setdefault(look.place(name, probe.shape), []).append(in_order(look.model, name, weights[name]))
    for place, of_side in layers.items():
        maps += look.map("rollout", "layers", place, attention_rollout(of_side).mean(0, keepdim=True))
    return maps


def _jacobian(look: _Look) -> list[InfluenceMap]:
    maps: list[InfluenceMap] = []
    for name, norms in layer_jacobians(look.model, look.run).items():
        maps += look.map("jacobian", name, look.place(name), in_order(look.model, name, norms).unsqueeze(0))
    return maps


def in_order(model: nn.Module, name: str, weights: Tensor) -> Tensor:
    """Weights (…, T, T) of a layer in the order of the input: turned round where it reads that from the end."""
    parts = name.split(".")
    line = [model, *(model.get_submodule(".".join(parts[: depth + 1])) for depth in range(len(parts)))]
    turns = sum(getattr(outer, "from_end", None) is inner for outer, inner in pairwise(line))
    return weights.flip(-2, -1) if turns % 2 else weights


def _effect(look: _Look) -> list[InfluenceMap]:
    maps: list[InfluenceMap] = []
    moved = numbers_moved if look.opened.labels is None else probabilities_moved
    for name, side in look.sides():
        positions = len(side.pieces) - side.added

        def replaced(position: int, side: OpenedSide = side) -> Tensor:
            return side.replaced(position, look.replacements)

        effects = effects_of_replacing(side.answer, side.given, replaced, positions, moved)
        maps += _whole(look, "effect", name, look.with_added(side, effects))
    return maps


def _whole(look: _Look, method: InfluenceMethod, side: MapSide, weights: Tensor, **more: Any) -> list[InfluenceMap]:
    """A map of the whole model from one side to the output."""
    place = _Place("self" if side == "output" else "cross", "output", side)
    return look.map(method, "model", place, weights.unsqueeze(0), **more)


def _gradient(look: _Look) -> list[InfluenceMap]:
    nodes: dict[MapSide, Tensor] = {}
    sides = {name: side for name, side in look.sides() if side.vectors is not None}
    if not sides:
        raise InputError("the model has no vectors of its input's positions")
    with torch.enable_grad():
        answer = _with_nodes(look, sides, nodes)
        labels = look.opened.labels
        scores = answer[0].sum(-1) if labels is None else _of_labels(answer.softmax(-1)[0], labels)
        rows = [
            torch.autograd.grad(
                score, list(nodes.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            for score in scores
        ]
    maps: list[InfluenceMap] = []
    for place, (name, node) in enumerate(nodes.items()):
        weights = torch.stack([(node * row[place]).sum(2).sum(0).abs() for row in rows])
        maps += _whole(look, "gradient", name, look.with_added(sides[name], weights))
    return maps


def _with_nodes(look: _Look, sides: dict[MapSide, OpenedSide], nodes: dict[MapSide, Tensor]) -> Tensor:
    """The answer, with the vectors of the sides as nodes of its graph."""
    if not sides:
        return look.run()
    (name, side), *rest = sides.items()

    def as_node(x: Tensor) -> Tensor:
        nodes[name] = x.detach().requires_grad_()
        return nodes[name]

    assert side.vectors is not None
    with replaced_outputs(side.vectors, as_node):
        return _with_nodes(look, dict(rest), nodes)


def _relevance(look: _Look) -> list[InfluenceMap]:
    labels = look.opened.labels
    vectors: dict[str, nn.Module] = {name: side.vectors for name, side in look.sides() if side.vectors is not None}
    if labels is None or not vectors:
        raise InputError("relevance is of the logits of classes, by the vectors of positions")
    found = relevances(look.model, lambda: _of_labels(look.run()[0], labels), vectors)
    if (found.gap > CLOSE * found.outputs.abs().clamp(min=1.0)).any():
        raise InputError("relevance has no rule for an operation of this model: its sum is not the output")
    reached = torch.stack([part.sum(1) for part in found.inputs.values()]).sum(0)
    limits = (
        f"Of a logit of {float(found.outputs.mean()):.3g} on average, {float(reached.mean()):.3g} reaches the input; "
        "biases, added positions and the softmax absorb the rest."
    )
    maps: list[InfluenceMap] = []
    for name, side in look.sides():
        if name in found.inputs:
            weights = look.with_added(side, found.inputs[name])
            maps += _whole(look, "relevance", name, weights, signed=True, limits=limits)
    return maps


def _integrated_gradients(look: _Look) -> list[InfluenceMap]:
    side, labels = look.opened.source, look.opened.labels
    if side.vectors is None:
        raise InputError("the model has no vectors of its input's positions")
    module = side.vectors
    x, baseline = _vectors(look, module), _neutral(look, module)
    if len(x) != 1:
        raise InputError("the model reads each channel as a row of its own")
    rows, gaps = [], []
    for t in range(len(look.opened.outputs)):

        def score(vectors: Tensor, t: int = t) -> Tensor:
            with replaced_outputs(module, lambda _: vectors):
                answer = side.answer(side.given.expand(len(vectors), *side.given.shape[1:]))[:, t]
            return answer.sum(-1) if labels is None else answer.softmax(-1)[:, labels[t]]

        with torch.enable_grad():
            found = integrated_gradients(score, x, baseline)
        rows.append(found.values.sum(1))
        gaps.append(found.gap / max(abs(found.change), 1e-6))
    limits = (
        f"The sum differs from the change of the output by up to {max(gaps):.1%} of it, and another baseline than the "
        "mean of each position's replacements gives another map."
    )
    weights = look.with_added(side, torch.stack(rows))
    return _whole(look, "integrated_gradients", "source", weights, signed=True, limits=limits)


def _vectors(look: _Look, module: nn.Module, given: Tensor | None = None) -> Tensor:
    """The vectors (·, M, D) that a module gives while the model reads an input."""
    found: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        found.append(x)
        return x

    with replaced_outputs(module, keep):
        look.opened.source.answer(look.opened.source.given if given is None else given)
    return found[0]


def _neutral(look: _Look, module: nn.Module) -> Tensor:
    """The mean of the vectors of each position's replacements, (1, M, D)."""
    side = look.opened.source
    means = []
    for position in range(len(side.pieces) - side.added):
        vectors = _vectors(look, module, side.replaced(position, look.replacements))
        means.append(vectors[:, position].mean(0))
    return torch.stack(means).unsqueeze(0)


METHODS: dict[str, Callable[[_Look], list[InfluenceMap]]] = {
    "softmax": _softmax,
    "value_weighted": _value_weighted,
    "rollout": _rollout,
    "implicit": _implicit,
    "jacobian": _jacobian,
    "effect": _effect,
    "gradient": _gradient,
    "relevance": _relevance,
    "integrated_gradients": _integrated_gradients,
}

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
