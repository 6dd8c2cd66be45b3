"""Forecasters under measurement: a planted lag, and errors beside those of the task's own scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.lab.forms import Sampled, TrainedRun, run_form
from sightline.lab.growth import prepare
from sightline.lab.serial import mechanism_chains
from sightline.lab.trained_reach import initial_reach, reach_of
from tests.tasks.forecasting.small import built, small

SAMPLED = Sampled(labels=64, sequences=6)
LAG = 5


@pytest.fixture
def planted():
    """A linear forecaster whose every step is 0.7 times the value `LAG` steps before the last one."""
    run = small("dlinear")
    run = run.changed(model=replace(run.settings.model, moving_average=1))
    task, data = built(run)
    with torch.no_grad():
        for maps in (task.model.season, task.model.trend):
            maps.weight.zero_()
            maps.bias.zero_()
        task.model.trend.weight[:, 24 - 1 - LAG] = 0.7
    return run_form(TrainedRun("f", task, data.test)), data


def test_a_planted_lag_is_all_that_is_reached_and_used(planted):
    form, _ = planted
    (reach,) = reach_of(form, SAMPLED)
    assert (reach.over, reach.loss_unit, reach.matrices) == ("look-back", "scaled mse", [])
    gradients = dict(zip(reach.input.at, reach.input.centre, strict=True))
    assert set(gradients) == {0, 1, 2, 3, 4, 6, 8, 11, 16, 23}
    assert max(gradients.values()) == 0  # 5 is not among them
    with torch.no_grad():
        form.model.trend.weight[:, 24 - 1 - 4] = 0.7
        form.model.trend.weight[:, 24 - 1 - LAG] = 0.0
    (reach,) = reach_of(form, SAMPLED)
    gradients = dict(zip(reach.input.at, reach.input.centre, strict=True))
    assert gradients.pop(4.0) == pytest.approx(0.7)
    assert max(gradients.values()) == 0
    used = dict(zip(reach.used.at, reach.used.centre, strict=True))
    assert used[6.0] == used[24.0]
    assert used[4.0] != pytest.approx(used[24.0], rel=1e-3)  # the fifth step from the end is not read


def test_errors_by_step_are_those_of_the_task(planted):
    form, data = planted
    (row,) = form.past(10_000).losses
    scores = form.task.measure(data.test).details["by_step"]["mse"]
    np.testing.assert_allclose(row.loss.centre, scores, rtol=1e-5)
    assert row.along == "step ahead"
    assert row.items < len(data.test)  # windows that overlap are one item


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mae", "quantile"])
def test_the_error_of_the_whole_look_back_is_the_loss(loss):
    task, data = built(small("gru", loss=loss))
    form = run_form(TrainedRun("f", task, data.test))
    (reach,) = reach_of(form, Sampled(labels=10_000, sequences=6))
    measured = task.measure(data.test).metrics[task.config.metric_name]
    assert reach.used.centre[-1] == pytest.approx(measured, rel=1e-5)
    assert reach.loss_unit == f"scaled {task.config.metric_name}"
    assert reach.state is not None
    assert reach.readers == 2  # both directions of one layer
    (began,) = initial_reach(form, Sampled(labels=10_000, sequences=6))
    assert (began.input, began.state) == (reach.input, reach.state)


def test_covariates_and_patches_that_follow_one_another_are_measured():
    run = small("gru", model={"decoding": "autoregressive"})
    task, data = built(run)
    form = run_form(TrainedRun("f", task, data.test))
    (reach,) = reach_of(form, SAMPLED)
    assert reach.state.at == [1.0, 2.0, 3.0]  # of four patches
    assert min(reach.input.centre) > 0


def test_a_model_is_built_for_every_look_back():
    for arch, grows in (("nlinear", False), ("transformer", False), ("gru", True)):
        task, data = built(small(arch))
        (mechanism,) = run_form(TrainedRun("f", task, data.test)).mechanisms()
        forward, training = mechanism_chains(mechanism, (12, 24, 48))
        assert (forward.operations[0] < forward.operations[-1]) == grows
        assert training.operations[-1] > forward.operations[-1]
        assert prepare(mechanism, "decode", 24) is None
        assert mechanism.build(length=25).lookback == (25 if arch == "nlinear" else 30)
