"""Encoders of a sequence model: the input of a front end in, `Memory` out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from sightline.core.front_end import FrontEnd
from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer
from sightline.core.state import leaves

EncoderSummary = Literal["none", "first_backward"]


class Encoder(nn.Module, ABC):
    """Reads a source, token ids (B, M) for example, with its mask and gives a memory."""

    d_memory: int  # width of the memory's values
    d_summary: int | None  # width of its summary

    @abstractmethod
    def forward(self, source: Any, mask: Tensor | None = None) -> Memory:
        """The memory of what the front end takes for a source; mask True = real."""


@final
class FullEncoder(Encoder):
    """An encoder whose positions see the whole source.

    `summary="first_backward"` is the output of a bidirectional recurrence's backward half at the first real position,
    where it has read everything (Bahdanau et al. 2015, appendix A.2.2); a row without real positions has zeros.
    """

    def __init__(
        self, front_end: FrontEnd, encoder: SequenceEncoder, dropout: float = 0.0, summary: EncoderSummary = "none"
    ) -> None:
        super().__init__()
        self.front_end, self.encoder, self.summary = front_end, encoder, summary
        self.dropout = nn.Dropout(dropout)
        self.d_memory = encoder.d_out
        self.d_summary = None if summary == "none" else encoder.d_out // 2

    def forward(self, source: Any, mask: Tensor | None = None) -> Memory:
        x, mask = self.front_end(source, mask)
        values = self.encoder(self.dropout(x), mask)
        if self.summary == "none":
            return Memory(values, mask)
        backward = values[:, :, values.shape[2] // 2 :]
        if not x.shape[1]:
            return Memory(values, mask, backward.sum(1))
        rows = torch.arange(x.shape[0], device=x.device)
        first = torch.zeros_like(rows) if mask is None else mask.int().argmax(1)
        return Memory(values, mask, backward[rows, first])


@final
class RecurrentEncoder(Encoder):
    """A causal mixer of fixed state size reads the source once; the summary is its final state, all of it.

    `reverse` reads the source from its end to its beginning (Sutskever, Vinyals & Le 2014, § 3.3).
    """

    def __init__(self, front_end: FrontEnd, mixer: SequenceMixer, dropout: float = 0.0, reverse: bool = False) -> None:
        super().__init__()
        self.front_end, self.mixer, self.reverse = front_end, mixer, reverse
        self.dropout = nn.Dropout(dropout)
        self.d_memory = mixer.d_out
        self.d_summary = sum(leaf.shape[1] for leaf in leaves(mixer.initial_state(0)))

    @property
    def from_end(self) -> SequenceMixer | None:
        """The part that reads its input from the end."""
        return self.mixer if self.reverse else None

    def forward(self, source: Any, mask: Tensor | None = None) -> Memory:
        x, mask = self.front_end(source, mask)
        x = self.dropout(x)
        if self.reverse:
            values, state = self.mixer(x.flip(1), None, None if mask is None else mask.flip(1))
            values = values.flip(1)
        else:
            values, state = self.mixer(x, None, mask)
        return Memory(values, mask, torch.cat(list(leaves(state)), 1))
