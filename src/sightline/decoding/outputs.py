"""The outputs of a decoding call as they grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias, final

import torch
from torch import Tensor

from sightline.core.doubles import precise
from sightline.decoding.choose import Chooser, Proposed
from sightline.decoding.hypothesis import NONE_POSSIBLE, Hypothesis, permit, permitted, row_limits

# Takes the newest tokens of the active rows as (row, token), without end tokens; returns the rows that end here, None =
# none.
Watch: TypeAlias = Callable[[list[tuple[int, int]]], Collection[int] | None]

# Logits of proposals that are checked at a time: small operations are called once for several proposals, while few
# choices are computed in vain, after the first that is not as proposed.
CHECKED_AT_ONCE = 2**16


class _Taken(NamedTuple):
    """What rows take of the tokens that they would choose after proposals."""

    numbers: list[int]  # of tokens of each row
    continues: list[bool]  # of each row
    columns: int  # of tokens: what the rows that continue have taken
    as_proposed: bool  # whether rows continue, and have chosen what is proposed in all columns


@final
class BatchOutputs:
    """The tokens of `batch` rows, their scores, and which rows have not ended."""

    def __init__(
        self,
        chooser: Chooser,
        batch: int,
        max_length: int | Sequence[int],
        eos: int,
        banned: Sequence[int],
        watch: Watch | None,
        device: torch.device,
    ) -> None:
        self._chooser, self._eos, self._banned, self._watch = chooser, eos, banned, watch
        self.limits = torch.tensor(row_limits(max_length, batch), dtype=torch.long, device=device)  # (B,)
        longest = int(self.limits.max()) if batch else 0
        # Of each row the first `counts`; a row that has ended writes eos after them, in one more column if need be.
        self.tokens = torch.full((batch, longest + 1), eos, dtype=torch.long, device=device)  # (B, T)
        self.counts = torch.zeros(batch, dtype=torch.long, device=device)  # tokens of each row, including eos
        self._scores = torch.zeros(batch, dtype=precise(device), device=device)

    def check(self, logits: Tensor, rows: Tensor, live: Tensor, proposals: Sequence[Proposed]) -> tuple[Tensor, Tensor]:
        """Choose the next tokens of `rows` (N,) up to the first that is not the proposed one of a row that continues.

        Logits (N, P + 1, V) are those after 0 to P of the proposals. Returns the tokens (N, m), the first m - 1 of
        which are as proposed, and which rows continue (N,).
        """
        drawn = any(one.chances is not None for one in proposals)
        width = 1 if drawn else max(1, CHECKED_AT_ONCE // (logits.shape[0] * logits.shape[2]))
        columns: list[Tensor] = []
        for first in range(0, logits.shape[1], width):
            some, ahead = logits[:, first : first + width], proposals[first : first + width]
            if some.shape[1] == 1:
                tokens, live = self.extend(some.squeeze(1), rows, live, ahead[0] if ahead else None)
                columns.append(tokens.unsqueeze(1))
                if not ahead or not live.any() or (live & (tokens != ahead[0].tokens)).any():
                    break
                continue
            tokens, live, as_proposed = self._extend_by_several(some, rows, live, [one.tokens for one in ahead])
            columns.append(tokens)
            if not as_proposed:
                break
        return torch.cat(columns, 1), live

    def extend(
        self, logits: Tensor, rows: Tensor, live: Tensor, proposed: Proposed | None = None
    ) -> tuple[Tensor, Tensor]:
        """Choose the next token of `rows` (N,) from logits (N, V); returns the tokens, and which rows continue (N,).

        Rows that are not `live` (N,) stay as they are. `proposed` as in `Chooser.choose`.
        """
        counts = self.counts.index_select(0, rows)
        chosen, score = self._chosen(logits, rows, counts, self.tokens, proposed)
        self.tokens[rows, counts] = torch.where(live, chosen, self._eos)
        self._scores.index_add_(0, rows, torch.where(live, score, 0.0))
        self.counts.index_add_(0, rows, live.long())
        new = live & (chosen != self._eos)
        live = new & (self.counts < self.limits).index_select(0, rows)
        if self._watch is not None:
            ended = self._watch(list(zip(rows[new].tolist(), chosen[new].tolist(), strict=True)))
            if ended:
                live = live & ~torch.isin(rows, torch.tensor(sorted(ended), device=rows.device))
        return chosen, live

    def _extend_by_several(
        self, logits: Tensor, rows: Tensor, live: Tensor, proposals: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, bool]:
        """`check` of logits (N, K, V) with K or K - 1 `proposals` (N,); whether rows continue and all are as proposed.

        What each row would choose after the proposals is computed for all K at once.
        """
        count, width = logits.shape[:2]
        proposed, places = torch.stack(list(proposals), 1), torch.arange(width, device=rows.device)
        counts = self.counts.index_select(0, rows).unsqueeze(1)  # (N, 1)
        before = self.tokens.clone()
        before[rows.unsqueeze(1), counts + places[: len(proposals)]] = proposed
        chosen, scores = self._chosen(
            logits.flatten(0, 1), rows.repeat_interleave(width), (counts + places).flatten(), before, None
        )
        chosen, scores = chosen.unflatten(0, (count, width)), scores.unflatten(0, (count, width))
        taken = self._taken(chosen.tolist(), proposed.tolist(), rows, live)
        chosen, scores, places = chosen[:, : taken.columns], scores[:, : taken.columns], places[: taken.columns]
        number = torch.tensor(taken.numbers, device=rows.device)  # (N,)
        here = places < number.unsqueeze(1)
        self.tokens[rows.unsqueeze(1), counts + places.minimum(number.unsqueeze(1))] = chosen.where(here, self._eos)
        self._scores.index_add_(0, rows, scores.where(here, 0.0).sum(1))
        self.counts.index_add_(0, rows, number)
        return chosen, torch.tensor(taken.continues, device=rows.device), taken.as_proposed

    def _taken(self, chosen: list[list[int]], proposed: list[list[int]], rows: Tensor, live: Tensor) -> _Taken:
        """Those of the `chosen` tokens (N, K) that `rows` (N,) take, where K or K - 1 of each are `proposed`."""
        names, continues = rows.tolist(), live.tolist()
        room = (self.limits - self.counts).index_select(0, rows).tolist()
        taken = [0] * len(names)
        for column in range(len(chosen[0])):
            new: list[tuple[int, int]] = []
            for i in [i for i, still in enumerate(continues) if still]:
                taken[i] += 1
                continues[i] = chosen[i][column] != self._eos and taken[i] < room[i]
                if chosen[i][column] != self._eos:
                    new.append((names[i], chosen[i][column]))
            ended = () if self._watch is None else self._watch(new) or ()
            continues = [still and name not in ended for still, name in zip(continues, names, strict=True)]
            last = column == len(proposed[0]) or not any(continues)
            if last or any(c and a[column] != b[column] for c, a, b in zip(continues, chosen, proposed, strict=True)):
                return _Taken(taken, continues, column + 1, as_proposed=False)
        return _Taken(taken, continues, len(chosen[0]), as_proposed=True)

    def _chosen(
        self, logits: Tensor, rows: Tensor, counts: Tensor, tokens: Tensor, proposed: Proposed | None
    ) -> tuple[Tensor, Tensor]:
        """The next tokens (N,) after the first `counts` (N,) of `rows` (N,) of `tokens` (B, T), and their scores (N,).

        A score is the model's log-probability.
        """
        allowed, chances = permit(logits, self._banned)
        chosen = self._chooser.choose(allowed, rows, counts, tokens, proposed)
        return chosen, chances.gather(1, chosen.unsqueeze(1)).squeeze(1).to(self._scores.dtype)

    def proposal(self, logits: Tensor, rows: Tensor, counts: Tensor, tokens: Tensor) -> Proposed:
        """The proposals of a draft with logits (N, V) after the first `counts` (N,) of `tokens` (B, T)."""
        return self._chooser.propose(permitted(logits, self._banned), rows, counts, tokens)

    def hypotheses(self) -> list[Hypothesis]:
        """The output of each row.

        Raises:
            ValueError: "every token that is not banned has the logit -infinity: nothing can follow".
        """
        hypotheses = []
        rows = zip(self.tokens.tolist(), self.counts.tolist(), self._scores.tolist(), strict=True)
        for tokens, count, score in rows:
            if score == -math.inf:
                raise ValueError(NONE_POSSIBLE)
            finished = count > 0 and tokens[count - 1] == self._eos
            hypotheses.append(Hypothesis(tuple(tokens[: count - finished]), score, finished))
        return hypotheses
