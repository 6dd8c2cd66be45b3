"""Gradient reach of a trained model beside its used reach: the loss where only the last k positions are read.

A gradient says what could matter, the used reach what does: where the loss no longer falls with more context, the model
does not use what is further away, however large its gradient there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.data.spaced import spaced
from sightline.data.text.positions import stretches
from sightline.data.text.windows import windows
from sightline.inspect.record import embedded_inputs
from sightline.lab.bands import mean_band, median_band
from sightline.lab.panel_results import Reach
from sightline.lab.reach import (
    EXACT,
    PROBES,
    StateReach,
    cotangents,
    distances,
    input_reach,
    recurrent_matrices,
    state_bands,
    state_reach,
)
from sightline.models.decoder import Decoder
from sightline.models.pruned import keep_heads, kept_heads

ROWS = 64  # windows or items read at a time
LEAST_WINDOWS = 32


class Sampled(NamedTuple):
    """How much is measured: labels for the used reach, sequences for gradients, and a seed for random signs."""

    labels: int = 256
    sequences: int = 8
    seed: int = 0


def trained_reach(name: str, task: Any, part: Any, sampled: Sampled) -> Reach:
    """The reach of a task's model on a part of data.

    Raises:
        InputError: "the reach of a translation model is not measured: expected a language model or a classifier of
            sequences"; the part has no item that is long enough.
    """
    return _measured(name, task, _model(task), part, sampled)


def initial_reach(name: str, task: Any, part: Any, sampled: Sampled, seed: int) -> Reach:
    """The gradients of the same model before its training with that seed: with the weights that it then drew.

    Raises:
        InputError: as `trained_reach`.
    """
    kind, model = type(task), _model(task)
    _, drawn = kind.draw(task.config, (task.source, task.outputs), kind.Run(settings=task.config).changed(seed=seed))
    keep_heads(drawn, kept_heads(model))
    drawn = drawn.to(next(model.parameters()).device)
    reach = _measured(f"{name} at initialisation", task, drawn, part, sampled)
    return replace(reach, trained=False, used=None, loss_unit="", before=name)


def _model(task: Any) -> Any:
    return getattr(task, "decoder", task.model)


def _measured(name: str, task: Any, model: Any, part: Any, sampled: Sampled) -> Reach:
    measure = MEASURED.get(task.form)
    if measure is None:
        raise InputError(
            f"the reach of a {task.name} model is not measured: expected a language model or a classifier of sequences",
            where=name,
        )
    with evaluating(model):
        return measure(name, task, model, part, sampled)


def _language(name: str, task: Any, model: Decoder, part: Any, sampled: Sampled) -> Reach:
    """Of a language model: windows of up to the length that it was trained on, the label of the last position."""
    context = task.config.context
    sample = list(islice(windows(stretches(part.numbered(), task.tokenizer), context, context), 8 * sampled.labels))
    if not sample:
        raise InputError(f"no text in the {part.name} part", where=name)
    # So long that enough windows are whole; documents may be shorter than the context.
    length = sorted((len(w.labels) for w in sample), reverse=True)[min(len(sample), LEAST_WINDOWS) - 1]
    sample = [w for w in sample if len(w.labels) >= length]
    sample = [sample[i] for i in spaced(len(sample), sampled.labels)]
    tokens = torch.tensor(np.stack([w.tokens[:length] for w in sample]), device=task.device).long()  # (N, T)
    labels = torch.tensor(np.array([w.labels[length - 1] for w in sample]), device=task.device).long()
    lags = distances(length)
    reads = [*lags, length]
    losses = [torch.cat([_last_loss(model, *rows) for rows in _rows(tokens[:, -k:], labels)]) for k in reads]
    wide = copy.deepcopy(model).double()
    generator = torch.Generator().manual_seed(derive(sampled.seed, "cotangents"))
    gradients: list[Tensor] = []
    states: list[StateReach | None] = []
    for row in range(min(sampled.sequences, len(tokens))):
        x = wide.embedding(tokens[row : row + 1]).detach()
        gradients.append(_logit_reach(wide, x, generator).flip(0)[[0, *lags]])
        states.append(state_reach(wide.mixer, x, lags, generator=generator, exact=EXACT))
    return Reach(
        name,
        trained=True,
        input=median_band([0, *lags], torch.stack(gradients).cpu().numpy()),
        used=mean_band(reads, torch.stack(losses, 1).cpu().numpy()),
        loss_unit=task.loss_unit,
        matrices=recurrent_matrices(model),
        **state_bands(lags, [one for one in states if one is not None]),
    )


def _logit_reach(model: Decoder, x: Tensor, generator: torch.Generator) -> Tensor:
    """‖∂ logits_T/∂x_s‖_F for every position s of the embedded row x (1, T, D)."""
    with torch.no_grad():
        count = model.head(model.norm(model.mixer(x[:, :1])[0])).shape[2]
    complete = count <= PROBES
    vectors = cotangents(PROBES, count, x, generator, complete=complete)
    x = x.expand(len(vectors), -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        y, _ = model.mixer(x, model.mixer.initial_state(len(x)))
        logits = model.head(model.norm(y[:, -1:]))[:, 0]
    return input_reach(logits, x, vectors)


@torch.no_grad()
def _last_loss(model: Decoder, tokens: Tensor, labels: Tensor) -> Tensor:
    """-ln p (B,) of the labels that follow the last of tokens (B, T)."""
    logits, _ = model(tokens, model.initial_state(len(tokens)))
    return F.cross_entropy(logits[:, -1].double(), labels, reduction="none")


def _labels(name: str, task: Any, model: nn.Module, part: Any, sampled: Sampled) -> Reach:
    """Of a classifier: the last k positions of every item, as an item of its own."""
    batches = [batch.to(task.device) for batch in islice(task.batches(part, seed=sampled.seed).epoch(0), 64)]
    batches = _first(batches, sampled.labels)
    if batches[0].source.dim() > 3 or task.inputs.kind not in ("text", "series"):
        raise InputError("pictures and sounds have no context to cut: expected texts or series", where=name)
    longest = max(int(_mask(batch).sum(1).max()) for batch in batches)
    lags = distances(longest)
    reads = [*lags, longest]
    losses = np.stack([np.concatenate([_cut_loss(model, batch, k) for batch in batches]) for k in reads], 1)
    gradients = [_class_reach(model, batch, lags) for batch in batches[:1]]
    return Reach(
        name,
        trained=True,
        input=median_band([0, *lags], np.concatenate(gradients)[: sampled.sequences]),
        used=mean_band(reads, losses),
        loss_unit=task.loss_unit,
        matrices=recurrent_matrices(model),
    )


def _mask(batch: Any) -> Tensor:
    shape = batch.source.shape[:2]
    return torch.ones(shape, dtype=torch.bool) if batch.source_mask is None else batch.source_mask


def _first(batches: Sequence[Any], items: int) -> list[Any]:
    """The first batches, with at least `items` items if there are as many."""
    kept: list[Any] = []
    for batch in batches:
        if sum(len(one.rows) for one in kept) >= items:
            break
        kept.append(batch)
    return kept


@torch.no_grad()
def _cut_loss(model: nn.Module, batch: Any, k: int) -> np.ndarray:
    """The loss (B,) of each item where its last k real positions are read."""
    lengths = _mask(batch).sum(1)
    kept = lengths.clamp(max=k)
    place = (lengths - kept).unsqueeze(1) + torch.arange(k, device=lengths.device)  # (B, k)
    mask = torch.arange(k, device=lengths.device) < kept.unsqueeze(1)
    rows = torch.arange(len(lengths), device=lengths.device).unsqueeze(1)
    source = batch.source[rows, place.clamp(max=batch.source.shape[1] - 1)]
    return _item_losses(model(source, mask), batch.labels).double().cpu().numpy()


def _item_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) cross entropy; of any number of labels the mean over classes."""
    if labels.dtype == torch.bool:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none").mean(1)
    return F.cross_entropy(logits, labels, reduction="none")


def _class_reach(model: nn.Module, batch: Any, lags: Sequence[int]) -> np.ndarray:
    """‖∂ logits/∂x_{end-k}‖_F (B, K) at k = 0 and every lag; NaN before the beginning of an item."""
    wide, mask = copy.deepcopy(model).double(), _mask(batch)
    if not any(isinstance(module, FrontEnd) for module in wide.modules()):
        raise InputError("the model has no front end of `sightline.parts.front_ends`, whose vectors are the input")
    source = batch.source.double() if batch.source.is_floating_point() else batch.source
    with torch.enable_grad(), embedded_inputs(wide) as embedded:
        logits = wide(source, mask)
        squares = torch.zeros(mask.shape, dtype=torch.float64)
        for column in logits.unbind(1):
            (grad,) = torch.autograd.grad(column.sum(), embedded[0], retain_graph=True)
            squares += grad.square().sum(2).cpu()
    ends = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)  # the last real position of each row
    place = ends.unsqueeze(1) - torch.tensor([0, *lags])
    norms = squares.sqrt().gather(1, place.clamp(min=0))
    return torch.where(place >= 0, norms, torch.nan).numpy()


def _rows(*columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    yield from zip(*(column.split(ROWS) for column in columns))


MEASURED = {"decoder": _language, "encoder": _labels}  # by the form of the model
