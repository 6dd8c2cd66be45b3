"""Attention, gradients and gates at one moment of a training, on a few items that stay the same.

Softmax attention, layer by layer: its entropy, its largest weight and the gradient that its softmax lets through, as
`lab.saturation` defines them. Gates: how many are nearly shut or open. Recurrent matrices: their largest singular value
and spectral radius, of which the gradient of a long sequence is a product (Pascanu, Mikolov & Bengio 2013,
arXiv:1211.5063, § 2.1). The whole model: the gradient of its output by its input, by distance.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.caches import content_of
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.hooks import removed_after
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.data.batches import START, BatchStream
from sightline.data.spaced import spaced
from sightline.inspect.record import POOLED, attention_probes
from sightline.lab.reach import cotangents, distances, largest_singular_value, spectral_radius
from sightline.lab.saturation import SoftmaxStatistics, layer_statistics, weight_statistics
from sightline.models.decoder import Decoder
from sightline.models.encoder_model import EncoderModel
from sightline.models.forecaster import AutoregressiveForecaster, DirectForecaster
from sightline.models.linear_forecasters import DLinear, NLinear
from sightline.models.sequence_model import SequenceModel
from sightline.parts.recurrent import Recurrent
from sightline.parts.self_attention import SelfAttention
from sightline.training.looks import WatchModel

ITEMS = 8  # of the validation part
SIGNS = 8  # random combinations of the outputs, where there are more outputs
NEAR = 0.05  # of the range of a gate, at each end


class Read(NamedTuple):
    """A model's outputs at one position, and what their gradients are measured by.

    outputs: (B, C); ends: (B,) the position in the input from which distances count backwards
    vectors: (B, S, D) the vectors of the input, a node of the graph; real: (B, S) which of them have a distance
    """

    outputs: Tensor
    vectors: Tensor
    ends: Tensor
    real: Tensor


def watcher(task: Any, part: Any) -> WatchModel:
    """A function of the task's model in training that returns what it sees on items of `part`, as plain numbers."""
    batch = _sample(task, part)
    model = task.stored_model  # of text that continues, the part that keeps no state
    read = reader_of(model)

    def watch(trained: nn.Module) -> dict[str, Any]:
        here = batch.to(next(trained.parameters()).device)
        looked = trained if read is None else model
        with _looking(looked) as seen:
            if read is None:
                with torch.no_grad():
                    task.loss(trained, here)
                gradients = None
            else:
                with torch.set_grad_enabled(not _is_picture(here)):
                    answered = read(looked, here)
                gradients = by_distance(answered) if answered.outputs.requires_grad else None
        return {**seen, "matrices": recurrent_matrices(looked), "gradients": gradients}

    return watch


@torch.no_grad()
def seen_attention(task: Any, model: nn.Module, part: Any) -> tuple[dict[str, list[Any]], int]:
    """What the layers of attention of a task's model do on items of `part`, and the positions of the longest input.

    The `attention` of each layer has its path, what it is `over`, and quartiles; `left_out` are paths of layers that
    are not read.

    Raises:
        InputError: "a custom model, whose layers are not known".
    """
    read = reader_of(model)
    if read is None:
        raise InputError("a custom model, whose layers are not known")
    batch = _sample(task, part).to(next(model.parameters()).device)
    with evaluating(model), _looking(model) as seen:
        answered = read(model, batch)
    return seen, answered.vectors.shape[1]


def reader_of(model: nn.Module) -> Callable[[Any, Any], Read] | None:
    """The function that reads a batch by a model of this kind; None of a custom model."""
    return next((one for kind, one in READ.items() if isinstance(model, kind)), None)


def _sample(task: Any, part: Any) -> Any:
    """A batch of about `ITEMS` evenly spaced items of a part; of running text, of its first rows."""
    batches = task.batches(part, seed=0)
    if isinstance(batches, BatchStream):
        numbers = np.sort(np.concatenate(batches.plan(0)))
        return batches.batch(numbers[spaced(len(numbers), ITEMS)])
    batch, _ = next(batches.stream(START))
    cut = {name: value[:ITEMS] for name, value in batch._asdict().items() if isinstance(value, Tensor | tuple)}
    return batch._replace(**cut)


def _is_picture(batch: Any) -> bool:
    source = getattr(batch, "source", None)
    return isinstance(source, Tensor) and source.dim() == 4


def _of_decoder(model: Decoder, batch: Any) -> Read:
    """The logits at the last position of each row, by what its last document has read."""
    with _node(model.embedding) as nodes:
        logits, _ = model(batch.tokens, model.initial_state(len(batch.tokens)), batch.mask, batch.starts)
    vectors, _ = nodes[0]
    real = torch.ones_like(batch.tokens, dtype=torch.bool) if batch.mask is None else batch.mask
    ends = _ends(real)
    rows = torch.arange(len(ends), device=ends.device)
    if batch.starts is not None:
        documents = batch.starts.cumsum(1)
        real = real & (documents == documents[rows, ends].unsqueeze(1))
    return Read(logits[rows, ends], vectors, ends, real)


def _of_encoder(model: EncoderModel, batch: Any) -> Read:
    """The logits of each item, by its positions from the last one on."""
    with _node(model.front_end) as nodes:
        logits = model(batch.source, batch.source_mask)
    return _read(logits if logits.dim() == 2 else logits.mean(1), *nodes[0])


def _of_sequences(model: SequenceModel, batch: Any) -> Read:
    """The logits of the first target token, by the positions of the source from the last one on."""
    front_end = next(module for module in model.encoder.modules() if isinstance(module, FrontEnd))
    with _node(front_end) as nodes:
        state = model.initial_state(model.encode(batch.source, batch.source_mask))
    logits, _ = model.decode(batch.target[:, :-1], state, batch.target_mask[:, :-1])
    return _read(logits[:, 0], *nodes[0])


def _of_forecaster(model: nn.Module, batch: Any) -> Read:
    """The forecast of the first step, of quantiles the middle one, by the steps of the look-back."""
    values = batch.values.detach().requires_grad_(torch.is_grad_enabled())
    predicted = model(values, batch.past, batch.known, batch.future)  # (B, n, C, Q), the horizon last
    first = predicted[:, predicted.shape[1] - batch.future.shape[1], :, predicted.shape[3] // 2]
    return _read(first, values, None)


READ: dict[type[nn.Module], Callable[[Any, Any], Read]] = {
    Decoder: _of_decoder,
    EncoderModel: _of_encoder,
    SequenceModel: _of_sequences,
    **dict.fromkeys((DirectForecaster, AutoregressiveForecaster, DLinear, NLinear), _of_forecaster),
}


def _read(outputs: Tensor, vectors: Tensor, mask: Tensor | None) -> Read:
    real = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device) if mask is None else mask
    return Read(outputs, vectors, _ends(real), real)


def _ends(real: Tensor) -> Tensor:
    """The last real position (B,) of each row."""
    return real.shape[1] - 1 - real.flip(1).int().argmax(1)


@contextmanager
def _node(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor | None]]]:
    """The vectors and the mask that a module gives inside the block; gradients are those by these vectors."""
    nodes: list[tuple[Tensor, Tensor | None]] = []

    def hook(_module: nn.Module, _inputs: Any, result: Any) -> Any:
        vectors, mask = (result, None) if isinstance(result, Tensor) else result
        vectors = vectors.detach().requires_grad_(torch.is_grad_enabled())
        nodes.append((vectors, mask))
        return vectors if isinstance(result, Tensor) else (vectors, mask)

    with removed_after([module.register_forward_hook(hook)]):
        yield nodes


def by_distance(read: Read) -> dict[str, Any]:
    """‖∂ outputs/∂x_{end-k}‖_F at k = 0 and distances after it: medians over the rows that are so long.

    Of more than `SIGNS` outputs the norm is estimated from as many random signs, the same at every look: E‖vᵀJ‖² =
    ‖J‖_F² (Hutchinson 1990).
    """
    outputs, vectors, ends, real = read
    count = outputs.shape[1]
    generator = torch.Generator().manual_seed(derive(0, "cotangents"))
    signs = cotangents(min(SIGNS, count), count, outputs, generator, complete=count <= SIGNS)
    squares = torch.zeros(real.shape, dtype=torch.float64, device=real.device)
    for sign in signs:
        (gradient,) = torch.autograd.grad(outputs, vectors, sign.expand_as(outputs), retain_graph=True)
        squares += gradient.double().square().sum(2)
    norms = (squares if count <= SIGNS else squares / SIGNS).sqrt().masked_fill(~real, torch.nan)
    lags = [0, *distances(real.shape[1])]
    place = ends.unsqueeze(1) - torch.tensor(lags, device=ends.device)
    at_lags = norms.gather(1, place.clamp(min=0)).masked_fill(place < 0, torch.nan)
    medians = at_lags.nanmedian(0).values
    return {"at": lags, "norm": medians.tolist()}


def recurrent_matrices(model: nn.Module) -> list[dict[str, Any]]:
    """Largest singular value and spectral radius of the hidden-to-hidden weights of every recurrence, gate by gate.

    Heads are blocks on the diagonal of one matrix, whose values are the largest of theirs.
    """
    matrices = []
    for path, module in model.named_modules():
        weight = getattr(module, "weight_hidden", None)
        if not isinstance(weight, Tensor):
            continue
        blocks = weight.detach().unflatten(0, (-1, weight.shape[1]))  # (gates · heads, K, K)
        names = getattr(module, "gate_order", ()) or [f"matrix {number + 1}" for number in range(len(blocks))]
        values = (of(blocks).view(len(names), -1).amax(1) for of in (largest_singular_value, spectral_radius))
        for name, largest, radius in zip(names, *(value.tolist() for value in values), strict=True):
            matrices.append({"layer": path, "of": name, "largest": largest, "radius": radius})
    return matrices


@contextmanager
def _looking(model: nn.Module) -> Iterator[dict[str, list[Any]]]:
    """Attention and gates of all layers that are called inside the block."""
    seen: dict[str, list[Any]] = {"attention": [], "gates": [], "left_out": []}
    with ExitStack() as hooks:
        for path, module in model.named_modules():
            for kind, look in LAYERS.items():
                if isinstance(module, kind):
                    hook = partial(_hooked, partial(look, path=path, seen=seen))
                    hooks.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        for name, probe in attention_probes(model).items():
            owner = name.rpartition(".")[0]
            if probe.shape == POOLED or probe.shape.endswith("M"):
                look = _Weights(owner, seen, pooled=probe.shape == POOLED)
                hooks.callback(probe.register_forward_hook(look.weights).remove)
                module = model.get_submodule(owner)
                hooks.callback(module.register_forward_hook(look.called, with_kwargs=True).remove)
        yield seen


def _arguments(module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any]) -> Mapping[str, Any]:
    return inspect.signature(module.forward).bind(*args, **named).arguments


def _hooked(look: Callable[..., None], module: nn.Module, args: Any, named: Mapping[str, Any], result: Any) -> None:
    with torch.no_grad():
        look(module, result, _arguments(module, args, named))


def _self_attention(
    layer: SelfAttention, _result: Any, bound: Mapping[str, Any], *, path: str, seen: dict[str, list[Any]]
) -> None:
    statistics = layer_statistics(layer, bound["x"], bound.get("mask"), bound.get("starts"))
    if statistics is None:
        seen["left_out"].append(path)
    else:
        seen["attention"] += _quartiles(path, "self", statistics)


def _gates(layer: Recurrent, result: Any, bound: Mapping[str, Any], *, path: str, seen: dict[str, list[Any]]) -> None:
    """Of the positions after the first one of each document, whose state before them is the output before them."""
    x, mask, starts = bound["x"], bound.get("mask"), bound.get("starts")
    follows = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask.clone()
    follows[:, 1:] &= follows[:, :-1].clone()
    follows[:, :1] = False
    if starts is not None:
        follows &= ~starts
    hidden = result[0].roll(1, 1)
    for name, gate in layer.gates(x[follows], hidden[follows]).items():
        shares = ((gate < NEAR).double().mean().item(), (gate > 1 - NEAR).double().mean().item())
        seen["gates"].append({"layer": path, "of": name, "low": shares[0], "high": shares[1]})


LAYERS: dict[type[nn.Module], Callable[..., None]] = {SelfAttention: _self_attention, Recurrent: _gates}


@final
class _Weights:
    """Weights over a memory or of a pooling, read at the probe; what they can see is what the layer is given."""

    def __init__(self, path: str, seen: dict[str, list[Any]], *, pooled: bool) -> None:
        self.path, self.seen, self.pooled = path, seen, pooled
        self.read: list[Tensor] = []

    def weights(self, _probe: nn.Module, _args: Any, weights: Tensor) -> None:
        self.read.append(weights.detach())

    def called(self, module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], _result: Any) -> None:
        arguments = _arguments(module, args, named)
        mask, read = arguments.get("mask"), self.read
        self.read = []
        if not read:
            return
        if self.pooled:
            seen, weights = mask, read[0]
        else:
            seen = content_of(arguments["state"].mask)
            weights = torch.cat(read, -2)  # one call at a time where queries depend
            seen = None if seen is None else seen.view(len(seen), *[1] * (weights.dim() - 2), -1)
        seen = torch.ones_like(weights, dtype=torch.bool) if seen is None else seen.expand(weights.shape)
        if not self.pooled and mask is not None:
            queries = mask.view(len(mask), *[1] * (weights.dim() - 3), -1).expand(weights.shape[:-1])
            seen, weights = seen[queries], weights[queries]
        self.seen["attention"] += _quartiles(
            self.path, "pooling" if self.pooled else "memory", weight_statistics(weights, seen)
        )


def _quartiles(path: str, over: str, statistics: SoftmaxStatistics) -> list[dict[str, Any]]:
    """Quartiles over all queries and heads; nothing where no query sees more than one key."""
    if not len(statistics.entropy):
        return []
    parts = {name: np.quantile(part, (0.25, 0.5, 0.75)).tolist() for name, part in statistics._asdict().items()}
    return [{"layer": path, "over": over, **parts}]
