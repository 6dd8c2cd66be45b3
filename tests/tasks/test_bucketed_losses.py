"""Which items share a batch changes no loss and no gradient: buckets of length give what single items give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.core.modes import evaluating
from tests.tasks.subjects import SUBJECTS
from tests.unchecked import unchecked

# Arrays come in float32, tokens are followed by float64.
TOLERANCES = {
    "translation": 1e-9, "classification": 1e-9, "classification of series": 1e-5, "transcription": 1e-5
}  # fmt: skip


def sums(task, batches) -> tuple[float, float, int, list[torch.Tensor]]:
    """Loss, unsmoothed loss, count and gradients, summed over batches."""
    task.model.zero_grad()
    total = nll = 0.0
    count = 0
    for batch in batches:
        loss = task.loss(task.model, batch)
        loss.total.backward()
        total, nll, count = total + loss.total.item(), nll + loss.nll.item(), count + loss.count
    return total, nll, count, [parameter.grad.clone() for parameter in task.model.parameters()]


@pytest.mark.parametrize("name", TOLERANCES)
def test_losses_of_buckets_are_those_of_single_items(name, tmp_path):
    subject = SUBJECTS[name](tmp_path)
    with unchecked(), evaluating(subject.task.model):  # without dropout, which draws for a whole batch
        task = subject.task
        if TOLERANCES[name] < 1e-8:
            task.model.double()
        stream = task.batches(subject.corpus.train, seed=3)
        plan = stream.plan(0)
        assert max(map(len, plan)) > 1
        items = np.concatenate(plan)[:40]
        sizes = np.cumsum([len(rows) for rows in plan])
        bucketed = [rows for rows, end in zip(plan, sizes, strict=True) if end <= len(items)]
        bucketed.append(items[sum(map(len, bucketed)) :])
        together = sums(task, (stream.batch(rows) for rows in bucketed if len(rows)))
        alone = sums(task, (stream.batch(items[place : place + 1]) for place in range(len(items))))
    assert together[2] == alone[2] > 0
    tolerance = TOLERANCES[name]
    assert together[:2] == pytest.approx(alone[:2], rel=tolerance)
    for ours, theirs in zip(together[3], alone[3], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=100 * tolerance, atol=100 * tolerance)
