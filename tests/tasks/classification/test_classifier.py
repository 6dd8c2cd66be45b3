"""A classifier answers without a task, with whatever model it is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from torch import Tensor, nn

from sightline.tasks.classification.classifier import Classifier
from tests.tasks.classification.small import untrained

LOGITS = np.array([0.5, -1.0, 2.0])


class SameLogits(nn.Module):
    """The same logits for every item."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(LOGITS))

    def forward(self, source: Tensor, mask: Tensor | None) -> Tensor:
        return self.logits.expand(len(source), -1)


@pytest.mark.parametrize("many", [False, True])
def test_probabilities_are_softmax_or_sigmoid_of_the_logits(many: bool) -> None:
    task = untrained()
    classifier = Classifier(task.config, SameLogits(), task.inputs, ("1", "2", "3"), many=many, label_type="integer")
    assert classifier.predict_list(["a red sky", "blue"]) == ([(1, 3)] * 2 if many else [3] * 2)
    probabilities = classifier.answer_list(["a red sky"])[0].record["probabilities"]
    assert list(probabilities) == [1, 2, 3]
    assert list(probabilities.values()) == pytest.approx(list(expit(LOGITS) if many else softmax(LOGITS)))
