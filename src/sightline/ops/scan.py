"""Elementwise linear recurrences over all positions at once: gated recurrences without U h are of this form.

h_t = a_t ∘ h_{t-1} + b_t is associative (Blelloch 1990, "Prefix Sums and Their Applications"), so that a row can be cut
into chunks that are computed together. Heinsen (2023, arXiv:2311.06281) and Feng et al. (2024, arXiv:2410.01201) use
cumulative sums of log a and a log-cumsum-exp, which need a, b > 0 and divide by products that vanish. This module
neither divides nor takes logarithms: any 0 <= |a| <= 1 is safe, a = 0 included, and b may have any sign.

Method: a loop over the positions of a chunk advances all chunks together from h = 0 and multiplies the a; a loop over
the chunks computes the true state before each; a second loop over positions writes h. This reads a and b twice and
writes h once, where doubling (log₂ T rounds) moves a, b and h log₂ T times. Example with two chunks, a = 1/2, b = 1 and
h_0 = 0: [1 3/2] [1 3/2] after the first loop; the second chunk's true first state is 3/2, and its products of a are 1/2
and 1/4; so the second loop writes [1 3/2] [7/4 15/8]. Where one position of all rows is enough work for a call, there
is one chunk and one loop, which moves every number once. The backward is the same recurrence from the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.shapes import Elementwise, Num
from sightline.core.transforms import composed
from sightline.ops.traced import TracedTensors, any_length, traced_scan

GRAIN = 32768  # numbers for which a call's work outweighs its overhead
FEWEST = 16  # chunks below which a second loop costs more than it saves

ScanRows = Num[Tensor, "B T D"]
ScanState = Num[Tensor, "B D"]
SameShape = Num[Tensor, "*shape"]


def linear_scan(a: ScanRows, b: ScanRows, initial: ScanState) -> ScanRows:
    """h (B, T, D) with h_t = a_t ∘ h_{t-1} + b_t and h_0 = initial (B, D).

    a and b are real or complex, |a| <= 1; a may be expanded. Differentiable twice and more. 16-bit inputs are computed
    in float32 and the result is rounded. For a new document with first state s, add a_t ∘ s to b_t and set a_t = 0; for
    padding set a_t = 1 and b_t = 0.
    """
    a, b, initial, dtype = _alike(a, b, initial)
    if b.numel() == 0:
        return b.to(dtype)
    if any_length(b.shape[1]):
        return _traced(lambda h, a, b: torch.addcmul(b, a, h), a, b, initial).to(dtype)
    if composed():
        return scan_by_doubling(a, b, initial).to(dtype)
    return _LinearScan.apply(a, b, initial).to(dtype)


def gated_scan(z: ScanRows, c: ScanRows, initial: ScanState) -> ScanRows:
    """h (B, T, D) with h_t = (1 - z_t) ∘ h_{t-1} + z_t ∘ c_t and h_0 = initial (B, D): `linear_scan` with one gate.

    0 <= z <= 1; neither 1 - z nor z ∘ c is formed, so that a small z keeps all its digits.
    """
    z, c, initial, dtype = _alike(z, c, initial)
    if c.numel() == 0:
        return c.to(dtype)
    if any_length(c.shape[1]):
        return _traced(lambda h, z, c: torch.lerp(h, c, z), z, c, initial).to(dtype)
    if composed():
        return scan_by_doubling(1.0 - z, z * c, initial).to(dtype)
    return _GatedScan.apply(z, c, initial).to(dtype)


def scan_by_doubling(a: ScanRows, b: ScanRows, initial: ScanState) -> ScanRows:
    """`linear_scan` in log₂ T rounds of plain operations (Hillis & Steele 1986), for a compiler or `torch.func`."""
    h = torch.cat([a[:, :1] * initial.unsqueeze(1) + b[:, :1], b[:, 1:]], 1)
    span = 1
    while span < h.shape[1]:
        h = torch.cat([h[:, :span], h[:, span:] + a[:, span:] * h[:, :-span]], 1)
        a = torch.cat([a[:, :span], a[:, span:] * a[:, :-span]], 1)
        span *= 2
    return h


def _traced(advance: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, y: Tensor, initial: Tensor) -> Tensor:
    """The recurrence h ← advance(h, x_t, y_t) for a length that `torch.export` leaves open."""

    def step(
        carried: TracedTensors, inputs: TracedTensors, constants: TracedTensors
    ) -> tuple[TracedTensors, TracedTensors]:
        h = advance(*carried, *inputs)
        return (h,), (h,)

    return traced_scan(step, [initial], [x, y])[1][0]


def positive(x: Elementwise) -> Elementwise:
    """g(x) = x + 1/2 for x >= 0 and σ(x) below: a candidate that is positive (Feng et al. 2024).

    That is max(σ(x), x + 1/2), whose derivative is 1 where g >= 1/2 and g (1 - g) below.
    """
    if composed():
        return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))
    return _Positive.apply(x)


@final
class _Positive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        g = write_positive(x, torch.empty_like(x))
        ctx.save_for_backward(g)
        return g

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,) = grads
        (g,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return grad * torch.where(g >= 0.5, 1.0, g - g * g)
        return positive_slope(g, torch.empty_like(g)).mul_(grad)


def write_positive(x: Elementwise, out: Elementwise) -> Elementwise:
    """`positive` of x, written to `out`; no graph is recorded."""
    torch.sigmoid(x, out=out)
    return torch.maximum(out, x + 0.5, out=out)


def positive_slope(g: Elementwise, room: Elementwise) -> Elementwise:
    """The derivative of `positive` where it is g, computed in memory of the same shape; no graph is recorded."""
    torch.ge(g, 0.5, out=room)  # a blend by zeros and ones, several times faster than a fill by a mask of bits
    return torch.lerp(torch.addcmul(g, g, g, value=-1.0), g.new_ones(()), room, out=room)


class ScanStep(NamedTuple):
    """One step of a recurrence with two coefficients x, y."""

    advance: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (h, x, y, out) -> the next h, in out
    decay: Callable[[Tensor, Tensor], Tensor]  # (p, x) -> p times what h is multiplied by, in p


LINEAR = ScanStep(lambda h, a, b, out: torch.addcmul(b, a, h, out=out), lambda p, a: p.mul_(a))
GATED = ScanStep(lambda h, z, c, out: torch.lerp(h, c, z, out=out), lambda p, z: p.addcmul_(p, z, value=-1.0))


@final
class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
        h = empty_like(b)
        fill(h, LINEAR, a, b, initial)
        ctx.save_for_backward(a, initial, h)
        return h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        a, initial, h = ctx.saved_tensors
        a = _conjugate(a)
        g = _suffix_sums(a, grad)  # the gradient of b
        of_initial = a[:, 0] * g[:, 0]
        if not ctx.needs_input_grad[0]:
            return None, g, of_initial
        if torch.is_grad_enabled():
            return g * _previous(h, initial).conj(), g, of_initial
        of_a = empty_like(g)
        of_a[:, 0] = initial.conj()
        of_a[:, 1:] = h[:, :-1].conj()
        return of_a.mul_(g), g, of_initial


@final
class _GatedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, c: Tensor, initial: Tensor) -> Tensor:
        h = empty_like(c)
        fill(h, GATED, z, c, initial)
        ctx.save_for_backward(z, c, initial, h)
        return h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        (grad,) = grads
        z, c, initial, h = ctx.saved_tensors
        a = 1.0 - z
        g = _suffix_sums(a, grad)
        of_initial = a[:, 0] * g[:, 0]
        if torch.is_grad_enabled():
            return g * (c - _previous(h, initial)), g * z, of_initial
        torch.sub(c[:, 1:], h[:, :-1], out=a[:, 1:])
        torch.sub(c[:, 0], initial, out=a[:, 0])
        return a.mul_(g), g.mul_(z), of_initial


def _suffix_sums(a: Tensor, grad: Tensor) -> Tensor:
    """g (B, T, D) with g_t = grad_t + a_{t+1} ∘ g_{t+1}, the recurrence from the end."""
    if torch.is_grad_enabled():  # for a derivative of the derivative
        rest = linear_scan(a[:, 1:].flip(1), grad[:, :-1].flip(1), grad[:, -1])
        return torch.cat([rest.flip(1), grad[:, -1:]], 1)
    g = empty_like(grad)
    g[:, -1] = grad[:, -1]
    if g.shape[1] > 1:
        fill(g[:, :-1], LINEAR, a[:, 1:], grad[:, :-1], g[:, -1], from_end=True)
    return g


def fill(h: ScanRows, step: ScanStep, x: ScanRows, y: ScanRows, state: ScanState, from_end: bool = False) -> None:
    """Write the recurrence from `state` (B, D) into h (B, T, D), T >= 1, forwards or from the last position.

    No graph is recorded. h may share its memory with x or y.
    """
    steps = h.shape[1]
    chunks = _chunks(h.shape[0] * h.shape[2], steps)
    if chunks > 1:
        rest = steps % chunks
        whole, rest = (slice(rest, None), slice(rest)) if from_end else (slice(steps - rest), slice(steps - rest, None))
        _fill_chunks(h[:, whole], step, x[:, whole], y[:, whole], state, chunks, from_end)
        state = h[:, whole][:, 0 if from_end else -1]
        h, x, y = h[:, rest], x[:, rest], y[:, rest]
    for h_t, x_t, y_t in _positions(1, from_end, h, x, y):
        state = step.advance(state, x_t, y_t, h_t)


def _fill_chunks(h: Tensor, step: ScanStep, x: Tensor, y: Tensor, state: Tensor, chunks: int, from_end: bool) -> None:
    """`fill` for T a multiple of `chunks`, which advance together."""
    h, x, y = (part.unflatten(1, (chunks, -1)) for part in (h, x, y))  # (B, chunks, length, D)
    ends = h.new_zeros(h.shape[0], chunks, h.shape[3])
    decays = torch.ones_like(ends)
    for x_t, y_t in _positions(2, from_end, x, y):
        step.advance(ends, x_t, y_t, ends)
        step.decay(decays, x_t)
    states = empty_like(ends)
    for state_k, decay_k, end_k in _positions(1, from_end, states, decays, ends):
        state_k.copy_(state)
        state = torch.addcmul(end_k, decay_k, state)
    for h_t, x_t, y_t in _positions(2, from_end, h, x, y):
        states = step.advance(states, x_t, y_t, h_t)


def _positions(axis: int, from_end: bool, *parts: Tensor) -> Any:
    """Views of the parts, position by position along the axis."""
    listed = [part.unbind(axis) for part in parts]
    return zip(*(reversed(views) for views in listed)) if from_end else zip(*listed)


def _chunks(width: int, steps: int) -> int:
    """The number of chunks that advance together where one position has `width` numbers.

    As many as fill a call, and no more than √(3 T), where the three loops make the fewest calls.
    """
    chunks = min(GRAIN // width, math.isqrt(3 * steps))
    return chunks if chunks >= FEWEST else 1


def _previous(h: Tensor, initial: Tensor) -> Tensor:
    """h_{t-1} for every t."""
    return torch.cat([initial.unsqueeze(1), h[:, :-1]], 1)


def _conjugate(a: Tensor) -> Tensor:
    """The conjugate in memory of its own, since each call would compute a lazy one again; expanded as a is."""
    if not a.is_complex():
        return a
    constant = a.stride(0) == 0 and a.stride(1) == 0
    return torch.conj_physical(a[:1, :1] if constant else a).expand_as(a)


def empty_like(like: SameShape) -> SameShape:
    """Contiguous memory for a tensor of this shape and dtype."""
    return torch.empty_like(like, memory_format=torch.contiguous_format)


def _alike(a: Tensor, b: Tensor, initial: Tensor) -> tuple[Tensor, Tensor, Tensor, torch.dtype]:
    """The three in one dtype of at least 32 bits, and the dtype of the result."""
    if a.shape != b.shape or b.dim() != 3 or initial.shape != (b.shape[0], b.shape[2]):
        shapes = "{}, {} and {}".format(*(tuple(x.shape) for x in (a, b, initial)))
        raise ValueError(f"a scan needs two (B, T, D) and an initial (B, D), got {shapes}")
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), initial.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    return a.to(wide), b.to(wide), initial.to(wide), dtype
