"""Positions of tokens: counters that skip padding and restart with documents, and the encodings built on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.doubles import doubled, narrowed, precise
from sightline.core.errors import InputError
from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.core.shapes import Counts, Keys, Mask, MixedSequences, Queries, Sequences, Slopes, Starts, TokenPositions
from sightline.core.transforms import batched, composed, several_gradients

PositionEncoding = Literal["none", "sinusoidal", "rotary", "alibi", "learned"]


def advance(
    position: Counts, steps: int, mask: Mask | None = None, starts: Starts | None = None
) -> tuple[TokenPositions, Counts]:
    """Positions (B, T) of the next `steps` tokens and the next position (B,) after them.

    position (B,) counts the real tokens of the current document so far; padding is not counted, a start begins at 0.
    """
    if mask is None and starts is None:
        return position.unsqueeze(1) + torch.arange(steps, device=position.device), position + steps
    shape = (position.shape[0], steps)
    real = torch.ones(shape, dtype=torch.long, device=position.device) if mask is None else mask.long()
    before = real.cumsum(1) - real  # (B, T) real tokens of this call before t
    offset = -position.unsqueeze(1).expand(shape)
    if starts is not None and steps:
        at_start = torch.where(starts, before, torch.full_like(before, torch.iinfo(torch.long).min))
        latest = at_start.cummax(1).values
        offset = torch.where(latest >= 0, latest, offset)
    positions = before - offset
    return positions, (positions[:, -1] + real[:, -1] if steps else position)


def sinusoid(positions: Tensor, d_model: int, dtype: torch.dtype) -> Tensor:
    """Sinusoidal encodings (…, d_model): sin and cos of pos / 10000^(2i/d) interleaved (Vaswani et al. 2017, § 3.5)."""
    at = doubled(positions)
    pair = torch.arange((d_model + 1) // 2, device=at.device)
    angle = at.unsqueeze(-1) * torch.exp(pair.double() * (-2.0 * math.log(10000.0) / d_model))
    table = torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)[..., :d_model]
    return narrowed(table, dtype, positions.device)


TABLED = 8192  # positions whose encodings are looked up while nothing is learned

_tables: dict[tuple[str, int, torch.dtype], Tensor] = {}


def looked_up(
    kind: str, positions: Tensor, size: int, compute: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> Tensor:
    """`compute(positions)`, (B, T, size) of (B, T), from a table that is kept: on a CPU and without gradients."""
    plain = type(positions) is Tensor and positions.device.type == "cpu" and not torch.is_grad_enabled()
    if not plain or composed() or not 0 < positions.numel() <= TABLED or (last := int(positions.max())) >= TABLED:
        return compute(positions)
    table = _tables.get((kind, size, dtype))
    if table is None or len(table) <= last:
        count = min(TABLED, max(256, 2 * last))
        table = _tables[kind, size, dtype] = compute(torch.arange(count).unsqueeze(0)).squeeze(0)
    return table[positions]


def rotate(x: Queries, positions: TokenPositions) -> Queries:
    """Rotary encoding (Su et al. 2021, eq. 34) of x (B, H, T, K) at positions (B, T), in GPT-NeoX's half-split layout.

    Dimension i < K/2 is paired with i + K/2 and turned by pos · 10000^(-2i/K); an odd last dimension stays.
    """
    return _turned(x, *_turns(positions, x.shape[-1] // 2, x.dtype))


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    if composed():
        return _turned_by_parts(x, cos, sin)
    return _Rotation.apply(x, cos, sin) if torch.is_grad_enabled() else _turned_in_place(x, cos, sin)


def _turned_by_parts(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = cos.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], -1)


def _turned_in_place(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The same with half the passes over memory."""
    half = cos.shape[-1]
    y = x.new_empty(x.shape)  # contiguous, as kernels of attention take it
    first, second = x[..., :half], x[..., half : 2 * half]
    torch.mul(first, cos, out=y[..., :half]).sub_(second * sin)
    torch.mul(second, cos, out=y[..., half : 2 * half]).add_(first * sin)
    if 2 * half < x.shape[-1]:
        y[..., 2 * half :] = x[..., 2 * half :]
    return y


@final
class _Rotation(torch.autograd.Function):
    """`_turned_in_place`, whose gradient is the rotation back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned_in_place(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        back = _turned_by_parts if several_gradients(grads[0]) else _Rotation.apply
        return back(grads[0], cos, -sin), None, None


def _turns(positions: Tensor, half: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B or 1, 1, T, K/2) of the angles at positions (B, T), K/2 = `half`.

    On a CPU, rows that count alike from 0 share a table, which layers and steps share too. The layers of a step share
    its turns.
    """
    known = type(positions) is Tensor and positions.device.type == "cpu" and positions.numel()
    if known and not composed():
        if _is_step(positions) and max(at := positions.flatten().tolist()) < TABLED:
            return _turns_of_step((at[0],) if at.count(at[0]) == len(at) else tuple(at), half, dtype)
        counted = torch.arange(positions.shape[1])
        if bool((positions == counted).all()):
            return _turns_from_zero(positions.shape[1], half, dtype)

    return _turns_looked_up(positions, half, dtype)


def _is_step(positions: Tensor) -> bool:
    """Whether these are positions (B, 1) of a step that records no gradient."""
    return positions.shape[1] == 1 and not torch.is_grad_enabled()


def _turns_looked_up(positions: Tensor, half: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    def both(positions: Tensor) -> Tensor:
        return torch.cat(_turns_at(positions, half, dtype), -1).squeeze(1)  # (B, T, K)

    turns = looked_up("rotary", positions, 2 * half, both, dtype).unsqueeze(1)
    return turns[..., :half], turns[..., half:]


@lru_cache(maxsize=8)
def _turns_of_step(at: tuple[int, ...], half: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The turns of rows at these positions; (1, 1, 1, K/2) for all rows where there is one."""
    return _turns_looked_up(torch.tensor(at).unsqueeze(1), half, dtype)


@lru_cache(maxsize=8)
def _turns_from_zero(steps: int, half: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        return _turns_at(torch.arange(steps).unsqueeze(0), half, dtype)


def _turns_at(positions: Tensor, half: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    at = doubled(positions)
    rate = torch.exp(torch.arange(half, device=at.device).double() * (-math.log(10000.0) / max(half, 1)))
    angle = at[:, None, :, None] * rate  # (B, 1, T, K/2) in double: exact at long range
    return narrowed(angle.cos(), dtype, positions.device), narrowed(angle.sin(), dtype, positions.device)


def alibi_slopes(heads: int) -> Slopes:
    """ALiBi's slope for each head (H,): 2^(-8i/H); for other counts than powers of two the authors' interleaving."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    extra = [2.0 ** (-4.0 * (i + 1) / power) for i in range(2 * power)][0::2]
    return torch.tensor((slopes + extra)[:heads], dtype=torch.float64)


class PositionState(NamedTuple):
    """The position of each row."""

    position: Tensor  # (B,) real tokens of the current document so far


@final
class AddPositions(SequenceMixer[PositionState]):
    """x plus an encoding of each token's position: `sinusoidal`, or `learned` with `limit` rows.

    Raises `InputError` where a learned table is too short: `position 512 exceeds the 512 learned positions`.
    """

    undecayed = ("table",)  # parameters without weight decay

    def __init__(self, d_model: int, kind: Literal["sinusoidal", "learned"] = "sinusoidal", limit: int = 1024) -> None:
        super().__init__()
        if kind not in ("sinusoidal", "learned"):
            raise ValueError(f"added positions are 'sinusoidal' or 'learned', got {kind!r}")
        self.d_model = self.d_out = d_model
        self.kind, self.limit = kind, limit
        if kind == "learned":
            self.table = nn.Parameter(0.02 * torch.randn(limit, d_model))
        self.register_buffer("empty", torch.zeros(0), persistent=False)  # is where the module is

    def initial_state(self, batch: int, memory: Memory | None = None) -> PositionState:
        return PositionState(torch.zeros(batch, dtype=torch.long, device=self.empty.device))

    def forward(
        self, x: Sequences, state: PositionState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, PositionState]:
        check_inputs(x, self.d_model, mask, starts)
        position = self.initial_state(x.shape[0]).position if state is None else state.position
        positions, after = advance(position, x.shape[1], mask, starts)
        return keep(x + self.encode(positions, x.dtype), mask), PositionState(after)

    def encode(self, positions: TokenPositions, dtype: torch.dtype) -> Sequences:
        """Encodings (B, T, D) of positions (B, T)."""
        if self.kind == "sinusoidal":
            compute = partial(sinusoid, d_model=self.d_model, dtype=dtype)
            return looked_up("sinusoidal", positions, self.d_model, compute, dtype)
        looked_at = not (torch.compiler.is_exporting() or batched(positions))
        if looked_at and positions.numel() and int(positions.max()) >= self.limit:
            raise InputError(f"position {int(positions.max())} exceeds the {self.limit} learned positions")
        return self.table[positions].to(dtype)


def position_limit(module: nn.Module) -> int | None:
    """The most positions that a module can read; None where it has no limit."""
    limits = [part.limit for part in module.modules() if isinstance(part, AddPositions) and part.kind == "learned"]
    return min(limits, default=None)


@final
class AttentionPositions(nn.Module):
    """The positions of one attention layer: added to its input, as a rotation of queries and keys, or as a bias."""

    def __init__(self, kind: PositionEncoding, d_model: int, heads: int) -> None:
        super().__init__()
        if kind not in ("none", "sinusoidal", "rotary", "alibi", "learned"):
            raise ValueError(f"positions must be none, sinusoidal, rotary, alibi or learned, got {kind!r}")
        self.kind = kind
        self.added = AddPositions(d_model, kind) if kind in ("sinusoidal", "learned") else None
        self.register_buffer("slopes", alibi_slopes(heads) if kind == "alibi" else None, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> AttentionPositions:
        """Moves the slopes, as float32 to a device that lacks float64."""
        if self.slopes is not None and self.slopes.dtype == torch.float64:
            self.slopes = self.slopes.to(precise(fn(self.slopes.new_zeros(0, dtype=torch.float32)).device))
        return super()._apply(fn, recurse)

    def keep_heads(self, numbers: Sequence[int]) -> None:
        """Leave the slopes of the heads with these numbers alone; see `parts.attention_heads.PrunableHeads`."""
        self.slopes = None if self.slopes is None else self.slopes[list(numbers)]

    def add(self, x: Sequences, positions: TokenPositions) -> Sequences:
        """The layer's input x (B, T, D), with encodings added where the kind is sinusoidal or learned."""
        return x if self.added is None else x + self.added.encode(positions, x.dtype)

    def turn(self, q: Queries, k: Keys, positions: TokenPositions) -> tuple[Queries, Keys]:
        """Queries (B, H, T, K) and keys (B, G, T, K), turned where the kind is rotary."""
        if self.kind != "rotary":
            return q, k
        cos, sin = _turns(positions, k.shape[-1] // 2, k.dtype)
        if not composed() and _is_step(positions):  # one rotation of few numbers costs as much as another
            q, k = _turned(torch.cat([q, k], 1), cos, sin).split([q.shape[1], k.shape[1]], 1)
            return q, k
        k = _turned(k, cos, sin)  # first: the order in which gradients are added is that of version 0.1.0
        return _turned(q, cos, sin), k
