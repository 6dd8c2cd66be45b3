"""The losses of what an encoder-decoder writes, token by token, under teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.state import select
from sightline.lab.bands import ratio_band
from sightline.lab.panel_results import Band
from sightline.lab.reach import distances
from sightline.models.sequence_model import SequenceModel

ROWS = 64  # windows read at a time
BINS = 6  # of source lengths


@torch.no_grad()
def token_nats(model: SequenceModel, batches: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-ln p (N, T) of every label of the items in their order, zeros for padding; which are real; the sources' lengths.

    A length (N,) is that of the memory: words or tokens, frames of a sound, patches of a picture.
    """
    count = sum(len(batch.rows) for batch in batches)
    width = max(batch.target.shape[1] - 1 for batch in batches)
    nats, real, sources = np.zeros((count, width)), np.zeros((count, width), dtype=bool), np.zeros(count, dtype=int)
    for batch in batches:
        memory = model.encode(batch.source, batch.source_mask)
        logits, _ = model.decode(batch.target[:, :-1], model.initial_state(memory))
        rows, steps, mask = list(batch.rows), batch.target.shape[1] - 1, batch.target_mask[:, 1:]
        nats[rows, :steps] = torch.where(mask, _nats(logits, batch.target[:, 1:]), 0.0).cpu().numpy()
        real[rows, :steps] = mask.cpu().numpy()
        all_real = torch.full((len(rows),), memory.values.shape[1])
        sources[rows] = (all_real if memory.mask is None else memory.mask.sum(1)).cpu().numpy()
    return nats, real, sources


def cut_target_sums(
    model: SequenceModel, batches: Sequence[Any], chosen: Sequence[Tensor], reads: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of -ln p and numbers (N, K) of the chosen labels of each item where the decoder reads the last k tokens.

    chosen: (B, T) of each batch. A decoder that reads fewer than all begins in its first state, with the memory.
    """
    sums, counts = [], []
    for batch, which in zip(batches, chosen, strict=True):
        whole, _, _ = token_nats(model, [batch._replace(rows=tuple(range(len(batch.rows))))])
        at = which.nonzero()  # (P, 2)
        number = which.sum(1).cpu().numpy().astype(float)
        columns = []
        for k in reads:
            nats = torch.from_numpy(whole)[tuple(at.cpu().T)].clone()
            cut = (at[:, 1] >= k).nonzero()[:, 0]
            if len(cut):
                nats[cut.cpu()] = _cut_nats(model, batch, at[cut], k).cpu()
            columns.append(np.bincount(at[:, 0].cpu().numpy(), nats.numpy(), len(number)))
        sums.append(np.stack(columns, 1))
        counts.append(np.repeat(number[:, None], len(reads), 1))
    return np.concatenate(sums), np.concatenate(counts)


@torch.no_grad()
def _cut_nats(model: SequenceModel, batch: Any, at: Tensor, k: int) -> Tensor:
    """-ln p (P,) of the label at each place (P, 2) of a batch, of which the decoder reads the k tokens before it."""
    state = model.initial_state(model.encode(batch.source, batch.source_mask))
    parts = []
    for some in at.split(ROWS):
        rows, ends = some.T
        places = ends.unsqueeze(1) + torch.arange(1 - k, 1, device=ends.device)  # (P, k)
        tokens = batch.target[rows.unsqueeze(1), places]
        logits, _ = model.decode(tokens, select(state, rows))
        parts.append(_nats(logits[:, -1:], batch.target[rows, ends + 1].unsqueeze(1))[:, 0])
    return torch.cat(parts)


def _nats(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, T) of logits (B, T, V) and labels (B, T)."""
    log_p = torch.log_softmax(logits.double(), -1)
    return F.nll_loss(log_p.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)


def by_position(nats: np.ndarray, real: np.ndarray) -> Band:
    """The loss by the position of the label, the first one 1; stretches of positions by their ends."""
    edges = [*distances(nats.shape[1]), nats.shape[1]]
    columns = [(nats[:, a:b].sum(1), real[:, a:b].sum(1)) for a, b in pairwise([0, *edges])]
    sums, counts = (np.stack(part, 1) for part in zip(*columns, strict=True))
    return ratio_band(edges, sums, counts)


def by_length(nats: np.ndarray, real: np.ndarray, lengths: np.ndarray) -> Band:
    """The loss of items by the length (N,) of their source; about equally many items for each stretch of lengths."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:], method="lower"))
    place = np.searchsorted(edges, lengths)
    chosen = place[:, None] == np.arange(len(edges))
    sums, counts = nats.sum(1)[:, None] * chosen, real.sum(1)[:, None] * chosen
    return ratio_band(edges.tolist(), sums, counts)
