"""Softmax attention over any pattern of keys, as one function of queries, keys and values."""

from __future__ import annotations

import torch

from sightline.core.shapes import Attended, KeyMask, Keys, KeyStarts, Queries, Values
from sightline.core.state import replaced
from sightline.ops.block_patterns import BlockLayout, BlockMask
from sightline.ops.documents import right_padded, split_documents
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.ops.plan import TRIM_FROM, Plan


def attention(
    q: Queries,
    k: Keys,
    v: Values,
    *,
    causal: bool,
    window: int | None = None,
    sinks: int = 0,
    blocks: BlockMask | BlockLayout | None = None,
    mask: KeyMask | None = None,
    starts: KeyStarts | None = None,
    scale: float | None = None,
) -> Attended:
    """softmax(scale · q kᵀ) v over the keys that a query may see, shape (B, H, T, V); zeros where it sees none.

    Each of the G key heads serves H/G consecutive query heads; scale defaults to 1/√K. The last query is at the last
    key, S >= T, so that queries may follow a cache. A query sees a key that is

    - not after it, where `causal`;
    - itself or one of the `window` - 1 positions before it, and after it where not `causal`; or, with `sinks`, one of
      the first `sinks` keys. Cost grows with T·window;
    - in a block that its own block sees in `blocks`: a matrix, or a named pattern without one. Cost grows with the
      blocks seen;
    - real in `mask`, bool. Values at other positions, NaN too, reach no output, and the output there is 0;
    - in its own document: `starts`, bool, is True where a document begins. Positions, sinks and blocks are counted from
      there. Other documents cost nothing.

    On a CPU the blocks that are seen are computed by torch's fused kernel and joined exactly (`ops.piece_kernel`);
    elsewhere, and under `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`, an explicit mask is formed for some queries
    at a time.

    Raises:
        ValueError: "4 queries cannot be the last of 3 positions"; "window must be at least 1, got 0"; "sinks need a
            causal window"; "window and blocks exclude each other"; "100 positions are 7 blocks of 16, but the mask has
            6"; "mask must be bool of shape (2, 9), got …".
    """
    steps, length = q.shape[2], k.shape[2]
    if steps > length:
        raise ValueError(f"{steps} queries cannot be the last of {length} positions")
    pattern = Pattern(causal, window, sinks, blocks)
    pattern.check(length)
    for name, flags in (("mask", mask), ("starts", starts)):
        expected = (k.shape[0], length)
        if flags is not None and (flags.dtype != torch.bool or flags.shape != expected):
            raise ValueError(f"{name} must be bool of shape {expected}, got {flags.dtype} {tuple(flags.shape)}")
    plan = Plan(pattern, scale=scale)
    if mask is None:
        return execute(q, k, v, plan if starts is None else replaced(plan, documents=split_documents(None, starts)))
    own = mask[:, None, length - steps :, None]  # (B, 1, T, 1)
    q = q.masked_fill(~own, 0.0)
    k, v = (x.masked_fill(~mask[:, None, :, None], 0.0) for x in (k, v))
    if causal and pattern.everywhere and (starts is not None or length >= TRIM_FROM):  # padding is left out
        return execute(q, k, v, replaced(plan, documents=split_documents(mask, starts)))
    if starts is not None:
        plan = replaced(plan, real=mask, documents=split_documents(None, starts))
    elif not (causal and right_padded(mask)):
        plan = replaced(plan, real=mask)
    return execute(q, k, v, plan).masked_fill(~own, 0.0)
