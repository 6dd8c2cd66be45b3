"""The four projections of multi-head attention (Vaswani et al. 2017, § 3.2.2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, TypeVar, final

import torch
from torch import Tensor, nn

from sightline.core.mixer import keep
from sightline.core.shapes import Attended, Keys, Mask, Queries, Sequences, Values
from sightline.parts.norm import make_norm
from sightline.parts.plain_linear import is_plain, project, sample_of
from sightline.parts.projections import Projections, fill_projections

QKNorm = Literal["none", "layer", "rms"]
P = TypeVar("P", bound="PrunableHeads")


@final
class AttentionHeads(nn.Module):
    """Queries from one sequence, keys and values from another of width `d_source`, and the way back to width D.

    `key_heads` < `heads` shares each key head among consecutive query heads (Ainslie et al. 2023; 1 = Shazeer 2019);
    None means `heads` (key_heads), D/H (d_head) and D (d_source). `qk_norm` normalises every query and key over its K
    numbers, with a gain (and a bias for `layer`) that the heads share, so that logits cannot grow with the weights
    (Dehghani et al. 2023, arXiv:2302.05442, § 2, with LayerNorm; RMSNorm: Qwen 3, Yang et al. 2025, arXiv:2505.09388,
    § 2). OLMo 2 (arXiv:2501.00656) normalises the whole projection of all heads instead, with a gain for each channel.

    `kept` has the numbers of the heads that are left after pruning, of those that it was built with; None = all.

    Raises:
        ValueError: "d_model = 10 is not divisible by heads = 4: …"; "heads = 4 is not a multiple of key_heads = 3".
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        key_heads: int | None = None,
        d_head: int | None = None,
        d_source: int | None = None,
        bias: bool = True,
        qk_norm: QKNorm = "none",
    ) -> None:
        super().__init__()
        if d_head is None and d_model % heads:
            raise ValueError(
                f"d_model = {d_model} is not divisible by heads = {heads}: choose another d_model, or set d_head"
            )
        self.heads, self.key_heads = heads, key_heads or heads
        if heads % self.key_heads:
            raise ValueError(f"heads = {heads} is not a multiple of key_heads = {self.key_heads}")
        self.d_head = d_head or d_model // heads
        self.kept: tuple[int, ...] | None = None
        d_source = d_source or d_model
        self.query = nn.Linear(d_model, heads * self.d_head, bias)
        self.key = nn.Linear(d_source, self.key_heads * self.d_head, bias)
        self.value = nn.Linear(d_source, self.key_heads * self.d_head, bias)
        self.out = nn.Linear(heads * self.d_head, d_model, bias)
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            if bias:
                nn.init.zeros_(linear.bias)
        if qk_norm not in ("none", "layer", "rms"):
            raise ValueError(f"qk_norm must be none, layer or rms, got {qk_norm!r}")
        self.joint: nn.Module | None = None
        self.query_norm = None if qk_norm == "none" else make_norm(qk_norm, self.d_head)
        self.key_norm = None if qk_norm == "none" else make_norm(qk_norm, self.d_head)

    def queries(self, x: Sequences) -> Queries:
        """Queries (B, H, T, K) of x (B, T, D)."""
        return self._as_queries(*project(x, self.query))

    def keys_values(self, source: Tensor) -> tuple[Keys, Values]:
        """Keys and values (B, G, S, K) of source (B, S, d_source)."""
        return self._as_keys_values(*project(source, self.key, self.value))

    def _as_queries(self, q: Tensor) -> Tensor:
        return _normed(self.query_norm, split_heads(q, self.heads, self.d_head))

    def _as_keys_values(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        keys = _normed(self.key_norm, split_heads(k, self.key_heads, self.d_head))
        return keys, split_heads(v, self.key_heads, self.d_head)

    def project(self, x: Sequences) -> tuple[Queries, Keys, Values]:
        """Queries (B, H, T, K), keys and values (B, G, T, K) of x (B, T, D), which is its own source."""
        if self.joint is None:
            # Keys and values first: the order in which gradients of x are summed.
            k, v, q = project(x, self.key, self.value, self.query)
            return self._as_queries(q), *self._as_keys_values(k, v)
        own, shared = self.heads * self.d_head, self.key_heads * self.d_head
        q, k, v = self.joint(x).split([own, shared, shared], -1)
        return self._as_queries(q), *self._as_keys_values(k, v)

    def join_products(self) -> None:
        """From now on `project` is one product, with copies of the weights.

        Without heads there is nothing to join, and layers that are adapted or quantised stay what they are.
        """
        linears = (self.query, self.key, self.value)
        if not self.heads or not all(map(is_plain, linears)):
            return
        joint = nn.Linear(self.query.in_features, sum(one.out_features for one in linears), self.query.bias is not None)
        with torch.no_grad():
            joint.weight.copy_(torch.cat([one.weight for one in linears]))
            if joint.bias is not None:
                joint.bias.copy_(torch.cat([one.bias for one in linears]))
        self.joint = joint.requires_grad_(False).to(self.query.weight)

    def projections(self) -> Projections:
        """The weights, with shared keys and values repeated for each head."""
        key, value = (self._repeated(linear) for linear in (self.key, self.value))
        weights = (self.query.weight, key[0], value[0], self.out.weight)
        return Projections(*weights, self.query.bias, key[1], value[1], self.out.bias)

    def start_from(self, trained: Projections) -> list[str]:
        """See `parts.projections.StartsFrom`; shared ones begin with the mean (Ainslie et al. 2023, § 2.1)."""
        shared = trained._replace(
            key=self._shared(trained.key),
            value=self._shared(trained.value),
            key_bias=None if trained.key_bias is None else self._shared(trained.key_bias),
            value_bias=None if trained.value_bias is None else self._shared(trained.value_bias),
        )
        return fill_projections(shared, self.query, self.key, self.value, self.out)

    def _repeated(self, linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
        times = self.heads // self.key_heads
        weight, bias = linear.weight, linear.bias
        of_heads = weight.unflatten(0, (self.key_heads, -1)).repeat_interleave(times, 0).flatten(0, 1)
        if bias is None:
            return of_heads, None
        return of_heads, bias.unflatten(0, (self.key_heads, -1)).repeat_interleave(times, 0).flatten(0, 1)

    def _shared(self, of_heads: Tensor) -> Tensor:
        """The mean (G·K, …) over the heads that share a key, of (H·K, …)."""
        if self.key_heads == self.heads or len(of_heads) % self.heads:
            return of_heads
        grouped = of_heads.unflatten(0, (self.key_heads, self.heads // self.key_heads, -1))
        return grouped.mean(1).flatten(0, 1)

    def none(self, batch: int) -> Keys:
        """Keys or values of no position yet, (B, G, 0, K)."""
        return sample_of(self.key).new_zeros(batch, self.key_heads, 0, self.d_head)

    def keep_heads(self, numbers: Sequence[int]) -> None:
        """Remove all heads but those with these numbers, 0 to heads - 1, from the projections; new parameters.

        A key head that no query head is left for goes too. The others must serve equally many query heads.

        Raises:
            ValueError: "kept heads must be different numbers from 0 to 3 in ascending order, got [2, 9]"; "kept heads
                [0, 1, 2] leave key heads with different numbers of query heads (2, 1): keep as many of each, or none".
        """
        numbers = list(numbers)
        if numbers != sorted({number for number in numbers if 0 <= number < self.heads}):
            raise ValueError(
                f"kept heads must be different numbers from 0 to {self.heads - 1} in ascending order, got {numbers}"
            )
        shared = [number // (self.heads // self.key_heads) for number in numbers]
        groups = list(dict.fromkeys(shared))
        if len({shared.count(group) for group in groups}) > 1:
            each = ", ".join(str(shared.count(group)) for group in groups)
            raise ValueError(
                f"kept heads {numbers} leave key heads with different numbers of query heads ({each}): "
                "keep as many of each, or none"
            )
        rows, key_rows = (_rows_of(chosen, self.d_head) for chosen in (numbers, groups))
        for linear, chosen in ((self.query, rows), (self.key, key_rows), (self.value, key_rows)):
            linear.weight = nn.Parameter(linear.weight.detach()[chosen])
            if linear.bias is not None:
                linear.bias = nn.Parameter(linear.bias.detach()[chosen])
            linear.out_features = len(chosen)
        self.out.weight = nn.Parameter(self.out.weight.detach()[:, rows])
        self.out.in_features = len(rows)
        before = range(self.heads) if self.kept is None else self.kept
        self.kept = tuple(before[number] for number in numbers)
        self.heads, self.key_heads = len(numbers), len(groups)

    def join(self, y: Attended, mask: Mask | None) -> Sequences:
        """Head outputs (B, H, T, K) to (B, T, D), zero at masked positions."""
        return keep(project(join_heads(y), self.out)[0], mask)


def _normed(norm: nn.Module | None, x: Tensor) -> Tensor:
    """x (B, H, T, K) normalised in the dtype of the gain, which under autocast is wider than that of x."""
    return x if norm is None else norm(x.to(next(norm.parameters()).dtype)).to(x.dtype)


def check_softcap(softcap: float | None) -> float | None:
    """The bound of the logits, or `ValueError`: "softcap must be positive, got 0.0"."""
    if softcap is not None and not softcap > 0.0:
        raise ValueError(f"softcap must be positive, got {softcap}")
    return softcap


def _rows_of(heads: Sequence[int], size: int) -> list[int]:
    """The rows of a projection that belong to heads of this size."""
    return [row for head in heads for row in range(head * size, (head + 1) * size)]


class PrunableHeads(ABC):
    """A mixer or encoder whose heads can be removed one by one, each computing for itself what it did before."""

    heads: AttentionHeads

    @abstractmethod
    def keep_heads(self, numbers: Sequence[int]) -> None:
        """Remove all heads but those with these numbers; raises as `AttentionHeads.keep_heads`.

        The layer computes what it did with the outputs of the others replaced by zeros before the output projection.
        Without any head that is the projection's bias. Parameters are new, so an optimizer of the old ones is not of
        these.
        """
        self.heads.keep_heads(numbers)


def with_heads(layer: P, kept: Sequence[int] | None) -> P:
    """The layer with the heads of these numbers alone, None = with all; raises as `AttentionHeads.keep_heads`."""
    if kept is not None:
        layer.keep_heads(kept)
    return layer


def split_heads(x: Tensor, heads: int, size: int = -1) -> Tensor:
    """x (B, T, H·K) as (B, H, T, K); the size K follows from x unless there may be no head."""
    return x.unflatten(2, (heads, size)).transpose(1, 2)


def join_heads(y: Tensor) -> Tensor:
    """y (B, H, T, V) as (B, T, H·V)."""
    return y.transpose(1, 2).flatten(2)


def head_size(d_model: int, heads: int, chosen: int | None, factor: float = 1.0, name: str = "d_head") -> int:
    """The size of a head: `chosen`, or factor · D/H.

    Raises:
        ValueError: "d_head = 0.5 * d_model / heads = 1.5 is not a whole number: choose a d_model divisible by
            2 * heads, or set d_head".
    """
    if chosen is not None:
        return chosen
    size = factor * d_model / heads
    if size < 1 or size != int(size):
        share = "" if factor == 1 else f"{factor:g} * "
        multiple = f"{round(1 / factor)} * heads" if factor < 1 else "heads"
        raise ValueError(
            f"{name} = {share}d_model / heads = {size:g} is not a whole number: "
            f"choose a d_model divisible by {multiple}, or set {name}"
        )
    return int(size)


def hide(x: Tensor, mask: Tensor | None) -> Tensor:
    """x (B, H, T, …) with zeros at the masked positions of mask (B, T)."""
    if mask is None:
        return x
    hidden = ~mask.unsqueeze(1)
    return x.masked_fill(hidden if x.dim() == 3 else hidden.unsqueeze(3), 0.0)
