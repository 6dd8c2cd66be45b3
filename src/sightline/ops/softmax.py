"""Softmax attention of any pattern: by pieces where the kernel for them is at hand, with an explicit mask elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.probe import Probe
from sightline.ops.attend import alibi_bias, attend, attend_in_blocks
from sightline.ops.block_patterns import BlockLayout, BlockMask
from sightline.ops.blocks import Gathered, Piece, attend_pieces, available
from sightline.ops.documents import Documents, label_documents, right_padded, split_documents
from sightline.ops.pattern import Pattern

TRIM_FROM = 384  # queries from which a causal call is cut up: at 256 that gains nothing, at 512 a fifth of the time
TRIM_TO = 768  # from here on torch's kernel wastes less, and only one thread gains by cutting (1.14 at 1,024, two 0.96)
SLOPED = 2**24  # pairs of a query and a key up to which ALiBi's penalty is formed for whole pieces, float64


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool,
    window: int | None = None,
    sinks: int = 0,
    blocks: BlockMask | BlockLayout | None = None,
    mask: Tensor | None = None,
    starts: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """softmax(scale · q kᵀ) v over the keys that a query may see, shape (B, H, T, V); zeros where it sees none.

    q (B, H, T, K), k (B, G, S, K), v (B, G, S, V), every key head serving H/G consecutive query heads; scale defaults
    to 1/√K. The last query stands at the last key, S >= T, so that queries may follow a cache. A query sees a key that
    is

    - not after it, where `causal`;
    - itself or one of the `window` - 1 positions before it, and after it where not `causal`; or, with `sinks`, one of
      the first so many keys. Cost grows with T·window;
    - in a block that its own block sees in `blocks`: a matrix, or a named pattern without one. Cost grows with the
      blocks seen;
    - real in `mask` (B, S) bool. What stands elsewhere, NaN too, reaches nothing, and the output there is 0;
    - of its own document: `starts` (B, S) bool is True where a new one begins, with which positions, sinks and blocks
      begin anew. Other documents cost nothing.

    On a CPU the blocks that are seen are computed by torch's fused kernel and joined exactly (`ops.blocks`); elsewhere,
    and under `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`, an explicit mask is formed for some queries at a time.

    Raises:
        ValueError: "4 queries cannot stand at the end of 3 keys"; "window must be at least 1, got 0"; "sinks need a
            causal window"; "window and blocks exclude each other"; "100 positions are 7 blocks of 16, and the mask is
            for 6"; "mask must be bool of shape (2, 9), got …".
    """
    _check(q, k, causal, window, sinks, blocks, mask, starts)
    pattern = Pattern(causal, window, sinks, blocks)
    # A named pattern of blocks may depend on how many there are: documents with equally many share a call.
    bucket = None if causal or blocks is None else blocks.number
    if mask is None:
        if starts is None:
            return attend_pattern(q, k, v, pattern=pattern, scale=scale)
        split = split_documents(None, starts)
        return attend_documents(q, k, v, split, lambda _: pattern, scale=scale, bucket=bucket)
    own = mask[:, None, mask.shape[1] - q.shape[2] :, None]  # (B, 1, T, 1)
    q = q.masked_fill(~own, 0.0)
    k, v = (x.masked_fill(~mask[:, None, :, None], 0.0) for x in (k, v))
    short = starts is None and k.shape[2] < TRIM_FROM
    if causal and window is None and blocks is None and not short:  # what hides nothing but itself is left out
        return attend_documents(q, k, v, split_documents(mask, starts), lambda _: pattern, scale=scale)
    if starts is None:
        hides = None if causal and right_padded(mask) else mask
        y = attend_pattern(q, k, v, pattern=pattern, real=hides, scale=scale)
    else:
        split = split_documents(None, starts)
        y = attend_documents(q, k, v, split, lambda _: pattern, real=mask, scale=scale, bucket=bucket)
    return y.masked_fill(~own, 0.0)


def _check(
    q: Tensor,
    k: Tensor,
    causal: bool,
    window: int | None,
    sinks: int,
    blocks: BlockMask | BlockLayout | None,
    mask: Tensor | None,
    starts: Tensor | None,
) -> None:
    if q.shape[2] > k.shape[2]:
        raise ValueError(f"{q.shape[2]} queries cannot stand at the end of {k.shape[2]} keys")
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    if sinks and (not causal or window is None):
        raise ValueError("sinks need a causal window")
    if window is not None and blocks is not None:
        raise ValueError("window and blocks exclude each other")
    if blocks is not None:
        blocks.check(k.shape[2], causal)
    expected = (k.shape[0], k.shape[2])
    for name, flags in (("mask", mask), ("starts", starts)):
        if flags is not None and (flags.dtype != torch.bool or flags.shape != expected):
            raise ValueError(f"{name} must be bool of shape {expected}, got {flags.dtype} {tuple(flags.shape)}")


def attend_pattern(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    pattern: Pattern,
    real: Tensor | None = None,
    slopes: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
) -> Tensor:
    """`attention` over finite tensors for one document a row: real (B, S) hides keys, slopes (H,) are ALiBi's.

    Position counts keys, so that ALiBi needs rows without sinks left behind. With `softcap` (see `ops.attend`), or with
    a listener on `probe`, the weights (B, H, T, S) are formed, and pass through the probe.
    """
    steps, length = q.shape[2], k.shape[2]
    reach = (pattern.window or 0) + (pattern.sinks if steps == 1 else 0)
    if pattern.window is not None and pattern.causal and length <= reach:
        pattern = Pattern(True)
    cut = pattern.causal and real is None if slopes is None else steps * length <= SLOPED
    whole = slopes is None and steps == length  # what torch's kernel does by itself
    pays = not pattern.everywhere or (cut and steps >= TRIM_FROM and (not whole or _gains(steps)))
    plain = softcap is not None or (probe is not None and probe.attached)
    if pays and not plain and q.numel() and length and available(q):
        return _by_pieces(q, k, v, pattern, real, slopes, scale)
    hides = None if real is None else real[:, None, None, :]
    if pattern.everywhere and slopes is None and softcap is None and not (pattern.causal and real is not None):
        return attend(q, k, v, visible=hides, causal=pattern.causal, scale=scale, probe=probe)

    def relate(first: int, last: int) -> tuple[Tensor | None, Tensor | None]:
        visible = None if pattern.everywhere else pattern.visible(first, last, steps, length, q.device)[None, None]
        if hides is not None:
            visible = hides if visible is None else visible & hides
        if slopes is None:
            return visible, None
        at = torch.arange(length - steps + first, length - steps + last, device=q.device).unsqueeze(1)
        distance = (at - torch.arange(length, device=q.device)).abs()
        return visible, alibi_bias(slopes, distance, q.dtype)[None]

    return attend_in_blocks(q, k, v, relate, causal=pattern.causal, scale=scale, softcap=softcap, probe=probe)


def _gains(steps: int) -> bool:
    """Whether a causal call over as many keys as queries is faster in pieces than by torch's kernel."""
    return steps < TRIM_TO or torch.get_num_threads() == 1


def attend_labelled(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    labels: Tensor,
    places: Tensor,
    *,
    pattern: Pattern,
    slopes: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
) -> Tensor:
    """`attend_pattern` inside each document, by an explicit mask: `labels` (B, S) say which one, -1 = padding.

    `places` (B, S) are the positions there, in ascending order; the queries stand at the end of the keys. Padding gets
    zeros.
    """
    steps, length = q.shape[2], k.shape[2]
    own, at = labels[:, length - steps :], places[:, length - steps :]  # (B, T)
    own = own.masked_fill(own < 0, -2)

    def relate(first: int, last: int) -> tuple[Tensor, Tensor | None]:
        here = at[:, first:last, None]
        visible = own[:, first:last, None] == labels.unsqueeze(1)  # (B, T, S)
        if not pattern.everywhere:
            visible = visible & pattern.sees(here, places.unsqueeze(1), length)
        bias = None if slopes is None else alibi_bias(slopes, (here - places.unsqueeze(1)).abs(), q.dtype)
        return visible.unsqueeze(1), bias

    return attend_in_blocks(q, k, v, relate, causal=pattern.causal, scale=scale, softcap=softcap, probe=probe)


def attend_packed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    starts: Tensor | None,
    places: Tensor,
    pattern_of: Callable[[int], Pattern],
    *,
    slopes: Tensor | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
) -> Tensor:
    """`attend_labelled` from mask and starts (B, T), T = S, on the path that is fastest; see `attend_documents`.

    What stands at padding is not said: it gets zeros, or, where padding only follows, what its position would see.
    """
    steps = q.shape[2]
    pattern, named = pattern_of(steps), {"slopes": slopes, "softcap": softcap, "probe": probe}
    if mask is None and starts is None:
        return attend_pattern(q, k, v, pattern=pattern, **named)
    heard = probe is not None and probe.attached  # then padding has to have no weights
    simple = starts is None and pattern.causal and steps < TRIM_FROM and not heard
    if simple and mask is not None and right_padded(mask):
        return attend_pattern(q, k, v, pattern=pattern, **named)
    if pattern.everywhere and not (steps >= TRIM_FROM and available(q)):
        labels, _ = label_documents(places.new_zeros(len(places)), mask, starts, steps)
        return attend_labelled(q, k, v, labels, places, pattern=pattern, **named)
    return attend_documents(q, k, v, split_documents(mask, starts), pattern_of, **named)


@torch.compiler.disable  # which pieces there are follows from values: each would break the graph anew
def _by_pieces(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: Pattern,
    real: Tensor | None,
    slopes: Tensor | None,
    scale: float | None,
) -> Tensor:
    """By pieces, row by row where keys are hidden and head by head where ALiBi tells the heads apart.

    16-bit inputs are computed in float32 (`ops.attend` says why); keys and values of different widths are padded.
    """
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else scale
    steps, length, width = q.shape[2], k.shape[2], v.shape[3]
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    wide = torch.promote_types(q.dtype, torch.float32)
    widest = max(q.shape[3], width)
    inputs = [F.pad(x, (0, widest - x.shape[3])) if x.shape[3] < widest else x for x in (q, k, v)]
    inputs = [x.to(wide) for x in inputs]

    def of_heads(part: Sequence[Tensor], pieces: list[Piece]) -> Tensor:
        if slopes is None:
            return attend_pieces(*part, pieces, scale)
        heads = zip(*(x.split(1, 1) for x in part), slopes.tolist(), strict=True)
        return torch.cat(
            [attend_pieces(*one, [_sloped(p, length - steps, slope) for p in pieces], scale) for *one, slope in heads],
            1,
        )

    pieces = pattern.pieces(steps, length, wide)
    if real is None:
        y = of_heads(inputs, pieces)
    else:
        rows = zip(*(x.split(1) for x in inputs), real, strict=True)
        y = torch.cat([of_heads(row, [_hidden(p, keys) for p in pieces]) for *row, keys in rows])
    return y[..., :width].to(q.dtype)


def _hidden(piece: Piece, real: Tensor) -> Piece:
    """The piece without the keys that are not real (S,)."""
    taken = piece.keys.take(real.unsqueeze(0))[0].unsqueeze(1)  # (N, 1, size)
    if bool(taken.all()):
        return piece
    mask = torch.zeros(taken.shape).masked_fill_(~taken, -math.inf)
    return _with_bias(piece, mask)


def _sloped(piece: Piece, offset: int, slope: float) -> Piece:
    """The piece with ALiBi's penalty, -slope · |distance|, on blocks that lie regularly."""
    queries, keys = piece.queries, piece.keys
    if isinstance(queries, Gathered) or isinstance(keys, Gathered):
        raise ValueError("ALiBi's penalty is for windows; gathered blocks have no one distance")
    at = offset + queries.first - keys.first + torch.arange(queries.size).unsqueeze(1)
    return _with_bias(piece, -slope * (at - torch.arange(keys.size)).abs().double())


def _with_bias(piece: Piece, bias: Tensor) -> Piece:
    """The piece with `bias`, (size, size) or (N, 1 or size, size), on its logits."""
    mask = piece.mask
    if piece.causal:
        mask = torch.full((piece.queries.size, piece.keys.size), -math.inf).triu(1)
    return piece._replace(causal=False, mask=bias if mask is None else mask + bias)


@torch.compiler.disable  # where documents lie follows from values
def attend_documents(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    documents: Documents,
    pattern_of: Callable[[int], Pattern],
    *,
    real: Tensor | None = None,
    slopes: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    probe: Probe | None = None,
    bucket: Callable[[int], int] | None = None,
) -> Tensor:
    """Attention (B, H, T, V) in which every document is a row of its own; zeros where no document is.

    `documents` are those of k and v (B, G, S, ·), positions without one left out; queries (B, H, T, K) stand at the end
    of the keys. `pattern_of(length)` is what a document of `length` positions sees of itself, less what is not in
    `real` (B, S). Documents with one `bucket(length)` share their calls, and have to share their pattern; None puts
    similar lengths together.
    """
    batch, _, length, _ = k.shape
    steps = q.shape[2]
    if probe is not None and probe.attached:
        visible, distance = _documents_apart(documents, pattern_of, batch, length)
        visible = visible if real is None else visible & real.unsqueeze(1)
        bias = None if slopes is None else alibi_bias(slopes, distance, q.dtype)
        visible, bias = (x if x is None else x[..., length - steps :, :] for x in (visible.unsqueeze(1), bias))
        return attend(q, k, v, visible=visible, bias=bias, scale=scale, softcap=softcap, probe=probe)
    q = F.pad(q, (0, 0, length - steps, 0))
    flat = [x.transpose(1, 2).flatten(0, 1) for x in (q, k, v)]  # (B·S, H, ·)
    lengths = documents.length.tolist()
    members: dict[int, list[int]] = {}
    for document, size in enumerate(lengths):
        if size:
            members.setdefault((bucket or _similar)(size), []).append(document)
    places, outputs = [], []
    for chosen in members.values():
        most = max(lengths[document] for document in chosen)
        pattern = pattern_of(most)
        index, valid = documents.index[chosen, :most], documents.valid[chosen, :most]  # (N, L)
        moved = [x.index_select(0, index.flatten()).unflatten(0, index.shape).transpose(1, 2) for x in flat]
        seen = torch.ones_like(valid) if pattern.causal else valid  # no query of the document sees what follows it
        seen = seen if real is None else seen & real.flatten()[index]
        hides = None if bool(seen.all()) else seen
        y = attend_pattern(*moved, pattern=pattern, real=hides, slopes=slopes, scale=scale, softcap=softcap)
        places.append(index[valid])
        outputs.append(y.transpose(1, 2)[valid])
    if not outputs:
        return q.new_zeros(batch, q.shape[1], steps, v.shape[3]) + 0.0 * (q.sum() + k.sum() + v.sum())
    found = torch.cat(outputs)
    whole = found.new_zeros(batch * length, *found.shape[1:]).index_copy(0, torch.cat(places), found)
    return whole.unflatten(0, (batch, length))[:, length - steps :].transpose(1, 2)


def _documents_apart(
    documents: Documents, pattern_of: Callable[[int], Pattern], batch: int, length: int
) -> tuple[Tensor, Tensor]:
    """Who sees whom, bool, and the distance inside the document, both (B, S, S)."""
    visible = torch.zeros(batch, length, length, dtype=torch.bool, device=documents.index.device)
    distance = torch.zeros_like(visible, dtype=torch.long)
    for document, (row, size) in enumerate(zip(documents.row.tolist(), documents.length.tolist(), strict=True)):
        if size:
            at = documents.index[document, :size] - row * length
            order = torch.arange(size, device=at.device)
            visible[row, at.unsqueeze(1), at] = pattern_of(size).visible(0, size, size, size, at.device)
            distance[row, at.unsqueeze(1), at] = (order.unsqueeze(1) - order).abs()
    return visible, distance


def _similar(length: int) -> int:
    """The length, rounded up by at most a quarter, or to 32."""
    step = max(32, 2 ** (length.bit_length() - 3))
    return -(-length // step) * step
