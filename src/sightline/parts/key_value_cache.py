"""The growing cache of attention over all earlier positions: keys, values, and the document of each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.probe import Probe
from sightline.core.shapes import Attended, Counts, Keys, Mask, Queries, SharedQueries, Starts, TokenPositions
from sightline.core.state import Growing, first_to_end, replaced
from sightline.ops.dense import dense_attention
from sightline.ops.documents import label_documents
from sightline.ops.execute import execute
from sightline.ops.plan import Plan


class KeyValueCache(NamedTuple):
    """The state. Labels and places of keys exist only once padding or documents have been seen."""

    keys: Growing  # (B, G, S, K)
    values: Growing  # (B, G, S, K)
    position: Tensor  # (B,) real tokens of the current document so far
    document: Tensor | None = None  # (B,) number of the current document
    labels: Growing | None = None  # (B, S) the document of each key, -1 for padding
    places: Growing | None = None  # (B, S) the position of each key in its document

    @property
    def stretch(self) -> int:
        """See `core.state.Stretchable`."""
        return self.keys.length if self.labels is None else first_to_end(self.labels.tensor >= 0)

    def stretched(self, length: int) -> KeyValueCache:
        """See `core.state.Stretchable`; padding is on the left, and labelled so."""
        cache = self.labelled()
        labels, places = cache.labels, cache.places
        return replaced(
            cache,
            keys=cache.keys.ending(length),
            values=cache.values.ending(length),
            labels=None if labels is None else labels.ending(length, -1),
            places=None if places is None else places.ending(length),
        )

    def labelled(self) -> KeyValueCache:
        """The cache with labels and places, which mark all keys as those of one document where there were none."""
        if self.document is not None:
            return self
        document = torch.zeros_like(self.position)
        past = torch.arange(self.keys.length, device=document.device).expand(document.shape[0], -1)
        labels, places = Growing(torch.zeros_like(past), 1), Growing(past.contiguous(), 1)
        return replaced(self, document=document, labels=labels, places=places)


def empty_cache(none: Keys) -> KeyValueCache:
    """The cache before the first position, for keys and values like `none` (B, G, 0, K)."""
    position = torch.zeros(none.shape[0], dtype=torch.long, device=none.device)
    return KeyValueCache(Growing(none, 2), Growing(none, 2), position)


def extend_cache(
    cache: KeyValueCache,
    keys: SharedQueries,
    values: SharedQueries,
    positions: TokenPositions,
    after: Counts,
    mask: Mask | None,
    starts: Starts | None,
) -> KeyValueCache:
    """The cache with keys and values (B, G, T, K) at `positions` (B, T); `after` (B,) is the position that follows."""
    if mask is not None or starts is not None:
        cache = cache.labelled()
    cache = replaced(cache, keys=cache.keys.append(keys), values=cache.values.append(values), position=after)
    document, labels, places = cache.document, cache.labels, cache.places
    if document is None or labels is None or places is None:
        return cache
    of_new, document = label_documents(document, mask, starts, keys.shape[2])
    return replaced(cache, document=document, labels=labels.append(of_new), places=places.append(positions))


def attend_cache(
    q: Queries, cache: KeyValueCache, mask: Mask | None, starts: Starts | None, plan: Plan, probe: Probe
) -> Attended:
    """Attention (B, H, T, K) of the newest positions, q (B, H, T, K), with their mask and starts, over the cache.

    `plan` is for rows of one document. Its pattern is causal: what a position sees does not depend on how many follow.
    """
    if cache.keys.branched is not None and q.shape[2] == 1 and not probe.attached and cache.labels is None:
        y = _attend_branches(q, cache, plan)
        if y is not None:
            return y
    k, v = cache.keys.tensor, cache.values.tensor
    if cache.labels is not None and cache.places is not None:
        labels, places = cache.labels.tensor, cache.places.tensor
        if q.shape[2] == k.shape[2]:
            plan = plan.packed(q, mask, starts, places, probe.attached)
        else:
            plan = replaced(plan, labels=labels, places=places)
    return execute(q, k, v, plan, probe)


def _attend_branches(q: Tensor, cache: KeyValueCache, plan: Plan) -> Tensor | None:
    """Attention of one position of each branch, all branches of a stored row in one product; None: not this plan."""
    keys, values = cache.keys.branched, cache.values.branched
    if (
        keys is None
        or values is None
        or plan.slopes is not None
        or not plan.pattern.reduced(1, cache.keys.length).everywhere
    ):
        return None
    (k, paths), (v, _) = keys, values
    q = paths.branches.group(q.squeeze(2)).transpose(1, 2)  # (R, H, W, K)
    bias = paths.bias(torch.promote_types(q.dtype, torch.float32)).unsqueeze(1)
    y = dense_attention(q, k, v, bias=bias, scale=plan.scale, softcap=plan.softcap)
    return paths.branches.ungroup(y.transpose(1, 2)).unsqueeze(2)
