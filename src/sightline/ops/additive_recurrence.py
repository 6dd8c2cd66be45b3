"""The recurrence of Bahdanau, Cho & Bengio 2015: additive attention by the previous state inside a gated cell.

Autograd records some thirty operations for each position, converts what the memory has to a product's dtype at each,
and multiplies for every weight's gradient at each. Here the loop has only what depends on the state: four products,
attention, gates. The backward goes back through the same buffers, and one product over all positions gives the gradient
of each weight and of the memory's values.

The tanh of the energies is most of what is not a product, and has a shortcut: ε = σ(-2(q + k)) gives tanh(q + k) as
1 - 2ε, and is 1 / (1 + e^2q e^2k), where e^2k is the same for all positions. The 1 adds the same to all scores of a
query and leaves their softmax as it is; tanh' = 4ε(1 - ε). The backward computes ε again, which is faster than to read
it from memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.modes import without_autocast
from sightline.core.shapes import (
    Float,
    Hidden,
    HiddenSequences,
    Mask,
    MemoryMask,
    MemoryValues,
    ScoreSums,
    Starts,
)
from sightline.core.transforms import composed, several_gradients
from sightline.ops.affine import product_dtype
from sightline.ops.cells import sigmoid_backward, tanh_backward
from sightline.ops.derivatives import differentiable_gradients
from sightline.ops.gates import gate_and_candidate, transposed_parts

GateInputs = Float[Tensor, "B T G"]
MemoryKeys = Float[Tensor, "B M A"]
AskedContexts = tuple[HiddenSequences, ScoreSums, Hidden]


class AdditiveWeights(NamedTuple):
    """The parameters inside the loop, gates in the order r, z, n."""

    query: Tensor  # (A, H) W
    query_bias: Tensor  # (A,) b
    energy: Tensor  # (1, A) v
    hidden: Tensor  # (3H, H) U
    context: Tensor  # (3H, E) C


class ReadMemory(NamedTuple):
    """What the attention reads."""

    keys: MemoryKeys
    values: MemoryValues
    mask: MemoryMask | None


class Flags(NamedTuple):
    """Masks (B, M) and (B, T), and document starts (B, T)."""

    memory: Tensor | None
    mask: Tensor | None
    starts: Tensor | None


def recorded(weights: AdditiveWeights) -> bool:
    """Whether `additive_recurrence` is for these weights: gradients are recorded, on the CPU, without transforms."""
    return (
        torch.is_grad_enabled()
        and not composed()
        and any(part.requires_grad for part in weights)
        and all(part.device.type == "cpu" for part in weights)
        and {part.dtype for part in weights} in ({torch.float32}, {torch.float64})
    )


def additive_recurrence(
    inputs: GateInputs,
    carried: Hidden,
    first: Hidden,
    weights: AdditiveWeights,
    memory: ReadMemory,
    mask: Mask | None,
    starts: Starts | None,
) -> AskedContexts:
    """The states s_{t-1} (B, T, H) that ask, the contexts (B, T, E) that they get, and the last state (B, H).

    `inputs` (B, T, 3H), T >= 1, is W_x x + b, `carried` the state before the rows and `first` that of a new document;
    the memory has M >= 1 positions. With a = softmax_m(v · tanh(W s + b + k_m)) the context is c = Σ a_m h_m, and r, z
    = σ(inputs + U s + C c), n = tanh(inputs + U (r ∘ s) + C c), s' = (1 - z) ∘ s + z ∘ n. At masked positions the state
    stays. Products are in autocast's dtype, all else in that of the weights. Differentiable twice and more.
    """
    dtype, flags = weights.hidden.dtype, Flags(memory.mask, mask, starts)
    wide = (part.to(dtype) for part in (carried, first, memory.keys, memory.values))
    queries, contexts, hidden = _AdditiveRecurrence.apply(flags, product_dtype(weights.hidden), inputs, *wide, *weights)
    return queries, contexts, hidden.to(carried.dtype)


def recurrence_composed(
    inputs: GateInputs, carried: Hidden, first: Hidden, weights: AdditiveWeights, memory: ReadMemory, flags: Flags
) -> AskedContexts:
    """`additive_recurrence` by plain operations."""
    keys, values, mask = memory
    of_hidden, hidden, queries, contexts = transposed_parts(weights.hidden), carried, [], []
    for t, from_input in enumerate(inputs.unbind(1)):
        if flags.starts is not None:
            hidden = torch.where(flags.starts[:, t, None], first, hidden)
        energies = torch.tanh(F.linear(hidden, weights.query, weights.query_bias).unsqueeze(1) + keys)
        attention = _softmax((energies @ weights.energy[0]).unsqueeze(1), mask)
        context = (attention @ values).squeeze(1)
        queries.append(hidden)
        contexts.append(context)
        z, n = gate_and_candidate(torch.addmm(from_input, context, weights.context.T), hidden, *of_hidden)
        new = torch.lerp(hidden, n, z)
        hidden = new if flags.mask is None else torch.where(flags.mask[:, t, None], new, hidden)
    return torch.stack(queries, 1), torch.stack(contexts, 1), hidden


def _softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """softmax (B, 1, M) over the real positions of mask (B, M); zeros where there are none."""
    if mask is None:
        return torch.softmax(scores, -1)
    hidden = ~mask.unsqueeze(1)
    return torch.softmax(scores.masked_fill(hidden, torch.finfo(scores.dtype).min), -1).masked_fill(hidden, 0.0)


@final
class _ReversedEnergies:
    """ε = σ(-2(q + k)) (B, M, A) of queries (B, A), in a buffer that all queries share."""

    def __init__(self, keys: Tensor) -> None:
        self.keys, self.room = keys, torch.empty_like(keys)
        # e^2q e^2k is neither infinite nor subnormal up to here.
        self.limit = math.log(torch.finfo(keys.dtype).max) / 2 - 1.0 - float(keys.abs().amax())
        self.powers, self.one = (2.0 * keys).exp_(), keys.new_ones(())

    def of(self, q: Tensor) -> Tensor:
        q = q.unsqueeze(1)
        if float(q.abs().amax()) <= self.limit:  # not so with a NaN either
            return torch.addcmul(self.one, self.powers, (2.0 * q).exp_(), out=self.room).reciprocal_()
        return torch.add(self.keys, q, out=self.room).mul_(-2.0).sigmoid_()


@final
class _LoopProducts:
    """The products of the loop, with weights that are converted once; queries and gates r, z share one."""

    def __init__(self, weights: AdditiveWeights, dtype: torch.dtype) -> None:
        width = weights.hidden.shape[1]
        self.asked = torch.cat([weights.query, weights.hidden[: 2 * width]]).to(dtype)  # (A + 2H, H)
        self.candidate = weights.hidden[2 * width :].to(dtype)  # (H, H)
        self.context = weights.context.to(dtype)  # (3H, E)
        self.dtype = dtype


@final
class _AdditiveRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, flags: Flags, dtype: torch.dtype, inputs: Tensor, carried: Tensor, first: Tensor, *rest: Tensor
    ) -> AskedContexts:
        keys, values, *parameters = rest
        weights = AdditiveWeights(*parameters)
        with without_autocast(carried.device):
            trace, hidden = _forwards(
                flags, _LoopProducts(weights, dtype), inputs, carried, first, keys, values, weights
            )
        ctx.flags, ctx.dtype = flags, dtype
        ctx.save_for_backward(inputs, carried, first, keys, values, *weights, *trace)
        return trace.queries.transpose(0, 1), trace.contexts.transpose(0, 1), hidden

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, carried, first, keys, values, *rest = ctx.saved_tensors
        weights, trace = AdditiveWeights(*rest[:5]), _AttendingTrace(*rest[5:])
        if torch.is_grad_enabled() or any(map(several_gradients, grads)):  # of a derivative of the derivative, or many
            memory = ReadMemory(keys, values, ctx.flags.memory)
            with torch.enable_grad():
                wide = inputs.to(carried.dtype)
                outputs = recurrence_composed(wide, carried, first, weights, memory, ctx.flags)
            learnt = (inputs, carried, first, keys, values, *weights)
            return None, None, *differentiable_gradients(outputs, learnt, grads, ctx.needs_input_grad[2:])
        with without_autocast(carried.device):
            steps = _BackwardLoop(ctx.flags, ctx.dtype, weights, keys, values, trace)
            of_queries, of_contexts, of_hidden = grads
            of_inputs, *others = steps.run(of_queries, of_contexts, of_hidden)
            return None, None, of_inputs.to(inputs.dtype), *others


class _AttendingTrace(NamedTuple):
    """What the forward leaves for the backward, position by position."""

    queries: Tensor  # (T, B, H) the states that ask
    asked: Tensor  # (T, B, A) their queries
    attention: Tensor  # (T, B, M)
    contexts: Tensor  # (T, B, E)
    gates: Tensor  # (T, B, 2H) r, z
    candidates: Tensor  # (T, B, H) n


def _forwards(
    flags: Flags,
    products: _LoopProducts,
    inputs: Tensor,
    carried: Tensor,
    first: Tensor,
    keys: Tensor,
    values: Tensor,
    weights: AdditiveWeights,
) -> tuple[_AttendingTrace, Tensor]:
    """All steps, and the state after them."""
    (batch, length, wide), size = keys.shape, carried.shape[1]
    steps, dtype = inputs.shape[1], products.dtype
    room = (carried.new_empty(steps, batch, width) for width in (size, wide, length, values.shape[2], 2 * size, size))
    trace = _AttendingTrace(*room)
    energies, energy, hidden = _ReversedEnergies(keys), -2.0 * weights.energy[0], carried
    padding = None if flags.memory is None else ~flags.memory.unsqueeze(1)
    sums_by_step = inputs.transpose(0, 1).to(hidden.dtype, copy=True, memory_format=torch.contiguous_format)
    to_asked, to_candidate, to_sums = (weight.T for weight in (products.asked, products.candidate, products.context))
    into = _by_step(*trace, trace.attention.unsqueeze(2), trace.contexts.unsqueeze(2), *trace.gates.chunk(2, 2))
    for t, (sums, (before, q, _, _, gates, n, attention, context, r, z)) in enumerate(zip(sums_by_step, into)):
        before.copy_(hidden if flags.starts is None else torch.where(flags.starts[:, t, None], first, hidden))
        asked, asked_gates = (before.to(dtype) @ to_asked).split([wide, 2 * size], 1)
        torch.add(asked, weights.query_bias, out=q)
        scores = torch.mv(energies.of(q).view(-1, wide), energy).view(batch, 1, length)
        torch.bmm(_softmax_(scores, padding, attention), values, out=context)
        from_gates, from_candidate = sums.add_(context.squeeze(1).to(dtype) @ to_sums).split([2 * size, size], 1)
        torch.add(from_gates, asked_gates, out=gates).sigmoid_()
        torch.add(from_candidate, (r * before).to(dtype) @ to_candidate, out=n).tanh_()
        hidden = torch.lerp(before, n, z)
        if flags.mask is not None:
            hidden = torch.where(flags.mask[:, t, None], hidden, before)
    return trace, hidden


def _by_step(*parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors of each step, of parts (T, …)."""
    return zip(*(part.unbind() for part in parts), strict=True)


def _softmax_(scores: Tensor, padding: Tensor | None, out: Tensor) -> Tensor:
    """`_softmax` into `out`; `scores` are overwritten."""
    if padding is None:
        return torch.softmax(scores, -1, out=out)
    torch.softmax(scores.masked_fill_(padding, torch.finfo(scores.dtype).min), -1, out=out)
    return out.masked_fill_(padding, 0.0)


@final
class _BackwardLoop:
    """All steps from the last to the first: the derivatives that they pass on, and those by weights and memory."""

    def __init__(
        self,
        flags: Flags,
        dtype: torch.dtype,
        weights: AdditiveWeights,
        keys: Tensor,
        values: Tensor,
        trace: _AttendingTrace,
    ) -> None:
        self.flags, self.weights, self.values, self.trace = flags, weights, values, trace
        self.products, self.energies = _LoopProducts(weights, dtype), _ReversedEnergies(keys)
        self.width, self.size = keys.shape[2], trace.queries.shape[2]
        steps, batch, _ = trace.queries.shape
        # The derivatives by q, r, z, n before their functions, side by side, as the products read them.
        self.of_sums = keys.new_empty(steps, batch, self.width + 3 * self.size, dtype=dtype)
        self.of_contexts = torch.empty_like(trace.contexts)
        self.of_keys, self.of_energy = torch.zeros_like(keys), keys.new_zeros(1, self.width)

    def run(self, of_queries: Tensor, of_contexts: Tensor, of_hidden: Tensor) -> tuple[Tensor, ...]:
        """The derivatives by the inputs, the carried and the first state, keys, values and weights."""
        mask, starts = self.flags.mask, self.flags.starts
        of_first = torch.zeros_like(of_hidden)
        for t in reversed(range(len(self.trace.queries))):
            real = None if mask is None else mask[:, t, None]
            passed = None if real is None else of_hidden.masked_fill(real, 0.0)
            of_new = of_hidden if real is None else of_hidden.masked_fill(~real, 0.0)
            of_hidden = self.step(t, of_new, of_contexts[:, t]).add_(of_queries[:, t])
            if passed is not None:
                of_hidden += passed
            if starts is not None:
                begins = starts[:, t, None]
                of_first += of_hidden.masked_fill(~begins, 0.0)
                of_hidden = of_hidden.masked_fill(begins, 0.0)
        of_inputs = self.of_sums[:, :, self.width :].transpose(0, 1)
        return of_inputs, of_hidden, of_first, *self._of_memory(), *self._of_weights()

    def step(self, t: int, of_new: Tensor, of_context: Tensor) -> Tensor:
        """The derivative (B, H) by the state that asks, but for that as an output, from that by the state after it."""
        trace, width, size, dtype = self.trace, self.width, self.size, self.products.dtype
        before, n, of_sums = trace.queries[t], trace.candidates[t], self.of_sums[t]
        r, z = trace.gates[t].chunk(2, 1)
        of_candidate = of_new * z
        of_hidden = of_new - of_candidate
        of_candidate = tanh_backward(of_candidate, n, grad_input=of_candidate).to(dtype)
        of_reset = (of_candidate @ self.products.candidate).to(of_new.dtype)
        of_hidden.addcmul_(of_reset, r)
        of_gates = torch.cat([of_reset.mul_(before), (n - before).mul_(of_new)], 1)
        sigmoid_backward(of_gates, trace.gates[t], grad_input=of_gates)
        of_sums[:, width : width + 2 * size], of_sums[:, width + 2 * size :] = of_gates, of_candidate
        of_context = torch.add(of_sums[:, width:] @ self.products.context, of_context, out=self.of_contexts[t])
        of_sums[:, :width] = self._of_query(t, of_context)
        return of_hidden.add_(of_sums[:, : width + 2 * size] @ self.products.asked)

    def _of_query(self, t: int, of_context: Tensor) -> Tensor:
        """The derivative (B, A) by a query, from that by its context; those by keys and energy are added up."""
        attention = self.trace.attention[t]
        of_scores = torch.bmm(of_context.unsqueeze(1), self.values.transpose(1, 2)).squeeze(1)
        of_scores = torch._softmax_backward_data(of_scores, attention, -1, attention.dtype)
        energies = self.energies.of(self.trace.asked[t])
        torch.addmm(self.of_energy, of_scores.view(1, -1), energies.view(-1, self.width), out=self.of_energy)
        energies.addcmul_(energies, energies, value=-1.0)
        self.of_keys.addcmul_(of_scores.unsqueeze(2), energies)
        return torch.bmm(of_scores.unsqueeze(1), energies).squeeze(1).mul_(4.0 * self.weights.energy)

    def _of_memory(self) -> tuple[Tensor, Tensor]:
        """The derivatives by keys and values."""
        of_values = torch.bmm(self.trace.attention.permute(1, 2, 0), self.of_contexts.transpose(0, 1))
        return self.of_keys.mul_(4.0 * self.weights.energy), of_values

    def _of_weights(self) -> tuple[Tensor, ...]:
        """The derivatives by all weights, in the order of `AdditiveWeights`."""
        trace, width, size, wide = self.trace, self.width, self.size, self.of_keys.dtype
        sums = self.of_sums.flatten(0, 1)
        queries, contexts = (part.flatten(0, 1).to(sums.dtype) for part in (trace.queries, trace.contexts))
        reset = (trace.gates[:, :, :size] * trace.queries).flatten(0, 1).to(sums.dtype)
        asked = (sums[:, : width + 2 * size].T @ queries).to(wide)
        candidate = (sums[:, width + 2 * size :].T @ reset).to(wide)
        of_query, of_bias = asked[:width], sums[:, :width].sum(0, dtype=wide)
        of_context = (sums[:, width:].T @ contexts).to(wide)
        return of_query, of_bias, -2.0 * self.of_energy, torch.cat([asked[width:], candidate]), of_context
