"""Linear attention: a state of fixed size that keys write values into and queries read.

One function computes kernel attention with its normaliser (Katharopoulos et al. 2020), decay by a constant (Sun et al.
2023), by position (Dao & Gu 2024) or by channel (Yang et al. 2024), and the delta rule (Schlag et al. 2021) with and
without decay (Yang et al. 2025). Each form is computed chunk by chunk; decay by position has a second chunked form for
heads that share queries and keys. Every form can also be computed position by position, for comparison.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.modes import without_autocast
from sightline.core.probe import Probe
from sightline.core.shapes import AnyFloat, Attended, Float, HeadRates, HeadValues, Rates, SharedQueries, Starts
from sightline.core.transforms import composed
from sightline.ops.chunked_linear import reciprocal
from sightline.ops.chunks import LinearInputs
from sightline.ops.derivatives import Maybe, connected_zeros
from sightline.ops.tiles import Tiled, forward_plain, forward_tiled
from sightline.ops.traced import any_length

CHUNK = 64  # positions whose pairs are formed
DELTA_CHUNK = 32  # the same for the delta rule, which solves a system over them

OneQuery = Float[Tensor, "B G K"]
OneValue = Float[Tensor, "B H V"]
Decays = HeadRates | Rates | Float[Tensor, "B H T K"]
OneDecay = HeadRates | Float[Tensor, "B H"] | Float[Tensor, "B H K"]
OneRate = Float[Tensor, "B H"]
Sums = Float[Tensor, "*rows V"]
Totals = Float[Tensor, "*rows 1"]


class LinearState(NamedTuple):
    """The memory of linear attention, in float32 or wider."""

    memory: Tensor  # (B, H, K, V) decayed sum of kᵀ v
    keys: Tensor | None = None  # (B, H, K) decayed sum of k, where outputs are normalised


def initial_linear_state(
    batch: int, heads: int, d_key: int, d_value: int, *, normaliser: bool = False, like: AnyFloat
) -> LinearState:
    """A state of zeros, in the dtype of `like` or float32 where that is narrower."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    memory = like.new_zeros(batch, heads, d_key, d_value, dtype=dtype)
    return LinearState(memory, like.new_zeros(batch, heads, d_key, dtype=dtype) if normaliser else None)


def linear_attention(
    q: SharedQueries,
    k: SharedQueries,
    v: HeadValues,
    *,
    decay: Decays | None = None,
    beta: Rates | None = None,
    normaliser: bool = False,
    state: LinearState | None = None,
    starts: Starts | None = None,
    stepwise: bool = False,
    probe: Probe | None = None,
) -> tuple[Attended, LinearState]:
    """Causal linear attention: y_t = q_t S_t (B, H, T, V) and the state after the last position.

    S_t = exp(decay_t) S_{t-1} + k_tᵀ v_t, with beta S_t = (I - beta_t k_tᵀ k_t) exp(decay_t) S_{t-1} + beta_t k_tᵀ v_t.
    With `normaliser` y_t = q_t S_t / (q_t · z_t), z_t = exp(decay_t) z_{t-1} + k_t, and 0 where q_t · z_t is 0 or
    subnormal; q and k must then not be negative. The function does not scale q: multiply it first. Example: for k = v =
    1 and decay = log(1/2) at all positions the states are 1, 3/2, 7/4, …

    Each of the G heads of q and k serves H/G consecutive heads of v; G < H excludes `normaliser`, decay by channel and
    beta. `decay` is the finite, non-positive logarithm of the decay factor: (H,) constant for each head, (B, H, T) for
    each position, (B, H, T, K) for each channel too, or None. beta excludes `normaliser` and decay by channel. `starts`
    is True where a new document begins: the state is empty there. T may be any number. A position with k = 0, decay = 0
    and beta = 0 leaves the state as it is.

    Computed in float32, or wider as the inputs are, by chunks of `CHUNK` positions, with beta of `DELTA_CHUNK`, or
    `stepwise`: slow, without chunks. y has the dtype of v.

    y is linear in v: y_t = Σ_s A_ts v_s, plus what the given state adds. With a hook on `probe` A (B, H, T, T) passes
    through it and y is computed from what comes out; this takes time and memory that grow with T².

    Raises:
        ValueError: shapes that do not fit, such as "expected decay of shape (H,), (B, H, T) or (B, H, T, K) …".
    """
    _check(q, k, v, decay, beta, normaliser, starts)
    batch, groups, length, d_key = q.shape
    sizes = batch, v.shape[1], d_key, v.shape[3]
    state = initial_linear_state(*sizes, normaliser=normaliser, like=q) if state is None else state
    _check_state(state, sizes, normaliser)
    dtype = torch.promote_types(state.memory.dtype, torch.promote_types(q.dtype, torch.float32))
    state = LinearState(state.memory.to(dtype), None if state.keys is None else state.keys.to(dtype))
    if v.numel() == 0 or d_key == 0:
        return connected_zeros(v.shape, v, q, k, decay, beta), state
    if length == 1 or stepwise:
        call = _by_positions
    else:
        call = _shared_by_chunks if groups != v.shape[1] else _by_chunks
    y, after = call(q, k, v, decay, beta, state, starts)
    if probe is None or not probe.attached:
        return y, after
    identity = torch.eye(length, dtype=dtype, device=v.device).expand(batch, v.shape[1], -1, -1)
    zeros = torch.zeros_like(state.memory[..., :1]).expand(-1, -1, -1, length)
    weights, _ = call(q, k, identity, decay, beta, LinearState(zeros, state.keys), starts)
    before, _ = call(q, k, torch.zeros_like(v), decay, beta, state, starts)
    weights = probe(weights)
    with without_autocast(v.device):
        return (weights @ v.to(dtype) + before).to(v.dtype), after


def linear_attention_step(
    q: OneQuery,
    k: OneQuery,
    v: OneValue,
    *,
    decay: OneDecay | None = None,
    beta: OneRate | None = None,
    state: LinearState,
) -> tuple[OneValue, LinearState]:
    """One position of `linear_attention`: y (B, H, V) and the next state.

    decay (H,), (B, H) or (B, H, K); beta (B, H). Normalised where the state has a sum of keys. Computed in the state's
    dtype.
    """
    memory, keys = state
    narrow, (q, k, v) = v.dtype, (x.to(memory.dtype) for x in (q, k, v))
    q, k = (_for_each_head(x, v.shape[1]) for x in (q, k))
    if decay is not None:
        factor = decay.to(memory.dtype).exp()
        factor = factor.unsqueeze(-1) if decay.dim() < 3 else factor  # (…, K or 1)
        memory = memory * factor.unsqueeze(-1)
        keys = None if keys is None else keys * factor
    with without_autocast(v.device):
        if beta is not None:
            held = (k.unsqueeze(2) @ memory).squeeze(2)  # (B, H, V)
            v = beta.to(memory.dtype).unsqueeze(-1) * (v - held)
        memory = memory + k.unsqueeze(3) * v.unsqueeze(2)
        y = (q.unsqueeze(2) @ memory).squeeze(2)
    if keys is not None:
        keys = keys + k
        y = normalised(y, (q * keys).sum(-1, keepdim=True))
    return y.to(narrow), LinearState(memory, keys)


def full_linear_attention(
    q: SharedQueries, k: SharedQueries, v: HeadValues, *, normaliser: bool = False, starts: Starts | None = None
) -> Attended:
    """Linear attention without the causal limit: q_t Σ_s k_sᵀ v_s (B, H, T, V) over the position's whole document.

    Divided by q_t · Σ_s k_s with `normaliser`. Heads, `starts` and precision as in `linear_attention`.
    """
    _check(q, k, v, None, None, normaliser, starts)
    dtype = torch.promote_types(q.dtype, torch.float32)
    narrow, (q, k, v) = v.dtype, (_for_each_head(x.to(dtype), v.shape[1]) for x in (q, k, v))
    if starts is None:
        with without_autocast(q.device):
            y = q @ (k.transpose(2, 3) @ v)
            return (normalised(y, q @ k.sum(2).unsqueeze(3)) if normaliser else y).to(narrow)
    if normaliser:
        v = torch.cat([v, torch.ones_like(v[..., :1])], 3)  # its column sums q_t · k_s
    y = linear_attention(q, k, v, starts=starts)[0] + _after(q, k, v, starts)
    return (normalised(y[..., :-1], y[..., -1:]) if normaliser else y).to(narrow)


def normalised(y: Sums, total: Totals) -> Sums:
    """y / total, and 0 with gradient 0 where the total is 0 or subnormal."""
    return y * reciprocal(total)


def _after(q: Tensor, k: Tensor, v: Tensor, starts: Tensor) -> Tensor:
    """The sum over later positions of the document: causal attention over the reversed rows.

    Keys and values are moved one position on, so that no position reads itself a second time.
    """
    begins = torch.cat([torch.ones_like(starts[:, :1]), starts[:, 1:].flip(1)], 1)  # of reversed documents
    q, k, v = (x.flip(2) for x in (q, k, v))
    k, v = (torch.cat([torch.zeros_like(x[:, :, :1]), x[:, :, :-1]], 2) for x in (k, v))
    k = k.masked_fill(begins[:, None, :, None], 0.0)
    return linear_attention(q, k, v, starts=begins)[0].flip(2)


def _by_positions(
    q: Tensor, k: Tensor, v: Tensor, decay: Maybe, beta: Maybe, state: LinearState, starts: Maybe
) -> tuple[Tensor, LinearState]:
    """`linear_attention` position by position."""
    outputs, length = [], q.shape[2]
    rates = ([x] * length if x is None or x.dim() == 1 else x.unbind(2) for x in (decay, beta))
    for t, (q_t, k_t, v_t, decay_t, beta_t) in enumerate(zip(q.unbind(2), k.unbind(2), v.unbind(2), *rates)):
        if starts is not None:
            begins = starts[:, t, None, None]  # (B, 1, 1)
            keys = None if state.keys is None else state.keys.masked_fill(begins, 0.0)
            state = LinearState(state.memory.masked_fill(begins.unsqueeze(3), 0.0), keys)
        y, state = linear_attention_step(q_t, k_t, v_t, decay=decay_t, beta=beta_t, state=state)
        outputs.append(y)
    return y.unsqueeze(2) if length == 1 else torch.stack(outputs, 2), state


def _for_each_head(x: Tensor, heads: int) -> Tensor:
    """x (B, G, …) as (B, H, …), copied where heads share it."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)


def _by_chunks(
    q: Tensor, k: Tensor, v: Tensor, decay: Maybe, beta: Maybe, state: LinearState, starts: Maybe
) -> tuple[Tensor, LinearState]:
    """`linear_attention` for T > 1, heads and batch as rows."""
    batch, heads, length, _ = q.shape
    dtype = state.memory.dtype
    chunk = _even_chunk(length, CHUNK if beta is None else min(CHUNK, DELTA_CHUNK))
    if decay is not None:
        if decay.dim() == 4 and not any_length(length):
            chunk = min(CHUNK, 1 << (length - 1).bit_length())
        decay = decay.to(dtype).expand(batch, heads) if decay.dim() == 1 else decay.to(dtype)
        decay = decay.flatten(0, 1)
    if starts is not None:
        starts = starts.unsqueeze(1).expand(batch, heads, length).flatten(0, 1)
    narrow, (q, k, v) = v.dtype, (x.to(dtype).flatten(0, 1) for x in (q, k, v))
    memory = state.memory.flatten(0, 1)
    keys = None if state.keys is None else state.keys.flatten(0, 1)
    beta = None if beta is None else beta.to(dtype).flatten(0, 1)
    y, memory, keys = _run(LinearInputs(q, k, v, memory, keys, beta, decay, starts), chunk)
    shape = (batch, heads)
    after = LinearState(memory.unflatten(0, shape), None if keys is None else keys.unflatten(0, shape))
    return y.unflatten(0, shape).to(narrow), after


def _shared_by_chunks(
    q: Tensor, k: Tensor, v: Tensor, decay: Maybe, beta: Maybe, state: LinearState, starts: Maybe
) -> tuple[Tensor, LinearState]:
    """`linear_attention` for T > 1 and heads that share queries and keys, groups and batch as rows."""
    batch, groups, length, _ = q.shape
    dtype = state.memory.dtype
    if decay is None:
        decay = v.new_zeros(v.shape[:3], dtype=dtype)
    elif decay.dim() == 1:
        decay = decay[:, None].expand(v.shape[:3])

    def rows(x: Tensor) -> Tensor:  # (B, H, ·, …) as (B G, ·, H/G, …)
        return x.to(dtype).unflatten(1, (groups, -1)).transpose(2, 3).flatten(0, 1)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(0, (batch, groups)).transpose(2, 3).flatten(1, 2)

    starts = None if starts is None else starts.repeat_interleave(groups, 0)
    q, k = (x.to(dtype).flatten(0, 1) for x in (q, k))
    inputs = LinearInputs(q, k, rows(v), rows(state.memory), decay=rows(decay), starts=starts)
    y, memory, _ = _run(inputs, _even_chunk(length, CHUNK))
    return heads(y).to(v.dtype), LinearState(heads(memory))


def _even_chunk(length: int, longest: int) -> int:
    """The shortest chunk of which as few fill `length` as of chunks of `longest`."""
    return longest if any_length(length) else -(-length // -(-length // longest))


def _run(inputs: LinearInputs, chunk: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """With the explicit backward where a graph is recorded; torch's compiler and its transforms
    derive their own from the plain operations.
    """
    with without_autocast(inputs.q.device):
        if composed():
            return forward_plain(inputs, chunk)
        if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs):
            return Tiled.apply(chunk, *inputs)
        return forward_tiled(inputs, chunk)


def _check(q: Tensor, k: Tensor, v: Tensor, decay: Maybe, beta: Maybe, normaliser: bool, starts: Maybe) -> None:
    if q.dim() != 4 or k.shape != q.shape or v.dim() != 4 or v.shape[:3:2] != q.shape[:3:2]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        raise ValueError(f"expected q and k of shape (B, H, T, K) and v of shape (B, H, T, V), got {shapes}")
    groups, heads, by_channel = q.shape[1], v.shape[1], decay is not None and decay.dim() == 4
    if groups != heads:
        if groups == 0 or heads % groups:
            raise ValueError(f"{heads} heads of v cannot share {groups} heads of q and k evenly")
        if beta is not None or normaliser or by_channel:
            raise ValueError("shared q and k allow decay of shape (H,) or (B, H, T), but no beta and no normaliser")
    shapes = {1: v.shape[1:2], 3: v.shape[:3], 4: torch.Size((*v.shape[:3], q.shape[3]))}
    if decay is not None and decay.shape != shapes.get(decay.dim()):
        expected = f"(H,), (B, H, T) or (B, H, T, K) beside q of {tuple(q.shape)}"
        raise ValueError(f"expected decay of shape {expected}, got {tuple(decay.shape)}")
    if beta is not None:
        if beta.shape != v.shape[:3]:
            raise ValueError(f"expected beta of shape {tuple(v.shape[:3])}, got {tuple(beta.shape)}")
        if normaliser:
            raise ValueError("the delta rule (beta) has no normaliser")
        if by_channel:
            raise ValueError("the delta rule (beta) takes decay of shape (H,) or (B, H, T), not by channel")
    if starts is not None and (starts.dtype != torch.bool or starts.shape != (q.shape[0], q.shape[2])):
        expected = f"bool of shape {(q.shape[0], q.shape[2])}"
        raise ValueError(f"starts must be {expected}, got {starts.dtype} {tuple(starts.shape)}")


def _check_state(state: LinearState, sizes: tuple[int, int, int, int], normaliser: bool) -> None:
    if state.memory.shape != sizes:
        raise ValueError(f"expected a state of shape {sizes}, got {tuple(state.memory.shape)}")
    if (state.keys is not None) != normaliser:
        has = "no" if state.keys is None else "a"
        raise ValueError(f"the state has {has} sum of keys, but normaliser is {normaliser}")
