"""Greedy decoding, and the loop it shares with sampling: one token per row and step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sightline.core.interruption import interruption_point
from sightline.core.state import join
from sightline.decoding.choose import MostLikely
from sightline.decoding.hypothesis import Hypothesis, Step, reorder, state_device
from sightline.decoding.outputs import BatchOutputs, Watch

# Finished rows leave the batch once they are this fraction of it: each removal copies the state of the others.
FINISHED_SHARE = 0.25


class Refill(NamedTuple):
    """Rows that enter the batch when others have ended.

    first: number of rows that the batch begins with; the others enter in their order
    begin: the state before the first token of some rows
    room: how many rows may enter, given those that stay and the first that waits
    """

    first: int
    begin: Callable[[list[int]], Any]
    room: Callable[[list[int], int], int]


def greedy(
    step: Step,
    state: Any,
    *,
    batch: int,
    bos: int,
    eos: int,
    max_length: int | Sequence[int],
    banned: Sequence[int] = (),
    watch: Watch | None = None,
    refill: Refill | None = None,
) -> list[Hypothesis]:
    """Choose the most likely token at every step, for `batch` rows at once.

    `step(tokens (B,), state) -> (logits (B, V), state)`; the first input token is `bos`. A row ends with `eos` or after
    `max_length` generated tokens (one number, or one per row), including `eos`. `banned` tokens are never chosen. Ties
    go to the lowest token. `watch` sees every token when it is generated and may end rows. With `refill` the state is
    that of its `first` rows, and the others enter when rows have ended.

    Raises:
        ValueError: "the model's logits are NaN or infinite: its weights or its input are not finite".
    """
    outputs = BatchOutputs(MostLikely(), batch, max_length, eos, banned, watch, state_device(state))
    return unroll(step, state, outputs, bos=bos, refill=refill)


class _Batch(NamedTuple):
    """The rows that are decoded together, the token that each reads next, and their state."""

    rows: Tensor  # (N,)
    tokens: Tensor  # (N,)
    live: Tensor  # (N,) False: ended
    steps: Tensor  # (N,) since the row entered
    state: Any


@torch.inference_mode()
def unroll(
    step: Step, state: Any, outputs: BatchOutputs, *, bos: int, refill: Refill | None = None
) -> list[Hypothesis]:
    """Feed each row the tokens that `outputs` chooses until it ends; arguments as in `greedy`."""
    count = len(outputs.limits)
    entered = count if refill is None else refill.first
    batch = _entering(range(entered), state, outputs, bos)
    while True:
        interruption_point()
        if _should_leave(batch, outputs, together=refill is None):
            batch = _without_ended(batch)
            if refill is not None and entered < count and (room := refill.room(batch.rows.tolist(), entered)):
                rows = range(entered, min(entered + room, count))
                entered = rows.stop
                # Their first step is their own, since a state after a prompt differs from one that has read tokens.
                new = _entering(rows, refill.begin(list(rows)), outputs, bos)
                batch = _joined(batch, _advanced(new, step, outputs))
                continue
            if not len(batch.rows):
                return outputs.hypotheses()
        batch = _advanced(batch, step, outputs)


def _should_leave(batch: _Batch, outputs: BatchOutputs, *, together: bool) -> bool:
    """Whether it is time that ended rows leave; none may read more tokens than its limit, as its model may have one.

    Rows that entered `together` reach no limit before the last of them.
    """
    ended = int((~batch.live).sum())
    if ended >= FINISHED_SHARE * len(batch.rows):
        return True
    return not together and ended > 0 and bool((batch.steps >= outputs.limits[batch.rows]).any())


def _entering(rows: range, state: Any, outputs: BatchOutputs, bos: int) -> _Batch:
    places = torch.arange(rows.start, rows.stop, device=outputs.limits.device)
    return _Batch(places, torch.full_like(places, bos), outputs.limits[places] > 0, torch.zeros_like(places), state)


def _advanced(batch: _Batch, step: Step, outputs: BatchOutputs) -> _Batch:
    """The batch one token later."""
    logits, state = step(batch.tokens, batch.state)
    tokens, live = outputs.extend(logits, batch.rows, batch.live)
    return _Batch(batch.rows, tokens, live, batch.steps + 1, state)


def _joined(batch: _Batch, new: _Batch) -> _Batch:
    if not len(batch.rows):
        return new
    parts = (torch.cat(pair) for pair in zip(batch[:-1], new[:-1], strict=True))
    return _Batch._make([*parts, join([batch.state, new.state])])


def _without_ended(batch: _Batch) -> _Batch:
    kept = batch.live.nonzero().squeeze(1)
    state = reorder(batch.state, kept, len(batch.rows))
    return _Batch._make([*(part[kept] for part in batch[:-1]), state])
