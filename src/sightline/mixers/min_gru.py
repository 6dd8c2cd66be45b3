"""The minimal gated recurrent unit (Feng et al. 2024, "Were RNNs All We Needed?", arXiv:2410.01201)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from sightline.core.shapes import Hidden, HiddenSequences, Mask, ProjectedPosition, ProjectedSequences, Starts
from sightline.ops.minimal import min_gru_scan
from sightline.parts.minimal import Candidate, MinimalRecurrence


@final
@dataclass(frozen=True)
class MinGRUConfig:
    """Options of `MinGRU`; `None` widths mean `d_model` (d_hidden) and no summary (d_summary)."""

    d_hidden: int | None = None
    d_summary: int | None = None
    candidate: Candidate = "positive"

    def build(self, d_model: int) -> MinGRU:
        return MinGRU(d_model, self.d_hidden, self.d_summary, self.candidate)

    @classmethod
    def examples(cls) -> tuple[MinGRUConfig, ...]:
        return (cls(), cls(d_hidden=5, d_summary=7), cls(candidate="linear"))


@final
class MinGRU(MinimalRecurrence):
    """h_t = (1 - z_t) ∘ h_{t-1} + z_t ∘ g(W_h x_t + b_h), z_t = σ(W_z x_t + b_z).

    A GRU without reset gate whose gate and candidate do not see h_{t-1}: a row of any length is a parallel scan. g and
    the first state are those of `MinimalRecurrence`. Parameters, z before the candidate: `weight_input` (2H, D), `bias`
    (2H,). The output is h_t.
    """

    def __init__(
        self, d_model: int, d_hidden: int | None = None, d_summary: int | None = None, candidate: Candidate = "positive"
    ) -> None:
        super().__init__(d_model, d_hidden, d_summary, candidate, gates=1)

    def scan(
        self, u: ProjectedSequences, initial: Hidden, first: Hidden, mask: Mask | None, starts: Starts | None
    ) -> HiddenSequences:
        return min_gru_scan(u, initial, first, mask, starts, self.candidate == "linear")

    def advance(self, u_t: ProjectedPosition, hidden: Hidden) -> Hidden:
        z, c = u_t.chunk(2, 1)
        return torch.lerp(hidden, self.activate(c), torch.sigmoid(z))
