"""The call of every layer of heads in a call of a model: its weights, and the tokens at its positions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from sightline.core.caches import content_of
from sightline.core.front_end import FrontEnd
from sightline.core.hooks import removed_after
from sightline.inspect.heads import heads_of, pattern_of
from sightline.inspect.record import attention_probes
from sightline.inspect.roles import HeadTally
from sightline.parts.token_embedding import TokenEmbedding


class HeadCall(NamedTuple):
    """One call of a layer.

    weights: (B, H, T, S); of a memory (B, H, T, M); of several probes, each of which has some rows, their sum
    tokens: (B, T) the ids at the positions of the queries, None where the model reads no tokens there
    mask: (B, T) True = real; starts: (B, T) of documents; memory_mask: (B, M); None if there are none
    """

    weights: Tensor
    tokens: Tensor | None
    mask: Tensor | None
    starts: Tensor | None
    memory_mask: Tensor | None


class _Read(NamedTuple):
    """Tokens that were embedded last, and which of them are real by the embedding's padding."""

    tokens: Tensor | None = None
    real: Tensor | None = None


@contextmanager
def recorded_heads(model: nn.Module) -> Iterator[dict[str, HeadCall]]:
    """The last call of every layer with heads inside the block, by the path of its first probe.

    A layer's tokens are those that were embedded last before its call, if there are as many as it has queries.
    """
    calls: dict[str, HeadCall] = {}
    read = [_Read()]
    handles = []

    def embeds(module: nn.Module, args: tuple[Any, ...]) -> None:
        ids = args[0] if args and isinstance(args[0], Tensor) else None
        if ids is None or ids.dim() != 2 or ids.is_floating_point():
            read[0] = _Read()
            return
        padding = module.table.padding_idx if isinstance(module, TokenEmbedding) else None
        read[0] = _Read(ids, None if padding is None else ids != padding)

    for module in model.modules():
        if isinstance(module, FrontEnd | TokenEmbedding):
            handles.append(module.register_forward_pre_hook(embeds))
    probes = attention_probes(model)
    for name in heads_of(model):
        path = name.rpartition(".")[0]
        layer = model.get_submodule(path)
        bound: dict[str, Any] = {}
        names = inspect.signature(layer.forward)

        def enters(_module: nn.Module, args: Any, kwargs: Any, bound: dict = bound, names: Any = names) -> None:
            bound.clear()
            bound.update(names.bind(*args, **kwargs).arguments)

        def weighs(_probe: nn.Module, _inputs: Any, output: Tensor, name: str = name, bound: dict = bound) -> None:
            calls[name] = _call(output.detach(), bound, read[0])

        def adds(_probe: nn.Module, _inputs: Any, output: Tensor, name: str = name) -> None:
            calls[name] = calls[name]._replace(weights=calls[name].weights + output.detach())

        handles.append(layer.register_forward_pre_hook(enters, with_kwargs=True))
        handles.append(probes[name].register_forward_hook(weighs))
        others = (probe for of, probe in probes.items() if of != name and of.rpartition(".")[0] == path)
        handles += [probe.register_forward_hook(adds) for probe in others]
    with removed_after(handles):
        yield calls


def _call(weights: Tensor, arguments: Mapping[str, Any], read: _Read) -> HeadCall:
    shape = (weights.shape[0], weights.shape[2])
    fits = read.tokens is not None and tuple(read.tokens.shape) == shape
    mask = arguments.get("mask")
    mask = read.real if mask is None and fits else mask
    memory_mask = content_of(getattr(arguments.get("state"), "mask", None))
    return HeadCall(weights, read.tokens if fits else None, mask, arguments.get("starts"), memory_mask)


def tally_heads(model: nn.Module, runs: Iterator[Callable[[], object]]) -> dict[str, HeadTally]:
    """The scores and profiles of every layer with heads over calls of the model, by the path of its probe.

    A call in which a layer reads keys of earlier calls is left out for it.
    """
    layers = heads_of(model)
    over_memory = {name for name in layers if is_memory(model, name)}
    tallies = {name: HeadTally(causal=is_causal(model, name), pattern=pattern_of(model, name)) for name in layers}
    counted: set[str] = set()
    for run in runs:
        with recorded_heads(model) as calls:
            run()
        for name, call in calls.items():
            if name in over_memory:
                tallies[name].add_memory(call.weights, call.mask, call.memory_mask)
            elif call.weights.shape[2] == call.weights.shape[3]:
                tallies[name].add(call.weights, call.tokens, call.mask, call.starts)
            else:
                continue
            counted.add(name)
    return {name: tally for name, tally in tallies.items() if name in counted}


def is_causal(model: nn.Module, name: str) -> bool:
    """Whether the layer with this probe hides later positions."""
    return bool(getattr(model.get_submodule(name.rpartition(".")[0]), "causal", False))


def is_memory(model: nn.Module, name: str) -> bool:
    """Whether the layer with this probe reads a memory."""
    return str(model.get_submodule(name).shape).endswith("M")  # type: ignore[union-attr]
