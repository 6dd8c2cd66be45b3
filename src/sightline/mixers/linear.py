"""Linear attention with a normaliser (Katharopoulos et al. 2020, arXiv:2006.16236), and Performer's random features.

Replacing exp(q · k) by a product of features φ(q) · φ(k) turns attention into a recurrence over a state of fixed size.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import final

from torch import nn

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer, check_inputs, keep
from sightline.core.modes import without_autocast
from sightline.core.probe import Probe
from sightline.core.shapes import (
    HeadValues,
    Mask,
    MixedPosition,
    MixedSequences,
    Position,
    PositionProducts,
    Sequences,
    SharedQueries,
    Starts,
)
from sightline.ops.linear import (
    LinearState,
    full_linear_attention,
    initial_linear_state,
    linear_attention,
    linear_attention_step,
    normalised,
)
from sightline.parts.attention_heads import AttentionHeads, hide
from sightline.parts.feature_maps import FeatureMap, Features
from sightline.parts.plain_linear import sample_of


@final
@dataclass(frozen=True)
class LinearConfig:
    """Options of `LinearAttention` (causal) and `FullLinearAttention`; d_head None = D/H.

    `random_features` is for `features="performer"`; None = d_head · ln(d_head), and d_head at least.
    """

    heads: int = 4
    d_head: int | None = None
    causal: bool = True
    features: Features = "elu"
    random_features: int | None = None
    bias: bool = True

    def build(self, d_model: int) -> LinearAttention | FullLinearAttention:
        kind = LinearAttention if self.causal else FullLinearAttention
        return kind(d_model, self.heads, self.d_head, self.features, self.random_features, self.bias)

    @classmethod
    def examples(cls) -> tuple[LinearConfig, ...]:
        return (
            cls(heads=2),
            cls(heads=3, d_head=5, features="relu", bias=False),
            cls(heads=2, features="performer"),
            cls(heads=3, d_head=3, features="performer", random_features=7),
            cls(heads=2, causal=False),
            cls(heads=2, d_head=3, features="performer", causal=False),
        )


class _FeatureAttention(nn.Module, ABC):
    """The projections and the features φ of queries and keys that both forms of linear attention share."""

    def __init__(
        self,
        d_model: int,
        heads: int = 4,
        d_head: int | None = None,
        features: Features = "elu",
        random_features: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = AttentionHeads(d_model, heads, None, d_head, bias=bias)
        self.features = FeatureMap(features, self.heads.d_head, random_features)
        self.weights = Probe("B H T S", implicit=True)

    def project(self, x: Sequences, mask: Mask | None) -> tuple[SharedQueries, SharedQueries, HeadValues]:
        """φ(q), φ(k) (B, H, T, ·) and v (B, H, T, V) of x (B, T, D); keys at masked positions are 0."""
        x = keep(x, mask)
        k, v = self.heads.keys_values(x)
        q, k = self.features.queries(self.heads.queries(x)), self.features.keys(k)
        return q, hide(k, mask), v


@final
class LinearAttention(_FeatureAttention, SequenceMixer[LinearState]):
    """y_t = φ(q_t) S_t / (φ(q_t) · z_t) with S_t = Σ_{s<=t} φ(k_s)ᵀ v_s and z_t = Σ_{s<=t} φ(k_s) (eqs. 8-12).

    Projections are those of softmax attention, `heads` times. `features`: `elu` is the paper's φ(x) = elu(x) + 1,
    `performer` approximates softmax attention (`parts.feature_maps`). A position whose denominator is 0 or subnormal
    gives zeros.
    The state is S (B, H, K, V) and z (B, H, K), in float32 in 16-bit code too.

    The weights φ(q_t) · φ(k_s) / φ(q_t) · z_t over the positions of a call are formed only for a hook on
    `self.weights`, shape (B, H, T, S). They sum to less than 1 where earlier calls contribute: the state no longer
    distinguishes their positions.
    """

    def initial_state(self, batch: int, memory: Memory | None = None) -> LinearState:
        heads = self.heads
        return initial_linear_state(
            batch, heads.heads, self.features.size, heads.d_head, normaliser=True, like=sample_of(heads.key)
        )

    def forward(
        self, x: Sequences, state: LinearState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, LinearState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        q, k, v = self.project(x, mask)
        y, after = linear_attention(q, k, v, normaliser=True, state=state, starts=starts, probe=self.weights)
        return self.heads.join(y, mask), after

    def step(self, x_t: Position, state: LinearState) -> tuple[MixedPosition, LinearState]:
        if self.weights.attached:
            return super().step(x_t, state)
        q, k, v = (part.squeeze(2) for part in self.project(x_t.unsqueeze(1), None))
        y, state = linear_attention_step(q, k, v, state=state)
        return self.heads.out(y.flatten(1)), state


@final
class FullLinearAttention(_FeatureAttention, SequenceEncoder):
    """`LinearAttention` without the causal limit (eqs. 4-6): every position sees its whole document.

    The weights φ(q_t) · φ(k_s) / Σ_s φ(q_t) · φ(k_s) are formed only for a hook on `self.weights`, shape
    (B, H, T, S).
    """

    def forward(self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None) -> MixedSequences:
        check_inputs(x, self.d_model, mask, starts)
        q, k, v = self.project(x, mask)
        if not self.weights.attached:
            return self.heads.join(full_linear_attention(q, k, v, normaliser=True, starts=starts), mask)
        products = products_within(q, k, starts)
        weights = self.weights(normalised(products, products.sum(3, keepdim=True)))
        with without_autocast(x.device):
            y = (weights @ v.to(weights.dtype)).to(v.dtype)
        return self.heads.join(y, mask)


def products_within(q: SharedQueries, k: SharedQueries, starts: Starts | None) -> PositionProducts:
    """φ(q_t) · φ(k_s) (B, H, T, S) in the features' dtype, 0 where t and s are in different documents."""
    with without_autocast(q.device):
        products = q @ k.transpose(2, 3)
    if starts is None:
        return products
    document = starts.cumsum(1)
    return products.masked_fill((document.unsqueeze(2) != document.unsqueeze(1)).unsqueeze(1), 0.0)
