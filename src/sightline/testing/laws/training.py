"""Laws that a mechanism in training mode must obey too."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sightline.testing.findings import Finding
from sightline.testing.laws.states import batch_order_and_size
from sightline.testing.laws.visibility import causality, padding
from sightline.testing.subject import NotApplicable, Subject


def training_mode(subject: Subject) -> Iterator[Finding]:
    """Causality, padding, and order and size of the batch in training mode, with every dropout's rate at 0.

    Statistics of a batch, such as those of batch normalisation, reach across rows and positions in this mode alone.
    The first of the three that does not hold is the last one that runs.
    """
    training = subject.in_training()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        first, again = (training.whole(training.module(), training.x(), training.memory())[0] for _ in range(2))
    if not torch.equal(first, again):
        raise NotApplicable("random in training mode, with every dropout's rate at 0")
    for law in (causality, padding, batch_order_and_size) if subject.is_mixer else (padding, batch_order_and_size):
        findings = list(law(training))
        yield from findings
        if not all(finding.holds for finding in findings):
            return
