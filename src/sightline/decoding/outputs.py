"""The outputs of a decoding call as they grow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias, final

import torch
from torch import Tensor

from sightline.core.doubles import precise
from sightline.decoding.choose import Chooser, Proposed
from sightline.decoding.hypothesis import Hypothesis, permit, row_limits

# Takes the newest tokens of the active rows as (row, token), without end tokens; returns the rows that end here.
Watch: TypeAlias = Callable[[list[tuple[int, int]]], Collection[int]]


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

    def extend(
        self, logits: Tensor, rows: Tensor, live: Tensor, proposed: Proposed | None = None
    ) -> tuple[Tensor, Tensor]:
        """Choose the next token of `rows` (N,) from logits (N, V); returns the tokens, and which rows continue (N,).

        Rows that are not `live` (N,) stay as they are. `proposed` as in `Chooser.choose`.
        """
        logits, chances = permit(logits, self._banned)
        counts = self.counts.index_select(0, rows)
        chosen = self._chooser.choose(logits, rows, counts, self.tokens, proposed)
        score = chances.gather(1, chosen.unsqueeze(1)).squeeze(1).to(self._scores.dtype)
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

    def proposal(self, logits: Tensor, rows: Tensor, counts: Tensor, tokens: Tensor) -> Proposed:
        """The proposals of a draft with logits (N, V) after the first `counts` (N,) of `tokens` (B, T)."""
        logits, _ = permit(logits, self._banned)
        return self._chooser.propose(logits, rows, counts, tokens)

    def hypotheses(self) -> list[Hypothesis]:
        """The output of each row."""
        hypotheses = []
        rows = zip(self.tokens.tolist(), self.counts.tolist(), self._scores.tolist(), strict=True)
        for tokens, count, score in rows:
            finished = count > 0 and tokens[count - 1] == self._eos
            hypotheses.append(Hypothesis(tuple(tokens[: count - finished]), score, finished))
        return hypotheses
