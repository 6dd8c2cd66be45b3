"""Influence maps of layers: attention, the matrices of linear recurrences, slopes of the others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from sightline.inspect.heads import heads_of, pattern_of
from sightline.inspect.influence_map import InfluenceMap, InfluenceMethod
from sightline.inspect.jacobian import layer_jacobians
from sightline.inspect.opened_model import MapPlace, OpenedModel
from sightline.inspect.record import POOLED, attention_probes
from sightline.inspect.rollout import attention_rollout, value_weighted_heads
from sightline.models.head_groups import HeadGroups, HeadGroupsEncoder

CLOSE = 1e-3  # of a layer's output, that weights times values may miss


def softmax_maps(look: OpenedModel) -> list[InfluenceMap]:
    """The weights of every layer of attention, for each head."""
    return _of_probes(look, "softmax", implicit=False)


def implicit_maps(look: OpenedModel) -> list[InfluenceMap]:
    """The matrix that every linear recurrence applies to its values, for each head."""
    return _of_probes(look, "implicit", implicit=True)


def _of_probes(look: OpenedModel, method: InfluenceMethod, *, implicit: bool) -> list[InfluenceMap]:
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
    pattern = pattern_of(model, name)
    if pattern is None:
        return None
    at = torch.arange(length)
    hidden = ~pattern.sees(at.unsqueeze(1), at, length)
    hidden = hidden.tril() if pattern.causal else hidden
    return hidden.numpy() if bool(hidden.any()) else None


def value_weighted_maps(look: OpenedModel) -> list[InfluenceMap]:
    """The length of the vector that each column adds to each row, for each head of attention."""
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


def rollout_maps(look: OpenedModel) -> list[InfluenceMap]:
    """All layers of attention over one sequence as one map."""
    maps: list[InfluenceMap] = []
    weights, _, _ = look.recorded
    layers: dict[MapPlace, dict[str, list[Tensor]]] = {}
    for name, probe in attention_probes(look.model).items():
        if name in weights and probe.shape == "B H T S":
            of_side = layers.setdefault(look.place(name, probe.shape), {})
            of_side.setdefault(layer_of(look.model, name), []).append(in_order(look.model, name, weights[name]))
    for place, of_side in layers.items():
        joined = [torch.cat(groups, 1) for groups in of_side.values()]  # (B, H, T, T) of each layer
        maps += look.map("rollout", "layers", place, attention_rollout(joined).mean(0, keepdim=True))
    return maps


def layer_of(model: nn.Module, name: str) -> str:
    """The path of the layer whose heads, or some of whose heads, the probe of this path shows."""
    parts = name.split(".")
    paths = [".".join(parts[:depth]) for depth in range(1, len(parts))]
    groups = [path for path in paths if isinstance(model.get_submodule(path), HeadGroups | HeadGroupsEncoder)]
    return groups[0] if groups else name


def jacobian_maps(look: OpenedModel) -> list[InfluenceMap]:
    """Norms of the Jacobians of every layer that mixes positions without attention."""
    maps: list[InfluenceMap] = []
    for name, norms in layer_jacobians(look.model, look.run, directions=look.directions).items():
        maps += look.map("jacobian", name, look.place(name), in_order(look.model, name, norms).unsqueeze(0))
    return maps


def in_order(model: nn.Module, name: str, weights: Tensor) -> Tensor:
    """Weights (…, T, T) of a layer in the order of the input: turned round where it reads that from the end."""
    parts = name.split(".")
    line = [model, *(model.get_submodule(".".join(parts[: depth + 1])) for depth in range(len(parts)))]
    turns = sum(getattr(outer, "from_end", None) is inner for outer, inner in pairwise(line))
    return weights.flip(-2, -1) if turns % 2 else weights
