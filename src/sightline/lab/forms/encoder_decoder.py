"""Encoder-decoders under measurement: what the source, and the target so far, do to the tokens that are written."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.seeds import derive
from sightline.core.state import nbytes, replaced
from sightline.data.spaced import spaced
from sightline.lab.bands import median_band, ratio_band
from sightline.lab.forms.cut_inputs import last_positions, vectors_of
from sightline.lab.forms.form import Past, RunForm, Sampled
from sightline.lab.forms.layers import read_and_written
from sightline.lab.forms.states import NO_STATE, reading_reach
from sightline.lab.forms.written_losses import by_length, by_position, cut_target_sums, token_nats
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Band, DecodeState, LossAlong, Reach
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
from sightline.models.sequence_model import SequenceModel

ORDERED = ("tokens", "words", "series", "audio")  # inputs whose positions come one after another
NUMBERS = 1 << 23  # in the logits of all copies of a row
LEAST = 8  # copies: random signs
ALL = 1 << 62  # positions, without padding


class Item(NamedTuple):
    """One item, alone and whole: its source as the model reads it, and its target (1, T + 1) with both ends."""

    source: Any
    mask: Tensor | None
    target: Tensor


class ItemReach(NamedTuple):
    """Of one item the gradients by position, counted from the end, and the gains of states."""

    source: Tensor  # (M,)
    target: Tensor  # (T,)
    read: StateReach | None
    written: StateReach | None


@final
class EncoderDecoderForm(RunForm):
    """A model that writes a target for a source, under teacher forcing.

    Gradients are those of the longest of the sampled items, whose targets are cut to the length that all have.
    """

    def mechanisms(self) -> list[Mechanism]:
        return read_and_written(self.run, self._known(self.model))

    def reach(self, model: Any, sampled: Sampled, *, used: bool = True) -> list[Reach]:
        model = self._known(model)
        items = self._longest(sampled.labels, sampled.sequences)
        length = min(item.target.shape[1] for item in items) - 1
        ordered = self.task.source.accepts in ORDERED
        if not ordered:
            self.lacks("source by distance", "pictures, and several sources together, have no order of positions")
        wide = copy.deepcopy(model).double()
        generator = torch.Generator().manual_seed(derive(sampled.seed, "cotangents"))
        least = min(self._positions(wide, item) for item in items)
        lags = distances(least) if ordered else [], distances(length)
        rows = [_item_reach(wide, item, length, lags, generator) for item in items]
        band = self._cut_source(model, sampled) if used and ordered else None
        past = self._cut_target(model, sampled) if used else None
        common = {"name": self.name, "trained": True, "loss_unit": self.task.loss_unit if used else ""}
        writing = Reach(
            **common,
            input=_by_lag([0, *lags[1]], [row.target for row in rows]),
            over="target",
            used=past,
            matrices=recurrent_matrices(model.decoder),
            **self._state("decoder", lags[1], [row.written for row in rows]),
        )
        if not ordered:
            return [writing]
        whole = [0, *distances(max(len(row.source) for row in rows))]
        reading = Reach(
            **common,
            input=_by_lag(whole, [row.source for row in rows]),
            over="source",
            used=band,
            matrices=recurrent_matrices(model.encoder),
            **self._state("encoder", lags[0], [row.read for row in rows]),
        )
        return [reading, writing]

    def past(self, most: int) -> Past:
        model, items = self._known(self.model), self.task.spaced(self.part, most)
        nats, real, sources = token_nats(model, self._batches(items))
        counts = len(nats)
        losses = [
            LossAlong(self.name, "target position", self.task.loss_unit, counts, by_position(nats, real)),
            LossAlong(self.name, "source length", self.task.loss_unit, counts, by_length(nats, real, sources)),
        ]
        if len(losses[1].loss.at) < 2:
            self.lacks("loss by source length", f"all sources have {int(sources.max())} positions")
            losses.pop()
        order = np.lexsort((real.sum(1), sources))
        shown = [self._state_after(model, self._item(items, int(order[at]))) for at in (0, counts // 2, counts - 1)]
        return Past(losses, list(dict.fromkeys(shown)))

    def _known(self, model: Any) -> SequenceModel:
        if not isinstance(model, SequenceModel):
            raise InputError("a custom model, whose layers are not known", where=self.name)
        return model

    def _batches(self, items: Any) -> list[Any]:
        return [batch.to(self.task.device) for batch in self.task.in_order(items)]

    def _item(self, items: Any, row: int) -> Item:
        (batch,) = self._batches(items.select([row]))
        return Item(batch.source, batch.source_mask, batch.target)

    def _longest(self, labels: int, sequences: int) -> list[Item]:
        items = self._sample(labels)
        lengths = np.zeros(len(items))
        for batch in self._batches(items):
            read = 0 if batch.source_mask is None else batch.source_mask.sum(1)
            lengths[list(batch.rows)] = (batch.target_mask.sum(1) + read).cpu().numpy()
        order = np.argsort(-lengths, kind="stable")[:sequences]
        return [self._item(items, int(row)) for row in order]

    def _sample(self, labels: int) -> Any:
        return self.task.spaced(self.part, max(labels // 4, 8))

    @torch.no_grad()
    def _positions(self, model: SequenceModel, item: Item) -> int:
        with last_positions(_front_end(model), ALL):
            return model.encode(_wide(item.source), item.mask).values.shape[1]

    def _cut_source(self, model: SequenceModel, sampled: Sampled) -> Band:
        """The loss of all tokens where the last k positions of the source are read."""
        batches, front_end = self._batches(self._sample(sampled.labels)), _front_end(model)
        _, _, sources = token_nats(model, batches)
        reads = [*distances(int(sources.max())), int(sources.max())]
        sums = []
        for k in reads:
            with last_positions(front_end, k):
                nats, real, _ = token_nats(model, batches)
            sums.append(nats.sum(1))
        return ratio_band(reads, np.stack(sums, 1), np.stack([real.sum(1)] * len(reads), 1))

    def _cut_target(self, model: SequenceModel, sampled: Sampled) -> Band:
        """The loss of some tokens of each item where the last k tokens before each are read, the start token too."""
        items = self._sample(sampled.labels)
        batches = self._batches(items)
        longest = max(batch.target.shape[1] - 1 for batch in batches)
        reads = [*distances(longest), longest]
        each = math.ceil(sampled.labels / len(items))
        chosen = [_some(batch.target_mask[:, 1:], each) for batch in batches]
        return ratio_band(reads, *cut_target_sums(model, batches, chosen, reads))

    def _state(self, side: str, lags: list[int], reached: list[StateReach | None]) -> dict[str, Any]:
        known = [one for one in reached if one is not None]
        if not known:
            self.lacks(f"gain from state to state in the {side}", NO_STATE if lags else "items of one position")
        return state_bands(lags, known)

    @torch.no_grad()
    def _state_after(self, model: SequenceModel, item: Item) -> DecodeState:
        """The state as decoding has it: one item without padding has no mask."""
        with last_positions(_front_end(model), ALL):
            memory = model.encode(item.source, item.mask)
        if memory.mask is not None and bool(memory.mask.all()):
            memory = replaced(memory, mask=None)
        _, state = model.decode(item.target[:, :-1], model.initial_state(memory))
        return DecodeState(self.name, memory.values.shape[1], item.target.shape[1] - 1, nbytes(state))


def _front_end(model: SequenceModel) -> FrontEnd:
    return next(module for module in model.encoder.modules() if isinstance(module, FrontEnd))


def _wide(source: Any) -> Any:
    if isinstance(source, Tensor):
        return source.double() if source.is_floating_point() else source
    return tuple(one._replace(values=_wide(one.values)) for one in source)


def _some(real: Tensor, most: int) -> Tensor:
    """At most `most` real places (B, T) of each row, from everywhere in it, the last one among them."""
    chosen = torch.zeros_like(real)
    for row, count in enumerate(real.sum(1).tolist()):
        if count:
            chosen[row, [*spaced(count - 1, most - 1), count - 1]] = True
    return chosen


def _item_reach(
    model: SequenceModel, item: Item, length: int, lags: tuple[list[int], list[int]], generator: torch.Generator
) -> ItemReach:
    """Of a model in float64; `length` tokens of the target are read, and as many written."""
    source, target = _wide(item.source), item.target[:, :length]
    with torch.no_grad():
        count = length * model(source, item.mask, target[:, :1]).shape[2]
    copies = count if count <= EXACT else min(PROBES, max(LEAST, NUMBERS // count))
    with last_positions(_front_end(model), ALL):
        with torch.enable_grad():
            with vectors_of(_front_end(model), copies) as read:
                memory = model.encode(source, item.mask)
            with vectors_of(model.decoder.embedding, copies) as written:
                logits, _ = model.decode(target, model.initial_state(memory))
        on_target = _norms(logits[:, -1], written[0], generator, retain_graph=True)
        on_source = _norms(logits.flatten(1), read[0], generator) / math.sqrt(length)
        read_lags, written_lags = lags
        reading = writing = None
        if read_lags:
            reading = reading_reach(model.encoder, lambda: model.encode(source, item.mask), read_lags, generator)
        if written_lags:
            with torch.no_grad():
                embedded, memory = model.decoder.embedding(target), model.encode(source, item.mask)
            writing = state_reach(model.decoder.mixer, embedded, written_lags, memory, generator=generator)
    return ItemReach(on_source.flip(0), on_target.flip(0), reading, writing)


def _norms(outputs: Tensor, inputs: Tensor, generator: torch.Generator, *, retain_graph: bool = False) -> Tensor:
    """‖∂y/∂x_s‖_F (S,) from outputs (R, C) of R copies of a row and inputs (R, S, D); complete where C <= R."""
    copies, count = outputs.shape
    vectors = cotangents(min(copies, count), count, outputs, generator, complete=count <= copies)
    return input_reach(outputs[: len(vectors)], inputs, vectors, retain_graph=retain_graph)


def _by_lag(lags: list[int], rows: list[Tensor]) -> Band:
    """Medians at every lag over rows (T,) that begin at lag 0 and may be shorter."""
    values = np.full((len(rows), len(lags)), np.nan)
    for place, row in enumerate(rows):
        kept = [k for k in lags if k < len(row)]
        values[place, : len(kept)] = row[kept].cpu().numpy()
    return median_band(lags, values)
