"""Saturation of trained runs: a line for each part of a model that attends, with statistics of known weights."""

from __future__ import annotations

import pytest
import torch

from sightline.core.errors import InputError
from sightline.lab.forms import TrainedRun
from sightline.lab.run_saturation import run_saturation
from tests.tasks.classification import small as labels
from tests.tasks.forecasting import small as windows
from tests.tasks.translation import small as pairs


def measured(task, part):
    lacks = []
    return run_saturation(TrainedRun("r", task, part), lambda *gap: lacks.append(gap)), lacks


@pytest.mark.parametrize(
    ("arch", "names"),
    [("transformer", ["r, encoder", "r, decoder", "r, cross-attention"]), ("bahdanau", ["r, cross-attention"])],
)
def test_each_part_of_an_encoder_decoder_is_a_line(arch, names):
    task = pairs.untrained(arch)
    with torch.no_grad():  # equal scores: even weights
        for name, parameter in task.model.named_parameters():
            if name.endswith((".query.weight", ".query.bias", ".energy.weight")):
                parameter.zero_()
    rows, lacks = measured(task, pairs.corpus().test)
    assert [row.name for row in rows] == names
    assert lacks == []
    for row in rows:
        assert row.entropy.at == [1.0]
        assert row.entropy.centre == pytest.approx([1.0], abs=1e-5)


def test_a_model_of_one_part_keeps_its_name_and_a_pooling_is_a_line():
    (row,), _ = measured(labels.untrained("text", "transformer"), labels.data("text").test)
    assert row.name == "r"
    (row,), _ = measured(labels.untrained("text", "bilstm_attention"), labels.data("text").test)
    assert row.name == "r, pooling"
    task, data = windows.built(windows.small("transformer"))
    (row,), _ = measured(task, data.test)
    assert (row.name, row.keys) == ("r", 24)


def test_without_attention_the_reason_is_said():
    with pytest.raises(InputError, match="r: no layer has softmax attention"):
        measured(pairs.untrained("lstm"), pairs.corpus().test)


def test_layers_that_are_not_read_are_named():
    with pytest.raises(InputError, match="no layer has softmax attention"):
        measured(labels.untrained("text", "block_sparse"), labels.data("text").test)
