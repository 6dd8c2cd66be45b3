"""Encoders of a sequence model: token ids in, `Memory` out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer
from sightline.core.state import leaves

Summary = Literal["none", "first_backward"]


class Encoder(nn.Module, ABC):
    """Reads token ids (B, M) with mask (B, M) and gives a memory."""

    d_memory: int  # width of the memory's values
    d_summary: int | None  # width of its summary

    @abstractmethod
    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Memory:
        """The memory of tokens (B, M); mask True = real."""


class FullEncoder(Encoder):
    """An encoder whose positions see the whole source.

    `summary="first_backward"` takes what a bidirectional recurrence's backward half holds at the first real position,
    having read everything (Bahdanau et al. 2015, appendix A.2.2); a row without real positions has zeros.
    """

    def __init__(
        self, embedding: nn.Module, encoder: SequenceEncoder, dropout: float = 0.0, summary: Summary = "none"
    ) -> None:
        super().__init__()
        self.embedding, self.encoder, self.summary = embedding, encoder, summary
        self.dropout = nn.Dropout(dropout)
        self.d_memory = encoder.d_out
        self.d_summary = None if summary == "none" else encoder.d_out // 2

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Memory:
        values = self.encoder(self.dropout(self.embedding(tokens)), mask)
        if self.summary == "none":
            return Memory(values, mask)
        backward = values[:, :, values.shape[2] // 2 :]
        first = (
            torch.zeros(len(tokens), dtype=torch.long, device=tokens.device) if mask is None else mask.int().argmax(1)
        )
        return Memory(values, mask, backward[torch.arange(len(tokens), device=tokens.device), first])


class RecurrentEncoder(Encoder):
    """A causal mixer of fixed state size reads the source once; the summary is its final state, all of it.

    `reverse` reads the source from its end to its beginning (Sutskever, Vinyals & Le 2014, § 3.3).
    """

    def __init__(self, embedding: nn.Module, mixer: SequenceMixer, dropout: float = 0.0, reverse: bool = False) -> None:
        super().__init__()
        self.embedding, self.mixer, self.reverse = embedding, mixer, reverse
        self.dropout = nn.Dropout(dropout)
        self.d_memory = mixer.d_out
        self.d_summary = sum(leaf.shape[1] for leaf in leaves(mixer.initial_state(0)))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Memory:
        if self.reverse:
            tokens, flipped = tokens.flip(1), None if mask is None else mask.flip(1)
            values, state = self.mixer(self.dropout(self.embedding(tokens)), None, flipped)
            values = values.flip(1)
        else:
            values, state = self.mixer(self.dropout(self.embedding(tokens)), None, mask)
        return Memory(values, mask, torch.cat(list(leaves(state)), 1))
