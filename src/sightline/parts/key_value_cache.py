"""The growing cache of attention over all that has been: keys, values, and which document each belongs to."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.state import Growing


class KeyValueCache(NamedTuple):
    """The state. Labels and places of keys stand only where padding or documents have been seen."""

    keys: Growing  # (B, G, S, K)
    values: Growing  # (B, G, S, K)
    position: Tensor  # (B,) real tokens of the current document so far
    document: Tensor | None = None  # (B,) number of the current document
    labels: Growing | None = None  # (B, S) the document of each key, -1 for padding
    places: Growing | None = None  # (B, S) the position of each key in its document


def empty_cache(batch: int, key_heads: int, d_head: int, like: Tensor) -> KeyValueCache:
    """The cache before the first position, in the dtype and on the device of `like`."""
    empty = like.new_zeros(batch, key_heads, 0, d_head)
    return KeyValueCache(Growing(empty, 2), Growing(empty, 2), torch.zeros(batch, dtype=torch.long, device=like.device))


def extend_cache(
    cache: KeyValueCache,
    keys: Tensor,
    values: Tensor,
    positions: Tensor,
    after: Tensor,
    mask: Tensor | None,
    starts: Tensor | None,
) -> tuple[KeyValueCache, Tensor | None]:
    """The cache with keys and values (B, G, T, K) at `positions` (B, T), and the documents (B, T) of the new positions.

    Those are None while neither padding nor documents have been seen. `after` (B,) is the position that follows.
    """
    cache = cache._replace(keys=cache.keys.append(keys), values=cache.values.append(values), position=after)
    document, labels, places = cache.document, cache.labels, cache.places
    if document is None or labels is None or places is None:
        if mask is None and starts is None:
            return cache, None
        document = torch.zeros_like(after)
        past = torch.arange(cache.keys.length - keys.shape[2], device=keys.device).expand(len(after), -1)
        labels, places = Growing(torch.zeros_like(past), 1), Growing(past.contiguous(), 1)
    label = document.unsqueeze(1).expand(positions.shape)
    if starts is not None:
        label = label + starts.cumsum(1)
        document = document + starts.sum(1)
    of_keys = label if mask is None else label.masked_fill(~mask, -1)
    return cache._replace(document=document, labels=labels.append(of_keys), places=places.append(positions)), label
