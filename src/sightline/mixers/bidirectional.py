"""The bidirectional recurrent network (Schuster & Paliwal 1997, "Bidirectional Recurrent Neural Networks")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from sightline.core.mixer import SequenceEncoder, SequenceMixer, check_inputs
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts


@final
@dataclass(frozen=True)
class BidirectionalConfig:
    """Two mixers of the kind `mixer` with default options and `d_hidden` (None = d_model) units in each direction."""

    mixer: Literal["rnn", "lstm", "gru", "lru", "min_gru", "min_lstm"] = "gru"
    d_hidden: int | None = None

    def build(self, d_model: int) -> Bidirectional:
        from sightline.mixers import MIXERS

        config = MIXERS[self.mixer](d_hidden=self.d_hidden)
        return Bidirectional(config.build(d_model), config.build(d_model))

    @classmethod
    def examples(cls) -> tuple[BidirectionalConfig, ...]:
        return (
            cls(),
            cls("lstm", d_hidden=5),
            cls("rnn"),
            cls("lru", d_hidden=5),
            cls("min_gru", d_hidden=5),
            cls("min_lstm"),
        )


@final
class Bidirectional(SequenceEncoder):
    """[→h_t ; ←h_t]: one causal mixer reads forwards, another backwards from each row's (or document's) true end.

    Works for any two `SequenceMixer`s of equal d_model. The output is d_out = forward.d_out + backward.d_out wide; the
    backward mixer's final output is at each row's first real position.
    """

    def __init__(self, forward_mixer: SequenceMixer, backward_mixer: SequenceMixer) -> None:
        super().__init__()
        if forward_mixer.d_model != backward_mixer.d_model:
            raise ValueError(
                f"both directions need one d_model, got {forward_mixer.d_model} and {backward_mixer.d_model}"
            )
        self.forwards = forward_mixer
        self.backwards = backward_mixer
        self.d_model = forward_mixer.d_model
        self.d_out = forward_mixer.d_out + backward_mixer.d_out

    @property
    def from_end(self) -> SequenceMixer:
        """The part that reads its input from the end."""
        return self.backwards

    def forward(self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None) -> MixedSequences:
        check_inputs(x, self.d_model, mask, starts)
        ahead, _ = self.forwards(x, mask=mask, starts=starts)
        back, _ = self.backwards(
            x.flip(1), mask=None if mask is None else mask.flip(1), starts=None if starts is None else _mirrored(starts)
        )
        return torch.cat([ahead, back.flip(1)], 2)


def _mirrored(starts: Tensor) -> Tensor:
    """Document starts (B, T) of the reversed row: a document starts there where it ends here."""
    ends = torch.cat([starts[:, 1:], starts.new_zeros(starts.shape[0], min(1, starts.shape[1]))], 1)
    return ends.flip(1)
