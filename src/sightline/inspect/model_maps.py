"""Influence maps of whole models: effects of replacing positions, slopes, relevance, integrated gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.inspect.effects import effects_of_replacing, numbers_moved, probabilities_moved
from sightline.inspect.influence_map import InfluenceMap, InfluenceMethod, MapSide
from sightline.inspect.integrated import STEPS, integrated_gradients
from sightline.inspect.opened_model import MapPlace, OpenedModel, of_labels
from sightline.inspect.record import first_call, replaced_outputs
from sightline.inspect.relevance import relevances
from sightline.tasks.opened import OpenedSide

CLOSE = 1e-3  # of an output, that relevance may miss
ROWS = 256  # changed inputs whose vectors are computed at once


def effect_maps(look: OpenedModel) -> list[InfluenceMap]:
    """The change of the answer when each position is replaced."""
    maps: list[InfluenceMap] = []
    moved = numbers_moved if look.opened.labels is None else probabilities_moved
    for name, side in look.sides():
        positions = len(side.pieces) - side.added

        def replaced(position: int, side: OpenedSide = side) -> Tensor:
            return side.replaced(position, look.replacements)

        effects = effects_of_replacing(side.answer, side.input, replaced, positions, moved)
        maps += _whole(look, "effect", name, look.with_added(side, effects))
    return maps


def _whole(
    look: OpenedModel, method: InfluenceMethod, side: MapSide, weights: Tensor, **more: Any
) -> list[InfluenceMap]:
    """A map of the whole model from one side to the output."""
    place = MapPlace("self" if side == "output" else "cross", "output", side)
    return look.map(method, "model", place, weights.unsqueeze(0), **more)


def gradient_maps(look: OpenedModel) -> list[InfluenceMap]:
    """|x · ∂p/∂x| of every answer by the vector x of every position."""
    nodes: dict[MapSide, Tensor] = {}
    sides = {name: side for name, side in look.sides() if side.vectors is not None}
    if not sides:
        raise InputError("the model has no vectors of its input's positions")
    with torch.enable_grad():
        answer = _with_nodes(look, sides, nodes)
        labels = look.opened.labels
        scores = answer[0].sum(-1) if labels is None else of_labels(answer.softmax(-1)[0], labels)
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


def _with_nodes(look: OpenedModel, sides: dict[MapSide, OpenedSide], nodes: dict[MapSide, Tensor]) -> Tensor:
    """The answer, with the vectors of the sides as nodes of its graph."""
    if not sides:
        return look.run()
    (name, side), *rest = sides.items()

    def as_node(x: Tensor) -> Tensor:
        nodes[name] = x.detach().requires_grad_()
        return nodes[name]

    assert side.vectors is not None
    with replaced_outputs(side.vectors, first_call(as_node)):
        return _with_nodes(look, dict(rest), nodes)


def relevance_maps(look: OpenedModel) -> list[InfluenceMap]:
    """The relevance of every position for every answer.

    Raises:
        InputError: a model without classes or vectors, or with a part that has no rule.
    """
    labels = look.opened.labels
    vectors: dict[str, nn.Module] = {name: side.vectors for name, side in look.sides() if side.vectors is not None}
    if labels is None or not vectors:
        raise InputError("relevance is of the logits of classes, by the vectors of positions")
    result = relevances(look.model, lambda: of_labels(look.run()[0], labels), vectors)
    if (result.gap > CLOSE * result.outputs.abs().clamp(min=1.0)).any():
        raise InputError("relevance has no rule for an operation of this model: its sum is not the output")
    reached = torch.stack([part.sum(1) for part in result.inputs.values()]).sum(0)
    limits = (
        f"Of a logit of {float(result.outputs.mean()):.3g} on average, {float(reached.mean()):.3g} reaches the input; "
        "biases, added positions and the softmax absorb the rest."
    )
    maps: list[InfluenceMap] = []
    for name, side in look.sides():
        if name in result.inputs:
            weights = look.with_added(side, result.inputs[name])
            maps += _whole(look, "relevance", name, weights, signed=True, limits=limits)
    return maps


def integrated_gradients_maps(look: OpenedModel) -> list[InfluenceMap]:
    """The integrated gradients of every answer, summed over each position's vector.

    Raises:
        EnvironmentFault: captum is not installed.
        InputError: a model without vectors of its positions, or that reads each channel as a row.
    """
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
            with replaced_outputs(module, first_call(lambda _: vectors)):
                answer = side.answer(side.input.expand(len(vectors), *side.input.shape[1:]))[:, t]
            return answer.sum(-1) if labels is None else answer.softmax(-1)[:, labels[t]]

        with torch.enable_grad():
            result = integrated_gradients(score, x, baseline, steps=min(STEPS, look.points), most=look.points)
        rows.append(result.values.sum(1))
        gaps.append(result.gap / max(abs(result.change), 1e-6))
    limits = (
        f"The sum differs from the change of the output by up to {max(gaps):.1%} of it, and another baseline than the "
        "mean of each position's replacements gives another map."
    )
    weights = look.with_added(side, torch.stack(rows))
    return _whole(look, "integrated_gradients", "source", weights, signed=True, limits=limits)


def _vectors(look: OpenedModel, module: nn.Module, inputs: Tensor | None = None) -> Tensor:
    """The vectors (·, M, D) that a module gives while the model reads an input."""
    vectors: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        vectors.append(x)
        return x

    with replaced_outputs(module, keep):
        look.opened.source.answer(look.opened.source.input if inputs is None else inputs)
    return vectors[0]


def _neutral(look: OpenedModel, module: nn.Module) -> Tensor:
    """The mean of the vectors of each position's replacements, (1, M, D)."""
    side = look.opened.source
    means = []
    positions = range(len(side.pieces) - side.added)
    step = max(1, ROWS // look.replacements)
    for first in positions[::step]:
        some = positions[first : first + step]
        vectors = _vectors(look, module, torch.cat([side.replaced(position, look.replacements) for position in some]))
        of_each = vectors.unflatten(0, (len(some), -1))
        means += [of_each[number, :, position].mean(0) for number, position in enumerate(some)]
    return torch.stack(means).unsqueeze(0)
