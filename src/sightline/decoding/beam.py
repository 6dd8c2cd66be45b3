"""Beam search with a length penalty and exact early stopping."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.doubles import precise
from sightline.core.interruption import interruption_point
from sightline.decoding.hypothesis import (
    NONE_POSSIBLE,
    Hypothesis,
    Step,
    permit,
    reorder,
    row_limits,
    state_device,
)
from sightline.decoding.top import top

LENGTH_PENALTY = 0.6  # alpha of Vaswani et al. 2017, section 6.1
MOST_PENALTY = 100.0  # of alpha, and of -alpha


def length_penalty(length: int, alpha: float) -> float:
    """((5 + n) / 6)^alpha for n generated tokens (Wu et al. 2016, arXiv:1609.08144, equation 14).

    Positive, and infinite where it exceeds the numbers of a float.
    """
    try:
        return max(((5 + length) / 6) ** alpha, sys.float_info.min)
    except OverflowError:
        return math.inf


@torch.inference_mode()
def beam(
    step: Step,
    state: Any,
    *,
    batch: int,
    bos: int,
    eos: int,
    max_length: int | Sequence[int],
    width: int = 4,
    alpha: float = LENGTH_PENALTY,
    n_best: int = 1,
    banned: Sequence[int] = (),
    filled: bool = False,
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of each row with the highest score / length_penalty(n, alpha), best first.

    n counts every generated token, including `eos` but not `bos`. A row has `width` slots, and a finished hypothesis
    keeps its slot, so that `width=1` is greedy decoding at any alpha and `width >= V**(max_length - 1)` is exhaustive
    search. A row stops when finished hypotheses fill its slots, or when no continuation of an open hypothesis could
    overtake its `n_best`-th finished one; this changes no result. Hypotheses truncated at `max_length` compete like the
    others, with `finished=False`. `filled` gives every step `width` hypotheses of each open row, with copies in place
    of those that have finished, which changes no result: code compiled for this number of rows can take all steps. The
    other arguments are as in `greedy`.

    Raises:
        ValueError: "beam width must be at least 1, got 0"; "length penalty alpha must be between -100 and 100, got
            1000"; n_best out of range; logits that are not finite; "every token that is not banned has the logit
            -infinity: nothing can follow".
    """
    if width < 1:
        raise ValueError(f"beam width must be at least 1, got {width}")
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be between 1 and the beam width {width}, got {n_best}")
    if not abs(alpha) <= MOST_PENALTY:
        raise ValueError(f"length penalty alpha must be between {-MOST_PENALTY:g} and {MOST_PENALTY:g}, got {alpha:g}")
    device = state_device(state)
    limits = row_limits(max_length, batch)
    rows = [_Row(limit, width, alpha, n_best) for limit in limits]
    active = [i for i, row in enumerate(rows) if not row.ended]
    origin = torch.tensor(active, dtype=torch.long, device=device)
    if active:
        state = reorder(state, origin, batch)
    # Of each open hypothesis (N,) its row's index in `active`, and its slot there; None = every slot, in order.
    first = torch.arange(len(active), device=device)
    slots: tuple[Tensor, Tensor] | None = (first, torch.zeros_like(first))
    scores = torch.zeros(len(active), dtype=precise(device), device=device)  # (N,)
    history = torch.full((len(active), 1), bos, dtype=torch.long, device=device)  # (N, 1 + t)
    count = len(active)  # rows of the state
    while active:
        interruption_point()
        logits, state = step(_filled(history[:, -1], count), state)
        logits, chances = permit(logits[: len(history)], banned)
        best, parent, token = _expand(logits, chances, scores, slots, len(active), width)  # (R, K) each
        chosen = _advance(rows, active, best, parent, token, history, eos)
        remaining = [i for i, row in enumerate(rows) if not row.ended]
        kept = [pick for pick in chosen if not rows[active[pick[0]]].ended]
        if not kept:
            break
        if len(kept) == best.numel():
            slots, scores, index, new = None, best.flatten(), parent.flatten(), token.flatten()
        else:
            r, k = torch.tensor(kept, device=device).unbind(1)  # (N,) row and rank of the hypotheses that continue
            place = {row: i for i, row in enumerate(remaining)}
            slots = torch.tensor([place[active[i]] for i, _ in kept], device=device), k
            scores, index, new = best[r, k], parent[r, k], token[r, k]
        taken = _filled(index, width * len(remaining) if filled else len(index))
        state, count = reorder(state, taken, count), len(taken)
        history = torch.cat([history.index_select(0, index), new.unsqueeze(1)], 1)
        active = remaining
    return [row.results() for row in rows]


@final
class _Row:
    """The finished hypotheses of one row, and when it may stop."""

    def __init__(self, limit: int, width: int, alpha: float, n_best: int) -> None:
        self.limit, self.width, self.alpha, self.n_best = limit, width, alpha, n_best
        self.pool: list[tuple[float, Hypothesis]] = []  # with their penalised scores
        self.ended = limit == 0
        if self.ended:
            self.pool.append((0.0, Hypothesis((), 0.0, False)))

    @property
    def room(self) -> int:
        return self.width - len(self.pool)

    def end(self, hypothesis: Hypothesis, length: int) -> None:
        self.pool.append((hypothesis.score / length_penalty(length, self.alpha), hypothesis))

    def check(self, best_open: float | None, length: int) -> None:
        """End the row if no open hypothesis, the best with score `best_open` after `length` tokens, can overtake."""
        if best_open is None:
            self.ended = True
        elif len(self.pool) >= self.n_best:
            # A score can only fall, so the bound divides it by the largest penalty still to come: the last one if
            # alpha is positive, the next one if it is negative.
            largest = max(length_penalty(length + 1, self.alpha), length_penalty(self.limit, self.alpha))
            nth = sorted((value for value, _ in self.pool), reverse=True)[self.n_best - 1]
            self.ended = best_open / largest <= nth

    def results(self) -> list[Hypothesis]:
        if not self.pool:
            raise ValueError(NONE_POSSIBLE)
        return [hypothesis for _, hypothesis in sorted(self.pool, key=lambda pair: -pair[0])[: self.n_best]]


def _filled(values: Tensor, size: int) -> Tensor:
    """`values` (N,) and copies of the first one, (size,)."""
    return torch.cat([values, values[:1].expand(size - len(values))]) if size > len(values) else values


def _expand(
    logits: Tensor, chances: Tensor, scores: Tensor, slots: tuple[Tensor, Tensor] | None, rows: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The `width` best continuations of every row: scores (-inf if there are fewer), parents and tokens, (R, K).

    `slots` are the rows and slots of the N hypotheses, None = all slots of all rows in order.
    """
    count = min(width, logits.shape[1])
    permitted, tokens = top(logits, count)  # no row needs more than `width` continuations of one hypothesis
    chances = chances.gather(1, tokens).masked_fill(permitted == -torch.inf, -torch.inf)
    scored, numbers = scores.unsqueeze(1) + chances, torch.arange(len(scores), device=scores.device)
    if slots is None:
        best, flat = top(scored.reshape(rows, -1), width)
        parents, candidates = numbers.view(rows, width), tokens.reshape(rows, -1)
    else:
        best, flat = top(_placed(scored, slots, rows, width, -torch.inf).flatten(1), width)
        parents = _placed(numbers, slots, rows, width, 0)
        candidates = _placed(tokens, slots, rows, width, 0).flatten(1)
    return best, parents.gather(1, flat // count), candidates.gather(1, flat)


def _placed(values: Tensor, slots: tuple[Tensor, Tensor], rows: int, width: int, empty: int | float) -> Tensor:
    """`values` (N, …) in their slots, (R, K, …), and `empty` in the others."""
    placed = values.new_full((rows, width, *values.shape[1:]), empty)
    placed[slots] = values
    return placed


def _advance(
    rows: list[_Row], active: list[int], best: Tensor, parent: Tensor, token: Tensor, history: Tensor, eos: int
) -> list[tuple[int, int]]:
    """Add finished continuations to the pools of their rows; return (row in `active`, rank) of the others."""
    length = history.shape[1]  # generated tokens: the history contains bos and all but the newest
    chosen = []
    for i, (scores, parents, tokens) in enumerate(zip(best.tolist(), parent.tolist(), token.tolist(), strict=True)):
        row = rows[active[i]]
        open_scores = []
        for k in range(row.room):
            if scores[k] == -torch.inf:
                break
            finished = tokens[k] == eos
            if finished or length == row.limit:
                output = history[parents[k], 1:].tolist() + ([] if finished else [tokens[k]])
                row.end(Hypothesis(tuple(output), scores[k], finished), length)
            else:
                chosen.append((i, k))
                open_scores.append(scores[k])
        row.check(max(open_scores, default=None), length)
    return chosen
