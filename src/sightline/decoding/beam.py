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
from sightline.core.state import select
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
    of those that have finished or are still to come, which changes no result: code compiled for this number of rows can
    take all steps. The other arguments are as in `greedy`.

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
    count = width * len(active) if filled else len(active)  # rows of the state
    if active:
        state = reorder(state, _filled(torch.tensor(active, device=device), count), batch)
    # Of each open hypothesis (N,) its row's index in `active`, and its slot there; None = every slot, in order.
    first = torch.arange(len(active), device=device)
    slots: tuple[Tensor, Tensor] | None = (first, torch.zeros_like(first))
    scores = torch.zeros(len(active), dtype=precise(device), device=device)  # (N,)
    tokens = torch.full((len(active),), bos, dtype=torch.long, device=device)  # (N,)
    trail = _Trail([[i] + [0] * (width - 1) for i in range(len(active))])
    while active:
        interruption_point()
        logits, state = step(_filled(tokens, count), state)
        logits, chances = permit(logits[: len(tokens)] if count > len(tokens) else logits, banned)
        best, slot, token = _expand(logits, chances, scores, slots, len(active), width)  # (R, K) each
        trail.extend(slot.tolist(), token.tolist())
        kept = _advance(rows, active, best.tolist(), trail, eos)
        if not kept:
            break
        remaining = [i for i in active if not rows[i].ended]
        if len(kept) == best.numel():
            slots, scores, tokens = None, best.flatten(), token.flatten()
        else:
            r, k = torch.tensor(kept, device=device).unbind(1)  # (N,) row and rank of the hypotheses that continue
            place = {row: i for i, row in enumerate(remaining)}
            slots = torch.tensor([place[active[i]] for i, _ in kept], device=device), k
            scores, tokens = best[r, k], token[r, k]
        parents = trail.keep(kept, width)
        parents = parents + parents[:1] * (width * len(remaining) - len(parents) if filled else 0)
        if parents != list(range(count)):
            state, count = select(state, torch.tensor(parents, device=device)), len(parents)
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


@final
class _Trail:
    """The tokens of all hypotheses: what each step added to which of those before it.

    Lists take less time than a tensor of all tokens, of which every step selects rows.

    parents, tokens: of the continuations in the step that is being made, by row and rank
    """

    def __init__(self, numbers: list[list[int]]) -> None:
        self._numbers = numbers  # of the open hypotheses, by row and slot
        self._steps: list[tuple[list[int], list[int]]] = []  # parents and tokens of those kept after each step
        self.parents: list[list[int]] = []
        self.tokens: list[list[int]] = []

    def extend(self, slots: list[list[int]], tokens: list[list[int]]) -> None:
        """The next step: of each row the slots of the hypotheses that are continued, and their new tokens, by rank."""
        self.parents = [[of[slot] for slot in row] for of, row in zip(self._numbers, slots, strict=True)]
        self.tokens = tokens

    @property
    def length(self) -> int:
        """The tokens of a hypothesis, with those of the step that is being made."""
        return len(self._steps) + 1

    def before(self, row: int, rank: int) -> list[int]:
        """The tokens of a continuation but for the newest."""
        number, backwards = self.parents[row][rank], []
        for parents, tokens in reversed(self._steps):
            backwards.append(tokens[number])
            number = parents[number]
        return backwards[::-1]

    def keep(self, kept: list[tuple[int, int]], width: int) -> list[int]:
        """End the step with these continuations, by row and rank; returns the numbers of their parents."""
        parents = [self.parents[row][rank] for row, rank in kept]
        self._steps.append((parents, [self.tokens[row][rank] for row, rank in kept]))
        numbers: dict[int, list[int]] = {}
        for number, (row, rank) in enumerate(kept):
            numbers.setdefault(row, [0] * width)[rank] = number
        self._numbers = list(numbers.values())
        return parents


def _filled(values: Tensor, size: int) -> Tensor:
    """`values` (N,) and copies of the first one, (size,)."""
    missing = size - values.shape[0]
    return torch.cat([values, values[:1].expand(missing)]) if missing > 0 else values


def _expand(
    logits: Tensor, chances: Tensor, scores: Tensor, slots: tuple[Tensor, Tensor] | None, rows: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The `width` best continuations of every row: scores (-inf if there are fewer), slots of parents, tokens, (R, K).

    `slots` are the rows and slots of the N hypotheses, None = all slots of all rows in order.
    """
    count = min(width, logits.shape[1])
    permitted, tokens = top(logits, count)  # no row needs more than `width` continuations of one hypothesis
    chances = chances.gather(1, tokens).masked_fill_(permitted == -torch.inf, -torch.inf)
    scored = chances.add(scores.unsqueeze(1))
    if slots is not None:
        scored, tokens = _placed(scored, slots, rows, width, -torch.inf), _placed(tokens, slots, rows, width, 0)
    best, flat = top(scored.reshape(rows, -1), width)
    return best, flat // count, tokens.reshape(rows, -1).gather(1, flat)


def _placed(values: Tensor, slots: tuple[Tensor, Tensor], rows: int, width: int, empty: int | float) -> Tensor:
    """`values` (N, …) in their slots, (R, K, …), and `empty` in the others."""
    placed = values.new_full((rows, width, *values.shape[1:]), empty)
    placed[slots] = values
    return placed


def _advance(
    rows: list[_Row], active: list[int], best: list[list[float]], trail: _Trail, eos: int
) -> list[tuple[int, int]]:
    """Add finished continuations to the pools of their rows; return (row in `active`, rank) of those that continue."""
    length = trail.length
    kept = []
    for i, (scores, tokens) in enumerate(zip(best, trail.tokens, strict=True)):
        row = rows[active[i]]
        opened = []
        for k in range(row.room):
            if scores[k] == -math.inf:
                break
            finished = tokens[k] == eos
            if finished or length == row.limit:
                output = trail.before(i, k) + ([] if finished else [tokens[k]])
                row.end(Hypothesis(tuple(output), scores[k], finished), length)
            else:
                opened.append((i, k))
        row.check(max((scores[k] for _, k in opened), default=None), length)
        if not row.ended:
            kept += opened
    return kept
