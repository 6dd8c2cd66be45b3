"""What attention heads do: scores of known roles for every head, and what a model loses without a head.

Weights are (B, H, T, S) of causal or full self-attention with T = S; all scores are means over the queries that can
play the role, from 0 (never) to 1 (all weight, always), NaN where no query can. Tokens of a row that are padding must
be marked in `mask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from sightline.core.modes import evaluating
from sightline.inspect.record import attention_probes, recorded_attention
from sightline.parts.attention_heads import AttentionHeads


class HeadScores(NamedTuple):
    """Scores (H,) of the heads of one layer."""

    previous: Tensor  # weight on the position before
    first: Tensor  # weight on the first position of the row, of the other queries
    duplicate: Tensor  # weight on earlier occurrences of the query's own token
    induction: Tensor  # weight on the positions after earlier occurrences of the query's token
    rare: Tensor  # share of queries whose heaviest key is the rarest token in view
    distance: Tensor  # mean |t - s| by weight, in units of what even weights over the same keys would have
    entropy: Tensor  # of the weights, in units of the logarithm of the number of keys in view


ROLES = ("previous", "first", "duplicate", "induction", "rare")


class Head(NamedTuple):
    """A head: the path of its layer's probe in the model, and its number in the layer."""

    layer: str
    number: int

    def __str__(self) -> str:
        return f"{self.layer} head {self.number}"


def score_heads(weights: Tensor, tokens: Tensor, mask: Tensor | None = None, *, causal: bool = True) -> HeadScores:
    """Scores of the H heads that gave weights (B, H, T, T) for tokens (B, T); mask (B, T), True = real.

    previous, duplicate and induction (prefix matching) are the scores of Olsson et al. 2022 ("In-context learning and
    induction heads", arXiv:2209.11895, § "Argument 1" and its appendix); first is the weight on a sink (Xiao et al.
    2023, arXiv:2309.17453); rare is the role of Voita et al. 2019 (arXiv:1905.09418, § 5.2), with ranks of frequency
    in `tokens` themselves. Queries that see one key only say nothing and are left out of distance and entropy.

    Raises:
        ValueError: "expected weights (B, H, T, T) for tokens (2, 9), got (2, 4, 9, 8)".
    """
    rows, length = tokens.shape
    if weights.dim() != 4 or (weights.shape[0], *weights.shape[2:]) != (rows, length, length):
        raise ValueError(f"expected weights (B, H, T, T) for tokens {tuple(tokens.shape)}, got {tuple(weights.shape)}")
    weights = weights.detach().double()
    place = torch.arange(length, device=tokens.device)
    real = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
    seen = real[:, :, None] & real[:, None, :]  # (B, T, S)
    if causal:
        seen = seen & (place[:, None] >= place)
    gap = place[:, None] - place  # (T, S)
    same = (tokens[:, :, None] == tokens[:, None, :]) & seen & (gap > 0)
    after = torch.zeros_like(same)
    after[:, :, 1:] = same[:, :, :-1]
    after &= seen & (gap >= 0)
    distance, entropy = _spread(weights, seen, gap.abs().double())
    return HeadScores(
        previous=_weight_on(weights, seen & (gap == 1)),
        first=_weight_on(weights, seen & (place == 0) & (place[:, None] > 0)),
        duplicate=_weight_on(weights, same),
        induction=_weight_on(weights, after),
        rare=_rare(weights, seen, tokens, real),
        distance=distance,
        entropy=entropy,
    )


def _weight_on(weights: Tensor, chosen: Tensor) -> Tensor:
    """The mean weight (H,) on the chosen keys (B, T, S), over the queries that have one."""
    queries = chosen.any(2)  # (B, T)
    total = (weights * chosen.unsqueeze(1)).sum(3)  # (B, H, T)
    return (total * queries.unsqueeze(1)).sum((0, 2)) / queries.sum()


def _rare(weights: Tensor, seen: Tensor, tokens: Tensor, real: Tensor) -> Tensor:
    """Share (H,) of queries whose heaviest key is the rarest token in view; of queries that see two tokens at least."""
    counts = torch.bincount(tokens[real], minlength=int(tokens.max()) + 1)
    often = counts[tokens].double()[:, None, :].expand(seen.shape).masked_fill(~seen, torch.inf)  # (B, T, S)
    least = often.amin(2, keepdim=True)
    rarest = (often == least) & seen
    queries = (often.masked_fill(~seen, -torch.inf).amax(2, keepdim=True) > least).squeeze(2) & seen.any(2)
    heaviest = weights.argmax(3, keepdim=True)  # (B, H, T, 1)
    hit = rarest.unsqueeze(1).expand(weights.shape).gather(3, heaviest).squeeze(3)
    return (hit & queries.unsqueeze(1)).sum((0, 2)).double() / queries.sum()


def _spread(weights: Tensor, seen: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """Relative distance and relative entropy (H,), over queries that see more than one key."""
    keys = seen.sum(2)  # (B, T)
    queries = (keys > 1).unsqueeze(1)
    even = (gap * seen).sum(2) / keys.clamp(min=1)  # (B, T)
    far = (weights * gap).sum(3) / even.clamp(min=1e-12).unsqueeze(1)
    nats = torch.special.entr(weights).sum(3) / keys.clamp(min=2).double().log().unsqueeze(1)
    count = queries.sum()
    return (far * queries).sum((0, 2)) / count, (nats * queries).sum((0, 2)) / count


@torch.no_grad()
def head_scores(
    model: nn.Module, tokens: Tensor, run: Callable[[], object], mask: Tensor | None = None, *, causal: bool = True
) -> dict[str, HeadScores]:
    """Scores of every layer of self-attention, by the path of its probe, while `run()` calls the model on `tokens`.

    Weights whose keys are not the tokens themselves, cross-attention's for example, are left out.
    """
    with evaluating(model), recorded_attention(model) as weights:
        run()
    square = (*tokens.shape[1:], *tokens.shape[1:])
    return {
        name: score_heads(of_layer, tokens, mask, causal=causal)
        for name, of_layer in weights.items()
        if of_layer.dim() == 4 and tuple(of_layer.shape[2:]) == square
    }


def heads_of(model: nn.Module) -> dict[str, AttentionHeads]:
    """The projections of every layer with heads, by the path of its probe."""
    parents = {name: name.rpartition(".")[0] for name in attention_probes(model)}
    found = {name: getattr(model.get_submodule(parent), "heads", None) for name, parent in parents.items()}
    return {name: heads for name, heads in found.items() if isinstance(heads, AttentionHeads)}


@contextmanager
def ablated_heads(model: nn.Module, heads: Sequence[Head], means: Mapping[str, Tensor] | None = None) -> Iterator[None]:
    """Inside the block the outputs of these heads, before the layer's output projection, are replaced.

    By zeros (the mask ξ_h = 0 of Michel, Levy & Neubig 2019, arXiv:1905.10650, eq. 2), or, with `means`, by the layer's
    mean output (H·V,), which leaves what the head says on average (`mean_outputs`).
    """
    layers = heads_of(model)
    handles = []
    for name in dict.fromkeys(head.layer for head in heads):
        numbers = [head.number for head in heads if head.layer == name]
        mean = None if means is None else means[name]
        handles.append(layers[name].out.register_forward_pre_hook(_without(layers[name], numbers, mean)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _without(layer: AttentionHeads, numbers: Sequence[int], mean: Tensor | None) -> Callable[..., tuple[Tensor]]:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        by_head = inputs[0].unflatten(-1, (layer.heads, layer.d_head)).clone()
        by_head[..., numbers, :] = 0.0 if mean is None else mean.view(layer.heads, layer.d_head)[numbers].to(by_head)
        return (by_head.flatten(-2),)

    return hook


@torch.no_grad()
def mean_outputs(model: nn.Module, run: Callable[[], object]) -> dict[str, Tensor]:
    """The mean output (H·V,) of every layer's heads over all positions while `run()` calls the model."""
    outputs: dict[str, list[Tensor]] = {name: [] for name in heads_of(model)}
    handles = []
    for name, layer in heads_of(model).items():

        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            outputs[name].append(inputs[0].flatten(0, -2))

        handles.append(layer.out.register_forward_pre_hook(hook))
    try:
        with evaluating(model):
            run()
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.cat(rows).mean(0) for name, rows in outputs.items() if rows}


@torch.no_grad()
def head_importance(
    model: nn.Module, loss: Callable[[], Tensor], means: Mapping[str, Tensor] | None = None
) -> dict[Head, Tensor]:
    """The change of `loss()`, a tensor of any shape, for each head when it is ablated alone; see `ablated_heads`.

    Michel et al. 2019, § 3.2. Positive: the head helps.
    """
    importance = {}
    with evaluating(model):
        whole = loss()
        for name, layer in heads_of(model).items():
            for number in range(layer.heads):
                head = Head(name, number)
                with ablated_heads(model, [head], means):
                    importance[head] = cast(Tensor, loss()) - whole
    return importance
