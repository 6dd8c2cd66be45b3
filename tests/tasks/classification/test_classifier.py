"""A classifier answers without a task, with whatever model it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.tasks.classification.classifier import Classifier
from tests.tasks.classification.small import part, run, untrained

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


def test_an_item_with_more_positions_than_the_model_has_learned_is_named_before_training() -> None:
    model = replace(run("transformer").settings.model, input_positions="learned")
    task, items = untrained(arch="transformer", model=model), part("text", 3, seed=5)
    task.batches(replace(items, sources=[*items.sources[:2], "sky " * 1000]), seed=0)
    with pytest.raises(InputError, match=r"^part 5:2: has \d+ positions, but the model reads at most 1024: choose "):
        task.batches(replace(items, sources=[*items.sources[:2], "sky " * 1100]), seed=0)
