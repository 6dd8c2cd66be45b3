"""Classifiers under measurement: items, and their last k positions alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.seeds import derive
from sightline.inspect.record import embedded_inputs
from sightline.lab.bands import mean_band, median_band
from sightline.lab.forms.cut_inputs import last_positions
from sightline.lab.forms.form import Past, RunForm, Sampled, as_mechanism
from sightline.lab.forms.states import NO_STATE, reading_reach
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Reach
from sightline.lab.reach import distances, recurrent_matrices, state_bands

OWN = "a custom model, whose layers are not known"
ORDERED = ("text", "series", "audio")  # inputs whose positions come one after another


@final
class EncoderForm(RunForm):
    """A classifier; distances count backwards from the last position of each item, for sounds in frames.

    The last k positions of a text or a series are an item of their own; of a sound, vectors of its front end.
    """

    def mechanisms(self) -> list[Mechanism]:
        encoder = getattr(self.model, "encoder", None)
        if encoder is None:
            raise InputError(OWN, where=self.name)
        return as_mechanism(self.run, encoder)

    def reach(self, model: Any, sampled: Sampled, *, used: bool = True) -> list[Reach]:
        if self.task.inputs.kind not in ORDERED:
            raise InputError("pictures have no order of positions", where=self.name)
        stream = self.task.batches(self.part, seed=sampled.seed).epoch(0)
        batches = _first([batch.to(self.task.device) for batch in islice(stream, 64)], sampled.labels)
        longest = max(int(self._lengths(model, batch).max()) for batch in batches)
        lags = distances(longest)
        reads = [*lags, longest]
        band = None
        if used:
            loss = _cut_frames_loss if self.task.inputs.kind == "audio" else _cut_loss
            losses = [np.concatenate([loss(model, batch, k) for batch in batches]) for k in reads]
            band = mean_band(reads, np.stack(losses, 1))
        return [
            Reach(
                self.name,
                trained=True,
                input=median_band([0, *lags], _class_reach(model, batches[0], lags)[: sampled.sequences]),
                used=band,
                loss_unit=self.task.loss_unit if used else "",
                matrices=recurrent_matrices(model),
                **self._states(model, batches[0], sampled),
            )
        ]

    def past(self, most: int) -> Past:
        raise InputError("a classifier writes nothing: see its used reach", where=self.name)

    def _states(self, model: nn.Module, batch: Any, sampled: Sampled) -> dict[str, Any]:
        """The fields of `Reach` on states, of the longest items, each cut to the length that all of them have."""
        encoder = getattr(model, "encoder", None)
        lengths, ends = self._lengths(model, batch), _mask(batch).sum(1)
        rows = lengths.argsort(descending=True, stable=True)[: sampled.sequences].tolist()
        lags = distances(int(lengths[rows].min()))
        if encoder is None or not lags:
            self.lacks("gain from state to state", "no layers that are known" if encoder is None else "one position")
            return {}
        wide: Any = copy.deepcopy(model).double()
        generator = torch.Generator().manual_seed(derive(sampled.seed, "cotangents"))
        reached = []
        for row in rows:
            source = batch.source[row : row + 1, : int(ends[row])]
            source = source.double() if source.is_floating_point() else source
            reached.append(reading_reach(wide.encoder, lambda x=source: wide(x, None), lags, generator))
        if reached[0] is None:
            self.lacks("gain from state to state", NO_STATE)
        return state_bands(lags, [one for one in reached if one is not None])

    def _lengths(self, model: nn.Module, batch: Any) -> Tensor:
        """The positions (B,) of each item: those of its input, of a sound the frames of its front end."""
        if self.task.inputs.kind != "audio":
            return _mask(batch).sum(1)
        with torch.no_grad():
            return torch.as_tensor(_front_end(model)(batch.source, _mask(batch))[1]).sum(1)


def _mask(batch: Any) -> Tensor:
    shape = batch.source.shape[:2]
    return torch.ones(shape, dtype=torch.bool) if batch.source_mask is None else batch.source_mask


def _front_end(model: nn.Module) -> FrontEnd:
    front_end = next((module for module in model.modules() if isinstance(module, FrontEnd)), None)
    if front_end is None:
        raise InputError("the model has no front end of `sightline.parts.front_ends`, whose vectors are the input")
    return front_end


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


@torch.no_grad()
def _cut_frames_loss(model: nn.Module, batch: Any, k: int) -> np.ndarray:
    """The loss (B,) of each item where the layers read its last k frames alone."""
    with last_positions(_front_end(model), k):
        return _item_losses(model(batch.source, _mask(batch)), batch.labels).double().cpu().numpy()


def _item_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) cross entropy; of any number of labels the mean over classes."""
    if labels.dtype == torch.bool:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none").mean(1)
    return F.cross_entropy(logits, labels, reduction="none")


def _class_reach(model: nn.Module, batch: Any, lags: Sequence[int]) -> np.ndarray:
    """‖∂ logits/∂x_{end-k}‖_F (B, K) at k = 0 and every lag; NaN before the beginning of an item."""
    wide, mask = copy.deepcopy(model).double(), _mask(batch)
    front_end = _front_end(wide)
    source = batch.source.double() if batch.source.is_floating_point() else batch.source
    with torch.enable_grad(), embedded_inputs(wide) as embedded:
        logits = wide(source, mask)
        squares = torch.zeros(embedded[0].shape[:2], dtype=torch.float64)
        for column in logits.unbind(1):
            (grad,) = torch.autograd.grad(column.sum(), embedded[0], retain_graph=True)
            squares += grad.square().sum(2).cpu()
    with torch.no_grad():
        mask = torch.as_tensor(front_end(source, mask)[1]).cpu()  # of patches, where steps are joined
    ends = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)  # the last real position of each row
    place = ends.unsqueeze(1) - torch.tensor([0, *lags])
    norms = squares.sqrt().gather(1, place.clamp(min=0))
    return torch.where(place >= 0, norms, torch.nan).numpy()
