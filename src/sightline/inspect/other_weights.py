"""Other attention weights in one layer of a model, for one input: would its answer be the same?

The tests of Jain & Wallace 2019 ("Attention is not explanation", arXiv:1902.10186) and Wiegreffe & Pinter 2019
("Attention is not not explanation", arXiv:1908.04626), there of one pooled attention over a recurrence
(`inspect.alternatives`), for the softmax weights of any layer. Deviations: each row and head of the layer has its own
permutation, or its own even weights, over the positions that it can see; other layers are left as they are, and
recompute what follows from the change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.inspect.explained import ExplainedItem, ShownMap
from sightline.inspect.faithfulness import jensen_shannon, total_variation
from sightline.inspect.record import POOLED, attention_probes, replaced_attention

PERMUTATIONS = 20
BOUND, STARTS, STEPS, RATE, PRESSURE = 0.01, 3, 40, 0.3, 20.0  # of the search for other weights


class LayerWeights(NamedTuple):
    """The softmax weights of one layer: `own` (N, …, K), and the row of the map that is shown, None = the mean of all.

    N is 1, but of a forecaster that reads each channel as a row of its own
    rows: whether the weights have an axis of rows, the last but one
    """

    path: str
    own: Tensor
    row: int | None
    rows: bool


def layer_weights(item: ExplainedItem, shown: ShownMap) -> LayerWeights | None:
    """The weights that a map shows; None where it is not of one layer's softmax."""
    probe = attention_probes(item.model).get(shown.path)
    if probe is None or probe.implicit or shown.method != "softmax":
        return None
    seen: list[Tensor] = []

    def look(path: str, weights: Tensor) -> Tensor:
        if path == shown.path:
            seen.append(weights.detach())
        return weights

    with torch.no_grad(), replaced_attention(item.model, look):
        item.one.run()
    rows = probe.shape != POOLED
    if not seen or len({weights.shape[-1] for weights in seen}) > 1 or (len(seen) > 1 and not rows):
        return None
    own = torch.cat(seen, -2) if rows else seen[0]  # a decoder by steps has a row in each call
    row = item.opened.reads[item.row] if item.opened.reads else None
    row = item.row if rows and probe.shape.split()[-1] == "M" else row
    return LayerWeights(shown.path, own, row if rows else None, rows)


def _answers(item: ExplainedItem, layer: LayerWeights, weights: Tensor) -> Tensor:
    """The answers (R, C) with weights (R · N, …, K) in the layer."""
    source = item.one.opened.source
    inputs = source.input.expand(len(weights) // len(layer.own), *source.input.shape[1:])
    done = 0

    def replace(path: str, own: Tensor) -> Tensor:
        nonlocal done
        if path != layer.path:
            return own
        if not layer.rows:
            return weights.to(own)
        first, done = done, done + own.shape[-2]
        return weights[..., first:done, :].to(own)

    with replaced_attention(item.model, replace):
        return source.answer(inputs)[:, 0]


def _moved(item: ExplainedItem, layer: LayerWeights, weights: Tensor) -> Tensor:
    """How much the answer changes (R,): total variation, or of numbers the mean |difference|."""
    answers, whole = _answers(item, layer, weights), item.one.answer[:, 0]
    if item.opened.labels is None:
        return (answers - whole).abs().mean(1)
    return total_variation(answers.softmax(1), whole.softmax(1))


def permuted(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Each row (…, K) with its weights exchanged at random among the positions that it sees, those above 0."""
    visible = weights > 0
    keys = torch.rand(weights.shape, generator=generator).to(weights.device).masked_fill(~visible, torch.inf)
    places = torch.arange(weights.shape[-1], device=weights.device).expand_as(keys)
    visible_first = torch.where(visible, places, places + weights.shape[-1]).argsort(-1)
    return torch.zeros_like(weights).scatter(-1, visible_first, weights.gather(-1, keys.argsort(-1)))


@torch.no_grad()
def permuted_change(item: ExplainedItem, shown: ShownMap) -> float:
    """The median change of the answer over permutations (Jain & Wallace 2019, § 4.2.1); NaN where it does not apply."""
    layer = layer_weights(item, shown)
    if layer is None:
        return float("nan")
    generator = torch.Generator().manual_seed(item.seed)
    several = torch.cat([layer.own] * PERMUTATIONS)
    return float(_moved(item, layer, permuted(several, generator)).median())


@torch.no_grad()
def uniform_change(item: ExplainedItem, shown: ShownMap) -> float:
    """The change of the answer with even weights over what each row sees, in the trained model (Wiegreffe & Pinter
    2019, § 3.2, who train with them).
    """
    layer = layer_weights(item, shown)
    if layer is None:
        return float("nan")
    visible = (layer.own > 0).to(layer.own)
    return float(_moved(item, layer, visible / visible.sum(-1, keepdim=True).clamp(min=1)))


def adversarial_divergence(item: ExplainedItem, shown: ShownMap) -> float:
    """How different the shown map can be while the answer stays: the largest Jensen-Shannon divergence found, of ln 2.

    Jain & Wallace 2019, § 4.2.2: by Adam over the logits of the weights in the rows that are shown, from `STARTS`
    random points, with a total variation of the answer of at most `BOUND`. The divergence is that of the map as it is
    shown, the mean over heads (and over rows). NaN for answers that are numbers.
    """
    layer = None if item.opened.labels is None else layer_weights(item, shown)
    if layer is None:
        return float("nan")
    own = layer.own.expand(STARTS, *layer.own.shape[1:])
    free = torch.ones_like(own, dtype=torch.bool)
    if layer.row is not None:
        free = torch.zeros_like(free)
        free[..., layer.row, :] = True
    generator = torch.Generator().manual_seed(item.seed)
    logits = torch.randn(own.shape, generator=generator).to(own.device).requires_grad_()
    optimizer = torch.optim.Adam([logits], RATE)
    map_of = _map_of(layer)
    best = torch.zeros(STARTS, device=own.device)
    for _ in range(STEPS + 1):
        with torch.enable_grad():
            tried = torch.where(free, logits.masked_fill(own <= 0, -1e9).softmax(-1), own)
            far = jensen_shannon(map_of(tried), map_of(own))
            change = _moved(item, layer, tried)
            loss = (PRESSURE * (change - BOUND).clamp(min=0.0) - far).sum()
            (logits.grad,) = torch.autograd.grad(loss, logits)
        best = torch.where((change <= BOUND) & (far > best), far, best).detach()
        optimizer.step()
    return float(best.max()) / float(torch.log(torch.tensor(2.0)))


def _map_of(layer: LayerWeights) -> Callable[[Tensor], Tensor]:
    """From weights (R, …, K) to the map that is shown, (R, K)."""

    def shown(weights: Tensor) -> Tensor:
        if layer.rows:
            weights = weights.mean(-2) if layer.row is None else weights[..., layer.row, :]
        return weights.mean(1) if weights.dim() == 3 else weights

    return shown
