"""Likelihood of reference texts under a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline.tasks.texts_out.scores import TextScores
from sightline.training.loss import perplexity


@torch.no_grad()
def likelihood(model: nn.Module, batches: Iterable[Any], device: torch.device) -> TextScores:
    """Scores of the model's predictions of each next target token, in its current mode.

    loss: nats per token, end tokens included, never smoothed; perplexity: exp of it; token_accuracy: share of tokens
    that the model ranks first. Rows of items are in the order of `batch.rows`.
    """
    total, rows, sums = 0.0, [], []
    for batch in batches:
        batch = batch.to(device)
        logits = model(batch.source, batch.source_mask, batch.target[:, :-1])  # (B, T, V)
        labels, mask = batch.target[:, 1:], batch.target_mask[:, 1:]  # (B, T)
        log_p = torch.log_softmax(logits[mask], -1, dtype=torch.promote_types(logits.dtype, torch.float32))
        nats = -log_p.gather(-1, labels[mask].unsqueeze(-1)).squeeze(-1)  # (tokens,)
        right = (logits.argmax(2) == labels)[mask]
        total += float(nats.sum())
        each = torch.stack([nats, right, torch.ones_like(nats)], 1).cpu().double()  # (tokens, 3)
        sums.append(each.new_zeros(len(labels), 3).index_add_(0, mask.nonzero()[:, 0].cpu(), each).numpy())
        rows += batch.rows
    items = np.concatenate(sums)[np.argsort(rows)]  # (N, 3)
    _, right, count = items.sum(0).tolist()
    loss = total / count
    metrics = {"loss": loss, "perplexity": perplexity(loss), "token_accuracy": right / count}
    nats = items[:, [0, 2]]
    return TextScores(metrics, {"loss": nats, "perplexity": nats, "token_accuracy": items[:, 1:]}, {})
