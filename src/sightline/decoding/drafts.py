"""Drafts of a model's next tokens: from the text so far, or by a smaller model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.state import retract, select
from sightline.decoding.choose import Proposed
from sightline.decoding.hypothesis import Extend, Step
from sightline.decoding.outputs import BatchOutputs

SHORTEST, LONGEST = 2, 8  # tokens of an n-gram that is looked up


class Draft(ABC):
    """The proposals for the rows of a batch, whose texts grow by the same number of tokens at a time."""

    @abstractmethod
    def propose(self, new: Tensor, most: int, rows: Tensor, outputs: BatchOutputs) -> list[Proposed]:
        """At most `most` next tokens, position by position, after `new` (N, m) tokens of the texts of `rows` (N,)."""

    @abstractmethod
    def keep(self, index: Tensor) -> None:
        """Continue with the rows `index` (N',) of the last N alone."""


@final
class NGramDraft(Draft):
    """Repeats what followed the last tokens where they occurred before, in the prompt or in the output.

    The longest n-gram of at most `LONGEST` tokens that ends the text and occurred earlier decides, at its last
    occurrence (prompt lookup, Saxena 2023; Yang et al. 2023, arXiv:2304.04487, § 3.2). Nothing is proposed where a row
    has none of at least `SHORTEST`.
    """

    def __init__(self, prompts: Sequence[Sequence[int]]) -> None:
        self._texts = [_DraftedText(prompt) for prompt in prompts]

    def propose(self, new: Tensor, most: int, rows: Tensor, outputs: BatchOutputs) -> list[Proposed]:
        for text, tokens in zip(self._texts, new.tolist(), strict=True):
            text.add(tokens)
        repeats = [text.repeat(most) for text in self._texts] if most else []
        if not all(repeats):
            return []
        return [Proposed(column) for column in torch.tensor(repeats, device=new.device).unbind(1)] if repeats else []

    def keep(self, index: Tensor) -> None:
        self._texts = [self._texts[place] for place in index.tolist()]


@final
class _DraftedText:
    """A text, and where its n-grams were last followed by a token."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self.add(tokens)

    def add(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            here = len(self._tokens)
            for length in range(SHORTEST, min(LONGEST, here) + 1):
                self._after[tuple(self._tokens[here - length :])] = here
            self._tokens.append(token)

    def repeat(self, most: int) -> list[int]:
        """The `most` tokens that would follow if the text repeated itself; none where nothing of it occurred before."""
        for length in range(min(LONGEST, len(self._tokens)), SHORTEST - 1, -1):
            start = self._after.get(tuple(self._tokens[-length:]))
            if start is not None:
                period = len(self._tokens) - start
                return [self._tokens[start + place % period] for place in range(most)]
        return []


@final
class ModelDraft(Draft):
    """What a model that is quicker than the one that decides would write, from a state before the first token.

    step, extend: of the model, as for decoders
    """

    def __init__(self, step: Step, extend: Extend, state: Any) -> None:
        self._step, self._extend, self._state = step, extend, state
        self._unread: Tensor | None = None  # (N, m) tokens of the texts that the state does not contain

    def propose(self, new: Tensor, most: int, rows: Tensor, outputs: BatchOutputs) -> list[Proposed]:
        unread = new if self._unread is None else torch.cat([self._unread, new], 1)
        self._unread = unread
        if not most:
            return []
        logits, self._state = self._read(unread)
        self._unread = None
        tokens, counts, state = outputs.tokens.clone(), outputs.counts[rows], self._state
        proposals = [outputs.proposal(logits, rows, counts, tokens)]
        for place in range(1, most):
            tokens[rows, counts + place - 1] = proposals[-1].tokens
            logits, state = self._step(proposals[-1].tokens, state)
            proposals.append(outputs.proposal(logits, rows, counts + place, tokens))
        retract(self._state, state)
        return proposals

    def _read(self, tokens: Tensor) -> tuple[Tensor, Any]:
        """Logits (N, V) after tokens (N, m), and the state."""
        if tokens.shape[1] == 1:
            return self._step(tokens[:, 0], self._state)
        logits, state = self._extend(tokens, self._state)
        return logits[:, -1], state

    def keep(self, index: Tensor) -> None:
        self._state = select(self._state, index)
        self._unread = None if self._unread is None else self._unread[index]
