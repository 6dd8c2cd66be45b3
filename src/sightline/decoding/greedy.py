"""Greedy decoding, and the loop that it shares with sampling: one token per row and step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from sightline.decoding.hypothesis import Hypothesis, Step, permit, precise, reorder, row_limits, state_device

# Choose the next token (N,) from permitted logits (N, V), the rows (N,) they are of, the number t of the step, and
# what all rows have generated, (B, T) of which the first t are written.
Choose: TypeAlias = Callable[[Tensor, Tensor, int, Tensor], Tensor]

# What the rows that go on have just said, (row, token) each, end tokens apart; gives those that are to end here.
Watch: TypeAlias = Callable[[list[tuple[int, int]]], Collection[int]]

# Finished rows leave the batch once they are this share of it: each leaving copies the state of those that stay.
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
    """The likeliest token at every step, for `batch` rows at once.

    `step(tokens (B,), state) -> (logits (B, V), state)`; the first token fed is `bos`. A row ends with `eos` or after
    `max_length` generated tokens (one number, or one for each row), `eos` counted. `banned` tokens are never chosen.
    Ties go to the lowest token. `watch` sees every token as it comes and may end rows. Raises `ValueError` on logits
    that are not finite.
    """

    def likeliest(logits: Tensor, rows: Tensor, t: int, generated: Tensor) -> Tensor:
        return logits.argmax(1)

    return unroll(
        step, state, likeliest, batch=batch, bos=bos, eos=eos, max_length=max_length, banned=banned, watch=watch
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
    """Feeds each row what `choose` picked for it until it ends; arguments as in `greedy`."""
    device = state_device(state)
    limits = torch.tensor(row_limits(max_length, batch), dtype=torch.long, device=device)  # (B,)
    longest = int(limits.max()) if batch else 0
    generated = torch.full((batch, longest), eos, dtype=torch.long, device=device)  # (B, T)
    scores = torch.zeros(batch, dtype=precise(device), device=device)
    lengths = torch.zeros(batch, dtype=torch.long, device=device)  # generated tokens, eos included

    rows = torch.arange(batch, device=device)  # original rows of the N that are still in the batch
    live = limits > 0  # (N,)
    tokens = torch.full((batch,), bos, dtype=torch.long, device=device)
    for t in range(longest):
        ended = int((~live).sum())
        if ended == len(rows):
            break
        if ended >= FINISHED_SHARE * len(rows):
            kept = live.nonzero().squeeze(1)
            state = reorder(state, kept, len(rows))
            rows, tokens, live = rows[kept], tokens[kept], live[kept]
        logits, state = step(tokens, state)
        logits, normaliser = permit(logits, banned)
        tokens = choose(logits, rows, t, generated)
        chosen = logits.gather(1, tokens.unsqueeze(1)).squeeze(1).to(scores.dtype) - normaliser.to(scores.dtype)
        generated[rows, t] = torch.where(live, tokens, eos)
        scores[rows] += torch.where(live, chosen, 0.0)
        lengths[rows] += live.long()
        said = live & (tokens != eos)
        live = said & (t + 1 < limits[rows])
        if watch is not None:
            ended = watch(list(zip(rows[said].tolist(), tokens[said].tolist(), strict=True)))
            if ended:
                live = live & ~torch.isin(rows, torch.tensor(sorted(ended), device=device))
    return _hypotheses(generated, lengths, scores, eos)


def _hypotheses(generated: Tensor, lengths: Tensor, scores: Tensor, eos: int) -> list[Hypothesis]:
    found = []
    for tokens, length, score in zip(generated.tolist(), lengths.tolist(), scores.tolist(), strict=True):
        finished = length > 0 and tokens[length - 1] == eos
        found.append(Hypothesis(tuple(tokens[: length - finished]), score, finished))
    return found
