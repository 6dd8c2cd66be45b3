"""The importance of heads: heads taken out or weighed, by loss and by gradient, and scores of all layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from sightline.core.hooks import removed_after
from sightline.core.modes import evaluating
from sightline.inspect.record import attention_probes, recorded_attention
from sightline.inspect.roles import HeadScores, score_heads
from sightline.ops.pattern import Pattern
from sightline.parts.attention_heads import AttentionHeads

B = TypeVar("B")


class Head(NamedTuple):
    """A head: the path of its layer's probe in the model, and its number in the layer."""

    layer: str
    number: int

    def __str__(self) -> str:
        return f"{self.layer} head {self.number}"


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
        name: score_heads(of_layer, tokens, mask, causal=causal, pattern=pattern_of(model, name))
        for name, of_layer in weights.items()
        if of_layer.dim() == 4 and tuple(of_layer.shape[2:]) == square
    }


def heads_of(model: nn.Module) -> dict[str, AttentionHeads]:
    """The projections of every layer with heads, by the path of its probe; of several probes the first."""
    parents: dict[str, str] = {}
    for name in attention_probes(model):
        parents.setdefault(name.rpartition(".")[0], name)
    by_probe = {name: getattr(model.get_submodule(parent), "heads", None) for parent, name in parents.items()}
    return {name: heads for name, heads in by_probe.items() if isinstance(heads, AttentionHeads)}


def pattern_of(model: nn.Module, name: str) -> Pattern | None:
    """The keys that the layer with this probe shows each position; None where no pattern hides any."""
    pattern = getattr(model.get_submodule(name.rpartition(".")[0]), "pattern", None)
    return pattern if isinstance(pattern, Pattern) and not pattern.everywhere else None


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
    with removed_after(handles):
        yield


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
    with removed_after(handles), evaluating(model):
        run()
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


def head_gradients(model: nn.Module, loss: Callable[[B], Tensor], batches: Iterable[B]) -> dict[Head, float]:
    """E_x |∂L(x) / ∂ξ_h| for each head, ξ_h = 1 being a factor of its output (Michel et al. 2019, eq. 2).

    loss: the sum () of the losses L of a batch's rows, none of which depends on another row. x is a row, such as a pair
        of sentences or, of packed text, a row of several documents.

    Scores of several layers are compared after a division by the ℓ2 norm of the layer's (`layer_normalised`), as the
    paper does (§ 4.1, after Molchanov et al. 2017).
    """
    layers = heads_of(model)
    totals = {name: torch.zeros(layer.heads, dtype=torch.double) for name, layer in layers.items()}
    rows = dict.fromkeys(layers, 0)
    with evaluating(model), torch.enable_grad():
        for batch in batches:
            with gated_heads(model) as gates:
                total = loss(batch)
            used = list(gates.values())
            slopes = torch.autograd.grad(total, used, allow_unused=True, materialize_grads=True) if used else ()
            for name, slope in zip(gates, slopes):
                totals[name] += slope.abs().sum(0).double().cpu()
                rows[name] += len(slope)
    return {
        Head(name, number): float(score) / max(rows[name], 1)
        for name, scores in totals.items()
        for number, score in enumerate(scores)
    }


@contextmanager
def gated_heads(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside the block every head's output is multiplied by a factor, 1, for each row: (B, H) by layer, with gradients.

    The factors of a layer are there once it has been called.
    """
    gates: dict[str, Tensor] = {}
    handles = []
    for name, layer in heads_of(model).items():

        def hook(
            _module: nn.Module, inputs: tuple[Tensor, ...], name: str = name, layer: AttentionHeads = layer
        ) -> tuple[Tensor]:
            by_head = inputs[0].unflatten(-1, (layer.heads, layer.d_head))  # (B, T, H, V)
            if name not in gates:
                gates[name] = by_head.new_ones(len(by_head), layer.heads).requires_grad_()
            return ((by_head * gates[name][:, None, :, None]).flatten(-2),)

        handles.append(layer.out.register_forward_pre_hook(hook))
    with removed_after(handles):
        yield gates


def layer_normalised(importance: Mapping[Head, float]) -> dict[Head, float]:
    """The scores divided by the ℓ2 norm of those of the same layer; 0 where all of a layer are 0."""
    norms: dict[str, float] = {}
    for head, score in importance.items():
        norms[head.layer] = math.hypot(norms.get(head.layer, 0.0), score)
    return {head: score / (norms[head.layer] or 1.0) for head, score in importance.items()}
