"""Influence maps of a trained run, or of a module of your own, for one input: every method for every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.interruption import interruption_point
from sightline.core.modes import evaluating
from sightline.core.suggest import look_up
from sightline.inspect.influence_map import InfluenceMap, InspectedModel, Inspection
from sightline.inspect.layer_maps import implicit_maps, jacobian_maps, rollout_maps, softmax_maps, value_weighted_maps
from sightline.inspect.model_maps import effect_maps, gradient_maps, integrated_gradients_maps, relevance_maps
from sightline.inspect.opened_model import OpenedModel
from sightline.inspect.own import open_module
from sightline.tasks.load import load
from sightline.tasks.task import Task

REPLACEMENTS = 8  # of each position

METHODS: dict[str, Callable[[OpenedModel], list[InfluenceMap]]] = {
    "softmax": softmax_maps,
    "value_weighted": value_weighted_maps,
    "rollout": rollout_maps,
    "implicit": implicit_maps,
    "jacobian": jacobian_maps,
    "effect": effect_maps,
    "gradient": gradient_maps,
    "relevance": relevance_maps,
    "integrated_gradients": integrated_gradients_maps,
}


@torch.no_grad()
def influence(
    of: str | Path | Task[Any, Any, Any] | nn.Module,
    item: Any,
    methods: Sequence[str] | None = None,
    *,
    pieces: Sequence[str] | None = None,
    replacements: int = REPLACEMENTS,
) -> Inspection:
    """How much each position of an input counts for each position of the answer, and of every layer, by each method.

    of: the directory of a run, of a model or of a comparison; a task, as `sightline.load` gives it; or any module that
        maps inputs (R, S, …), each row for itself, to logits (R, C) or (R, T, C)
    item: one input, as `predict` takes it; for a module a tensor (1, S, …) of token ids or of vectors
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
        opened, model = of.open_input(item), of.stored_model
        facts = InspectedModel(name or of.arch, of.arch, of.name, of.parameters)
    else:
        opened, model = open_module(of, item, pieces), of
        size = sum(parameter.numel() for parameter in of.parameters())
        facts = InspectedModel(type(of).__name__, type(of).__name__, "", size)
    look = OpenedModel(model, opened, replacements)
    maps, notes = [], []
    with evaluating(model):
        for method in METHODS if methods is None else dict.fromkeys(methods):
            interruption_point()
            try:
                maps += METHODS[method](look)
            except (InputError, EnvironmentFault) as error:
                if methods is not None:
                    raise
                notes.append(f"{method}: {error}")
        output = look.output()
    return Inspection(facts, look.input(), output, maps, notes=[*notes, *dict.fromkeys(look.notes)])
