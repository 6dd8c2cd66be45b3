"""The minimal long short-term memory (Feng et al. 2024, "Were RNNs All We Needed?", arXiv:2410.01201)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.shapes import Hidden, HiddenSequences, Mask, ProjectedPosition, ProjectedSequences, Starts
from sightline.ops.minimal import minimal_scan
from sightline.parts.minimal import Candidate, MinimalRecurrence


@final
@dataclass(frozen=True)
class MinLSTMConfig:
    """Options of `MinLSTM`; `None` widths mean `d_model` (d_hidden) and no summary (d_summary)."""

    d_hidden: int | None = None
    d_summary: int | None = None
    candidate: Candidate = "positive"
    normalise: bool = True
    forget_bias: float = 0.0

    def build(self, d_model: int) -> MinLSTM:
        return MinLSTM(d_model, self.d_hidden, self.d_summary, self.candidate, self.normalise, self.forget_bias)

    @classmethod
    def examples(cls) -> tuple[MinLSTMConfig, ...]:
        return (cls(), cls(d_hidden=5, d_summary=7, candidate="linear", forget_bias=1.0), cls(normalise=False))


@final
class MinLSTM(MinimalRecurrence):
    """h_t = f'_t ∘ h_{t-1} + i'_t ∘ g(W_h x_t + b_h) with f' = f / (f + i), i' = i / (f + i), f, i = σ(W x_t + b).

    An LSTM without output gate whose gates and candidate do not see h_{t-1}: a row of any length is a
    parallel scan. Normalised gates add up to 1, so that h keeps its scale whatever the length;
    `normalise=False` has f and i themselves. `forget_bias` is where the forget gate's bias starts; a larger one
    remembers longer from the beginning. g and the first state are those of `MinimalRecurrence`. Parameters in the order
    f, i, candidate: `weight_input` (3H, D), `bias` (3H,). The output is h_t.
    """

    def __init__(
        self,
        d_model: int,
        d_hidden: int | None = None,
        d_summary: int | None = None,
        candidate: Candidate = "positive",
        normalise: bool = True,
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__(d_model, d_hidden, d_summary, candidate, gates=2)
        self.normalise = normalise
        nn.init.constant_(self.bias[: self.d_hidden], forget_bias)

    def scan(
        self, u: ProjectedSequences, initial: Hidden, first: Hidden, mask: Mask | None, starts: Starts | None
    ) -> HiddenSequences:
        f, i, c = u.chunk(3, 2)
        return minimal_scan(*self._gates(f, i), self.activate(c), initial, first, mask, starts)

    def advance(self, u_t: ProjectedPosition, hidden: Hidden) -> Hidden:
        f, i, c = u_t.chunk(3, 1)
        forget, take = self._gates(f, i)
        c = self.activate(c)
        return torch.lerp(hidden, c, take) if forget is None else forget * hidden + take * c

    def _gates(self, f: Tensor, i: Tensor) -> tuple[Tensor | None, Tensor]:
        """The shares of the old state that stay (None = 1 - the second) and of the candidate that are added."""
        if not self.normalise:
            return torch.sigmoid(f), torch.sigmoid(i)
        return None, torch.sigmoid(F.logsigmoid(i) - F.logsigmoid(f))  # i / (f + i), though both vanish
