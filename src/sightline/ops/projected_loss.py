"""Cross entropy fused with the output projection: the logits of some positions at a time, never all of them.

The logits (N, V) are usually the largest tensor of a training step: 134 MB for 4,096 positions and 8,192 tokens,
several times over. Here a chunk of them is made, turned into losses and gradients while it is in the cache, and
dropped. The gradients are computed with the losses, so that nothing is computed twice.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.shapes import Float, Int
from sightline.ops.affine import RepeatedProduct, product_dtype

Smoothing = Literal["uniform", "others", "others_but_pad"]
Vectors = Float[Tensor, "N D"]
ClassWeights = Float[Tensor, "V D"]
ClassBias = Float[Tensor, "V"]
TargetLabels = Int[Tensor, "N"]
LossSum = Float[Tensor, ""]

CHUNK_BYTES = {"cpu": 2**23}  # of a chunk's logits in float32, which the caches of a processor hold
DEVICE_CHUNK_BYTES = 2**28
FEWEST = 64  # positions of a chunk: fewer make the products slow
GATHERED = 4  # chunks of low precision that give one product for the weights' gradient, which is added up in float32


class SmoothedLabel(NamedTuple):
    """The target distribution of a label: `gold` on the label and `other` on every other class.

    pad: this class gets nothing, unless it is the label; None = no such class
    """

    gold: float
    other: float
    pad: int | None = None

    @classmethod
    def of(cls, epsilon: float, smoothing: Smoothing, classes: int, pad: int) -> SmoothedLabel:
        """The distributions of `training.loss.cross_entropy`."""
        if epsilon == 0.0:
            return cls(1.0, 0.0)
        if smoothing == "uniform":
            return cls(1.0 - epsilon + epsilon / classes, epsilon / classes)
        if smoothing == "others":
            return cls(1.0 - epsilon, epsilon / (classes - 1))
        return cls(1.0 - epsilon, epsilon / (classes - 2), pad)


def projected_cross_entropy(
    x: Vectors,
    weight: ClassWeights,
    bias: ClassBias | None,
    labels: TargetLabels,
    target: SmoothedLabel,
    *,
    chunk: int | None = None,
) -> tuple[LossSum, LossSum]:
    """The sums over N positions of -Σ q log p and of -log p(label), p = softmax(x Wᵀ + b) and q the target.

    x (N, D), weight (V, D), bias (V,), labels (N,) int64. The products are in autocast's dtype where it is on, all else
    in float32 at least. The second sum has no gradient, the first has gradients of first order. `chunk` positions are
    projected at a time, None = as many as fit into the caches.
    """
    if chunk is None:
        chunk = max(FEWEST, CHUNK_BYTES.get(x.device.type, DEVICE_CHUNK_BYTES) // (4 * len(weight)))
    total, nll = _ProjectedCrossEntropy.apply(x, weight, bias, labels, target, chunk, product_dtype(x))
    return total, nll


@final
class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        target: SmoothedLabel,
        chunk: int,
        product: Any,
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            sums = _ChunkSums(x, weight, bias, target, chunk, product, any(ctx.needs_input_grad))
            for first in range(0, len(x), chunk):
                sums.add(slice(first, min(first + chunk, len(x))), labels)
            sums.finish()
        ctx.save_for_backward(x, weight, *sums.rounded())
        ctx.has_bias = bias is not None
        ctx.mark_non_differentiable(sums.nll)
        return sums.total, sums.nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_x, of_weight, *of_bias = _LossGradient.apply(grads[0], *ctx.saved_tensors)
        return of_x, of_weight, of_bias[0] if ctx.has_bias else None, None, None, None, None


@final
class _LossGradient(torch.autograd.Function):
    """The gradients, scaled; a function of its own so that a gradient of them raises instead of being wrong."""

    @staticmethod
    def forward(ctx: Any, of_total: Tensor, x: Tensor, weight: Tensor, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple((gradient * of_total).to(gradient.dtype) for gradient in gradients)  # rounded once

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError("the projected loss has no gradient of its gradient: read the logits before it does")


def _log_normaliser(logits: Tensor, p: Tensor, gold: Tensor) -> Tensor:
    """log Σ exp(logits) (rows,) from a class of each row: log p = logit - log Σ exp(logits)."""
    of_gold = p.gather(1, gold)
    log_z = (logits.gather(1, gold) - of_gold.log()).squeeze(1)
    far = of_gold.squeeze(1) < torch.finfo(p.dtype).tiny * 2.0**24  # too few digits are left, or none
    if p.device.type == "cpu" and not bool(far.any()):  # two passes over memory less; elsewhere asking takes longer
        return log_z
    return torch.where(far, logits.amax(1) - p.amax(1).log(), log_z)  # the largest p is at least 1/V


@final
class _ChunkSums:
    """Both sums, and the gradients of the first, over the chunks so far; buffers that all chunks share."""

    def __init__(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: SmoothedLabel,
        chunk: int,
        product: torch.dtype,
        learnt: bool,
    ) -> None:
        self.x, self.weight = x.to(product), weight.to(product)
        self.bias, self.target, self.chunk = bias, target, min(chunk, len(x))
        self._parameters = [one for one in (weight, bias) if one is not None]
        self.project = RepeatedProduct(self.weight, self.chunk)
        self.project_back = RepeatedProduct(self.weight.T, self.chunk) if learnt else None
        self.wide = torch.promote_types(product, torch.float32)
        self.total, self.nll = x.new_zeros((), dtype=self.wide), x.new_zeros((), dtype=self.wide)
        self.gradients: tuple[Tensor, ...] | None = None
        if learnt:
            # Those of 16-bit parameters are added up in float32 too, and rounded once, at their end.
            wide = [torch.promote_types(one.dtype, torch.float32) for one in self._parameters]
            zeros = (torch.zeros_like(one, dtype=of) for one, of in zip(self._parameters, wide, strict=True))
            self.gradients = (torch.empty_like(x), *zeros)
        self._buffers: dict[str, Tensor] = {}
        self._gathered = slice(0, 0)  # positions whose gradients are not yet in that of the weights

    def add(self, rows: slice, labels: Tensor) -> None:
        """Add the losses and gradients of the positions `rows`."""
        x, gold = self.x[rows], labels[rows].unsqueeze(1)
        logits = self.project(x)
        if logits.dtype != self.wide:
            logits = self._buffer("logits", len(x), self.wide).copy_(logits)
        if self.bias is not None:
            logits += self.bias
        p = torch.softmax(logits, 1, out=self._buffer("p", len(x), self.wide))
        log_z = _log_normaliser(logits, p, gold)
        gold_nll = (log_z - logits.gather(1, gold).squeeze(1)).sum()
        self.nll += gold_nll
        self._add_total(logits, log_z, gold, gold_nll)
        if self.gradients is not None:
            self._add_gradients(rows, x, p, gold)

    def _add_total(self, logits: Tensor, log_z: Tensor, gold: Tensor, gold_nll: Tensor) -> None:
        on, other, pad = self.target
        if other == 0.0:
            self.total += gold_nll
            return
        every = logits.shape[1] * log_z.sum() - logits.sum()  # -Σ log p over all classes
        if pad is not None:
            every = every - torch.where(gold.squeeze(1) == pad, 0.0, log_z - logits[:, pad]).sum()
        self.total += (on - other) * gold_nll + other * every

    def _add_gradients(self, rows: slice, x: Tensor, p: Tensor, gold: Tensor) -> None:
        """From p - q, or Σq · p - q where q does not add up to 1."""
        assert self.gradients is not None
        assert self.project_back is not None
        on, other, pad = self.target
        if pad is not None:  # for the label `pad` no class is left out, and q adds up to 1 + other
            is_pad = (gold == pad).to(p.dtype)  # (rows, 1)
            p *= 1.0 + other * is_pad
            p[:, pad] += other * (1.0 - is_pad.squeeze(1))
        if other:
            p -= other
        p.scatter_add_(1, gold, p.new_full((1, 1), other - on).expand_as(gold))
        of_x, of_weight, *of_bias = self.gradients
        for of in of_bias:
            of += p.sum(0)
        if of_weight.dtype == x.dtype:
            of_x[rows] = self.project_back(p)
            torch.addmm(of_weight, p.T, x, out=of_weight)
            return
        gathered = slice(self._gathered.start, rows.stop)
        of_logits = self._buffer("gathered", gathered.stop - gathered.start, x.dtype, GATHERED * self.chunk)[-len(x) :]
        of_x[rows] = self.project_back(of_logits.copy_(p))
        self._gathered = gathered
        if gathered.stop - gathered.start == GATHERED * self.chunk:
            self.finish()

    def finish(self) -> None:
        """Add what was gathered to the weights' gradient."""
        start, stop = self._gathered.start, self._gathered.stop
        if self.gradients is not None and stop > start:
            of_logits = self._buffers["gathered"][: stop - start]
            self.gradients[1].add_(torch.mm(of_logits.T, self.x[start:stop]))
        self._gathered = slice(stop, stop)

    def rounded(self) -> tuple[Tensor, ...]:
        """The gradients, in the dtypes of what they are of."""
        if self.gradients is None:
            return ()
        of_x, *of_parameters = self.gradients
        return of_x, *(of.to(one.dtype) for of, one in zip(of_parameters, self._parameters, strict=True))

    def _buffer(self, name: str, rows: int, dtype: torch.dtype, most: int | None = None) -> Tensor:
        """Memory of `rows` rows, out of `most` that this name may ask for."""
        if name not in self._buffers:
            self._buffers[name] = self.x.new_empty(most or rows, len(self.weight), dtype=dtype)
        return self._buffers[name][:rows]
