"""The linear recurrent unit (Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.core.shapes import Mask, MixedPosition, MixedSequences, Position, Sequences, Starts
from sightline.ops.derivatives import connected_zeros
from sightline.ops.scan import linear_scan


@final
@dataclass(frozen=True)
class LRUConfig:
    """Options of `LRU`; d_hidden, the number of complex states, is `d_model` where it is None."""

    d_hidden: int | None = None
    r_min: float = 0.0
    r_max: float = 1.0
    max_phase: float = 2.0 * math.pi

    def build(self, d_model: int) -> LRU:
        return LRU(d_model, self.d_hidden, self.r_min, self.r_max, self.max_phase)

    @classmethod
    def examples(cls) -> tuple[LRUConfig, ...]:
        return (cls(), cls(d_hidden=5, r_min=0.9, r_max=0.999, max_phase=math.pi / 10))


class LRUState(NamedTuple):
    """The complex state, real and imaginary parts side by side."""

    hidden: Tensor  # (B, N, 2)


@final
class LRU(SequenceMixer[LRUState]):
    """h_t = λ ∘ h_{t-1} + γ ∘ (B x_t) with complex λ, h, B; y_t = Re(C h_t) + D ∘ x_t (arXiv:2303.06349, eq. 7, § 3).

    λ_j = exp(-exp(ν_j) + i exp(θ_j)), so that |λ_j| < 1 whatever the parameters (§ 3.3). At first |λ_j|² is uniform in
    [r_min², r_max²], the phase uniform in [0, max_phase] (lemma 3.2), and γ_j = √(1 - |λ_j|²), which makes white input
    keep its power (§ 3.4). B and C start as Glorot normal, D as standard normal (appendix A).

    N = `d_hidden`. Parameters: `nu`, `theta` and `gamma` (N,), the logarithms above (γ = exp(gamma)); `weight_input`
    (2N, D), the rows of B as real part, imaginary part, real part, …; `weight_output` (D, 2N), columns of Re C and
    -Im C in the same order; `skip` (D,). The paper's block has a norm before it and a gated linear unit after it.

    Raises:
        ValueError: "the ring needs 0 <= r_min < r_max <= 1, got 0.9 and 0.5".
    """

    def __init__(
        self,
        d_model: int,
        d_hidden: int | None = None,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2.0 * math.pi,
    ) -> None:
        super().__init__()
        if not 0.0 <= r_min < r_max <= 1.0:
            raise ValueError(f"the ring needs 0 <= r_min < r_max <= 1, got {r_min} and {r_max}")
        self.d_model = self.d_out = d_model
        self.d_hidden = states = d_model if d_hidden is None else d_hidden
        # 1 - u is in (0, 1], so that no logarithm of 0 is taken; |λ| = 1 is kept out for the same reason.
        squared = (r_min**2 + (r_max**2 - r_min**2) * (1.0 - torch.rand(states))).clamp(max=1.0 - 1e-7)
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squared)))
        self.theta = nn.Parameter(torch.log(max_phase * (1.0 - torch.rand(states))))
        self.gamma = nn.Parameter(0.5 * torch.log1p(-squared))
        self.weight_input = nn.Parameter(torch.randn(2 * states, d_model) / math.sqrt(2 * d_model))
        self.weight_output = nn.Parameter(torch.randn(d_model, 2 * states) / math.sqrt(states))
        self.skip = nn.Parameter(torch.randn(d_model))

    def initial_state(self, batch: int, memory: Memory | None = None) -> LRUState:
        return LRUState(self.skip.new_zeros(batch, self.d_hidden, 2))

    def forward(
        self, x: Sequences, state: LRUState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, LRUState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        if x.shape[0] == 0 or x.shape[1] == 0:
            return connected_zeros(x.shape, x, *self.parameters()), state
        x = keep(x, mask)  # so that γ B x is zero at padding, where λ becomes 1
        b = self._driven(x)
        a = self._eigenvalues().expand_as(b)
        if mask is not None:
            a = a.masked_fill(~mask.unsqueeze(-1), 1.0)
        if starts is not None:
            a = a.masked_fill(starts.unsqueeze(-1), 0.0)
        h = linear_scan(a, b, _complex(state.hidden))
        last = torch.view_as_real(h[:, -1]).to(state.hidden.dtype)
        return keep(self._read(h, x), mask), LRUState(last)

    def step(self, x_t: Position, state: LRUState) -> tuple[MixedPosition, LRUState]:
        h = self._eigenvalues() * _complex(state.hidden) + self._driven(x_t)
        return self._read(h, x_t), LRUState(torch.view_as_real(h).to(state.hidden.dtype))

    def _eigenvalues(self) -> Tensor:
        """λ (N,), complex."""
        nu, theta = _wide(self.nu), _wide(self.theta)
        return torch.polar(torch.exp(-torch.exp(nu)), torch.exp(theta))

    def _driven(self, x: Tensor) -> Tensor:
        """γ ∘ (B x) (…, N), complex; γ scales the weights, which are fewer than the positions."""
        scale = torch.exp(self.gamma).repeat_interleave(2).unsqueeze(1)
        return _complex(F.linear(x, scale * self.weight_input).unflatten(-1, (self.d_hidden, 2)))

    def _read(self, h: Tensor, x: Tensor) -> Tensor:
        """Re(C h) + D ∘ x."""
        parts = torch.view_as_real(h).flatten(-2).to(x.dtype)
        return F.linear(parts, self.weight_output) + self.skip * x


def _complex(parts: Tensor) -> Tensor:
    """(…, 2) as complex numbers of at least 32 bits a part."""
    return torch.view_as_complex(_wide(parts).contiguous())


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
