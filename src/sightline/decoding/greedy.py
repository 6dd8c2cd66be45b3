"""Greedy decoding, and the loop it shares with sampling: one token per row and step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from sightline.core.interruption import interruption_point
from sightline.decoding.hypothesis import Hypothesis, Step, permit, precise, reorder, row_limits, state_device
from sightline.decoding.top import argmax

# Chooses the next tokens (N,) from the permitted logits (N, V), their rows (N,), the step number t, and the tokens that
# all rows have generated (B, T), of which the first t are written.
Choose: TypeAlias = Callable[[Tensor, Tensor, int, Tensor], Tensor]

# Takes the newest tokens of the active rows as (row, token), without end tokens; returns the rows that end here.
Watch: TypeAlias = Callable[[list[tuple[int, int]]], Collection[int]]

# Finished rows leave the batch once they are this fraction of it: each removal copies the state of the others.
FINISHED_SHARE = 0.25


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
) -> list[Hypothesis]:
    """Choose the most likely token at every step, for `batch` rows at once.

    `step(tokens (B,), state) -> (logits (B, V), state)`; the first input token is `bos`. A row ends with `eos` or after
    `max_length` generated tokens (one number, or one per row), including `eos`. `banned` tokens are never chosen. Ties
    go to the lowest token. `watch` sees every token when it is generated and may end rows.

    Raises:
        ValueError: "the model's logits are NaN or infinite: its weights or its input are not finite".
    """

    def most_likely(logits: Tensor, rows: Tensor, t: int, generated: Tensor) -> Tensor:
        return argmax(logits)

    return unroll(
        step, state, most_likely, batch=batch, bos=bos, eos=eos, max_length=max_length, banned=banned, watch=watch
    )


@torch.inference_mode()
def unroll(
    step: Step,
    state: Any,
    choose: Choose,
    *,
    batch: int,
    bos: int,
    eos: int,
    max_length: int | Sequence[int],
    banned: Sequence[int] = (),
    watch: Watch | None = None,
) -> list[Hypothesis]:
    """Feed each row the tokens that `choose` selects until it ends; arguments as in `greedy`."""
    device = state_device(state)
    limits = torch.tensor(row_limits(max_length, batch), dtype=torch.long, device=device)  # (B,)
    longest = int(limits.max()) if batch else 0
    generated = torch.full((batch, longest), eos, dtype=torch.long, device=device)  # (B, T)
    scores = torch.zeros(batch, dtype=precise(device), device=device)
    lengths = torch.zeros(batch, dtype=torch.long, device=device)  # generated tokens, including eos

    rows = torch.arange(batch, device=device)  # original indices of the N rows still in the batch
    live = limits > 0  # (N,)
    tokens = torch.full((batch,), bos, dtype=torch.long, device=device)
    for t in range(longest):
        interruption_point()
        ended = int((~live).sum())
        if ended == len(rows):
            break
        if ended >= FINISHED_SHARE * len(rows):
            kept = live.nonzero().squeeze(1)
            state = reorder(state, kept, len(rows))
            rows, tokens, live = rows[kept], tokens[kept], live[kept]
        logits, state = step(tokens, state)
        logits, chances = permit(logits, banned)
        tokens = choose(logits, rows, t, generated)
        chosen = chances.gather(1, tokens.unsqueeze(1)).squeeze(1).to(scores.dtype)
        generated[rows, t] = torch.where(live, tokens, eos)
        scores[rows] += torch.where(live, chosen, 0.0)
        lengths[rows] += live.long()
        new = live & (tokens != eos)
        live = new & (t + 1 < limits[rows])
        if watch is not None:
            ended = watch(list(zip(rows[new].tolist(), tokens[new].tolist(), strict=True)))
            if ended:
                live = live & ~torch.isin(rows, torch.tensor(sorted(ended), device=device))
    return _hypotheses(generated, lengths, scores, eos)


def _hypotheses(generated: Tensor, lengths: Tensor, scores: Tensor, eos: int) -> list[Hypothesis]:
    hypotheses = []
    for tokens, length, score in zip(generated.tolist(), lengths.tolist(), scores.tolist(), strict=True):
        finished = length > 0 and tokens[length - 1] == eos
        hypotheses.append(Hypothesis(tuple(tokens[: length - finished]), score, finished))
    return hypotheses
