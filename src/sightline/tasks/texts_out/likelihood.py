"""Likelihood of reference texts under a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline.tasks.likelihoods import Likelihoods
from sightline.training.loss import perplexity
from sightline.training.measured import Measured

LIKELIHOODS = "likelihoods", "tokens", "ranked tokens"  # kinds of metrics (`Metric.of`)


@torch.no_grad()
def likelihood(model: nn.Module, batches: Iterable[Any], device: torch.device) -> Measured:
    """Metrics of the model's predictions of each next target token, in its current mode.

    End tokens count, and nothing is smoothed. Rows of items are in the order of `batch.rows`. The loss adds up batches,
    each in the model's precision: the log of a training has had it so since version 0.1.0.
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
        each = torch.stack([nats, torch.ones_like(nats), right], 1).cpu().double()  # (tokens, 3)
        sums.append(each.new_zeros(len(labels), 3).index_add_(0, mask.nonzero()[:, 0].cpu(), each).numpy())
        rows += batch.rows
    outputs = Likelihoods(*np.concatenate(sums)[np.argsort(rows)].T)
    measured, loss = Measured.of(dict.fromkeys(LIKELIHOODS, (outputs,))), total / float(outputs.labels.sum())
    return replace(measured, metrics=measured.metrics | {"loss": loss, "perplexity": perplexity(loss)})
