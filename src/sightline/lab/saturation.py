"""Saturation of softmax attention: entropy, largest weight and gradient through the softmax, at any length.

The Jacobian of p = softmax(x) is diag(p) - p pᵀ, whose squared Frobenius norm is Σp² - 2 Σp³ + (Σp²)². The sums of
powers follow from the logsumexp of scaled logits, Σp^m = exp(lse(m x) - m lse(x)), so that the statistics of
`inspect.statistics`, which never form the weights, are enough; a norm below 1e-7 is rounding. Vaswani et al. 2017 (§
3.2.1) divide the logits by √d_k because the dot product of standard normal vectors has the variance d_k.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.seeds import derive
from sightline.inspect.statistics import attention_statistics
from sightline.lab.bands import quartile_band
from sightline.lab.panel_results import Saturation
from sightline.models.language_model import LanguageModelConfig
from sightline.parts.self_attention import SelfAttention

WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024)
QUERIES = 64  # the last positions, whose statistics are shown
DRAWN = 1024  # standard normal queries, at most one for each key: unscaled, their gradients span orders of magnitude


class SoftmaxStatistics(NamedTuple):
    """Of each query that sees more than one key, flattened (N,)."""

    entropy: np.ndarray  # share of that of uniform weights
    largest: np.ndarray
    gradient: np.ndarray  # ‖diag(p) - p pᵀ‖_F


def softmax_statistics(
    q: Tensor, k: Tensor, scale: float, *, slopes: Tensor | None = None, **options: Any
) -> SoftmaxStatistics:
    """Statistics of softmax(scale · q kᵀ - slope · distance) for q (B, H, T, K) and k (B, G, S, K).

    `options` are those of `attention_statistics` that hide keys.
    """
    q, k = q.double(), k.double()
    one, two, three = (
        attention_statistics(q, k, scale=m * scale, slopes=None if slopes is None else m * slopes, top=1, **options)
        for m in (1, 2, 3)
    )
    squares = (two.logsumexp - 2 * one.logsumexp).exp()
    cubes = (three.logsumexp - 3 * one.logsumexp).exp()
    gradient = (squares - 2 * cubes + squares.square()).clamp(min=0).sqrt()
    # With equal logits the entropy is the logarithm of the number of keys that the query sees.
    most = attention_statistics(torch.zeros_like(q), k, scale=1.0, top=1, **options).entropy
    kept = most > 1e-9
    return SoftmaxStatistics(*(part[kept].cpu().numpy() for part in (one.entropy / most, one.largest, gradient)))


def by_width(keys: int, widths: Sequence[int] = WIDTHS, seed: int = 0) -> list[Saturation]:
    """Statistics over d_k, of standard normal queries and keys, with logits divided by √d_k and as they are."""
    rows: dict[str, list[SoftmaxStatistics]] = {"scaled": [], "unscaled": []}
    for width in widths:
        generator = torch.Generator().manual_seed(derive(seed, "saturation", width))
        q = torch.randn(1, 1, min(DRAWN, keys), width, generator=generator, dtype=torch.float64)
        k = torch.randn(1, 1, keys, width, generator=generator, dtype=torch.float64)
        for name, scale in (("scaled", 1.0 / math.sqrt(width)), ("unscaled", 1.0)):
            rows[name].append(softmax_statistics(q, k, scale, causal=False))
    return [_along(name, "d_k", widths, keys, statistics) for name, statistics in rows.items()]


def by_layer(name: str, model: nn.Module, run: Callable[[], object], keys: int) -> Saturation | None:
    """Statistics over the layers of softmax self-attention of a model while `run()` calls it, in order of the modules.

    `run` gives the layers rows without padding. Layers of patterns of blocks, and with a soft cap, are left out.
    """
    layers: list[SoftmaxStatistics] = []

    def hook(layer: nn.Module, inputs: tuple[Any, ...], _output: object) -> None:
        assert isinstance(layer, SelfAttention)
        statistics = layer_statistics(layer, inputs[0])
        if statistics is not None:
            layers.append(statistics)

    with ExitStack() as hooks, torch.no_grad():
        for module in model.modules():
            if isinstance(module, SelfAttention):
                hooks.callback(module.register_forward_hook(hook).remove)
        run()
    return _along(name, "layer", range(1, len(layers) + 1), keys, layers) if layers else None


def layer_statistics(
    layer: SelfAttention, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None
) -> SoftmaxStatistics | None:
    """Statistics of the last `QUERIES` positions of a layer's input x (B, T, D); None for blocks and soft caps."""
    (pattern, *_), slopes = layer.plan, layer.plan.slopes
    if pattern.blocks is not None or layer.softcap is not None:
        return None
    q, k, *_ = layer.project(x, mask, starts)
    hidden = {"causal": pattern.causal, "window": pattern.window, "sinks": pattern.sinks}
    hidden |= {"mask": mask, "starts": starts}
    return softmax_statistics(q[:, :, -QUERIES:], k, 1.0 / math.sqrt(layer.heads.d_head), slopes=slopes, **hidden)


def weight_statistics(weights: Tensor, seen: Tensor) -> SoftmaxStatistics:
    """Statistics of weights (…, S) themselves; `seen` (…, S), which broadcasts to them, marks the keys in view."""
    p, count = weights.double(), seen.expand_as(weights).sum(-1)
    squares, cubes = p.square().sum(-1), p.pow(3).sum(-1)
    gradient = (squares - 2 * cubes + squares.square()).clamp(min=0).sqrt()
    entropy = torch.special.entr(p).sum(-1) / count.clamp(min=2).log()
    return SoftmaxStatistics(*(part[count > 1].cpu().numpy() for part in (entropy, p.amax(-1), gradient)))


def by_depth(keys: int, d_model: int, layers: int, seed: int = 0) -> list[Saturation]:
    """Statistics over the layers of an untrained causal Transformer without positions, of standard normal inputs.

    Unscaled, its query weights are multiplied by √d_head, so that each layer sees what the one below made of it.
    """
    rows = []
    for name, scaled in (("scaled", True), ("unscaled", False)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "initialisation"))
            config = LanguageModelConfig(d_model=d_model, layers=layers, positions="none", dropout=0.0)
            stack = config.causal_layers().eval()
        if not scaled:
            for module in stack.modules():
                if isinstance(module, SelfAttention):
                    with torch.no_grad():
                        module.heads.query.weight *= math.sqrt(module.heads.d_head)
        generator = torch.Generator().manual_seed(derive(seed, "inputs"))
        x = torch.randn(1, keys, d_model, generator=generator)
        rows.append(by_layer(name, stack, partial(stack, x), keys))
    return [row for row in rows if row is not None]


def _along(name: str, along: Any, at: Sequence[int], keys: int, rows: Sequence[SoftmaxStatistics]) -> Saturation:
    bands = (quartile_band(at, [getattr(row, field) for row in rows]) for field in SoftmaxStatistics._fields)
    return Saturation(name, along, keys, *bands)
