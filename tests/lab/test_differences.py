"""Two comparisons side by side: what changed, how sure that is, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.lab.differences import differences, independent_difference, paired_difference, stored_items
from sightline.lab.jobs import DONE, JobResult, write_json
from sightline.lab.results import Estimate, Results, Run
from tests.lab.test_pareto import made

OLD = made({"gru": {"q": 0.8, "parameters": 100}, "rnn": {"q": 0.5}})
TEXTS = replace(OLD.data, unit="texts")
NEW = made({"gru": {"q": 0.9, "parameters": 150}, "lstm": {"q": 0.7}})


def test_independent_intervals_of_normal_estimates_join_as_their_variances() -> None:
    """Half widths 3 and 4 make 5: sums of variances."""
    assert independent_difference(Estimate(10.0, 7.0, 13.0), Estimate(30.0, 26.0, 34.0)) == Estimate(20.0, 15.0, 25.0)


def test_the_upper_end_of_the_old_one_lowers_the_difference() -> None:
    change = independent_difference(Estimate(10.0, 9.0, 14.0), Estimate(30.0, 27.0, 31.0))
    assert change.low == pytest.approx(20 - 5)
    assert change.high == pytest.approx(20 + 2**0.5)


def test_without_an_interval_of_both_there_is_none_of_the_difference() -> None:
    assert independent_difference(Estimate(1.0, 0.0, 2.0), Estimate(3.0)) == Estimate(2.0)
    assert independent_difference(Estimate(None), Estimate(3.0)) == Estimate(None)


def test_the_same_items_make_the_interval_narrower_and_the_sign_is_now_minus_then() -> None:
    """Items differ much more than trainings do: only the pairing shows the drop by a tenth."""
    generator = np.random.default_rng(0)
    hard = generator.random((1, 200))
    before, after = (hard + shift + 0.01 * generator.standard_normal((3, 200)) for shift in (0.0, -0.1))
    rows = [np.stack([x, np.ones_like(x)], -1) for x in (before, after)]
    paired = paired_difference(rows[0], rows[1], find_metric("accuracy"))
    assert paired.mean == pytest.approx(-0.1, abs=0.01)
    assert paired.low is not None
    assert paired.high is not None
    assert paired.low < paired.high < 0
    assert paired.high - paired.low < 0.05  # unpaired, the items alone make it 0.11


def test_architectures_costs_and_settings_that_differ_are_listed() -> None:
    found = differences(OLD, NEW, where="old")
    assert (found.added, found.removed, found.same_data) == (["lstm"], ["rnn"], True)
    (gru,) = found.architectures
    assert [(cost.name, was, own) for cost, was, own in gru.costs] == [("parameters", 100.0, 150.0)]
    assert gru.metrics[0].difference.mean == pytest.approx(0.1)
    assert gru.metrics[0].better
    assert gru.metrics[0].clear is None
    changed = replace(NEW, budget=replace(NEW.budget, per_run="60s"), environment={"packages": {"torch": "2.13"}})
    settings = differences(OLD, changed, where="old").settings
    assert settings == [("budget", "9s", "60s"), ("environment.packages.torch", "", "2.13")]


def test_a_margin_is_that_of_the_verdict_whether_it_was_chosen_or_not() -> None:
    old = replace(OLD, settings={"task": "translation", "margin": 1.0}, margin=0.01)
    new = replace(NEW, settings={"task": "translation"}, margin=0.01)
    assert differences(old, new, where="old").settings == []
    wider = replace(new, margin=0.02)
    assert differences(old, wider, where="old").settings == [("margin", "1.0 points", "2.0 points")]


def test_settings_come_from_the_configurations_where_both_have_them() -> None:
    old = replace(OLD, settings={"task": "language", "settings": {"lowercase": True}, "archs": ["gru"]})
    new = replace(NEW, settings={"task": "language", "settings": {"lowercase": False}, "archs": ["gru", "lstm"]})
    assert differences(old, new, where="old").settings == [("lowercase", "True", "False")]


@pytest.mark.parametrize(
    ("old", "message"),
    [
        (replace(OLD, settings={"task": "language"}), "OLD: is of another task (language there, translation here)"),
        (replace(OLD, data=TEXTS), "OLD: is of another task (its items are texts, here pairs)"),
        (replace(OLD, primary_metric="mse"), "OLD: ranks by MSE, this comparison by accuracy"),
    ],
)  # fmt: skip
def test_what_did_not_measure_the_same_is_refused(old: Results, message: str) -> None:
    with pytest.raises(InputError) as caught:
        differences(old, replace(NEW, settings={"task": "translation"}), where="OLD")
    assert str(caught.value) == message


def test_stored_items_pair_the_scores_only_of_the_same_data(tmp_path: Path) -> None:
    rows = [[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    runs = [Run("gru", seed, "done") for seed in (0, 1)]
    results = replace(NEW, runs=[*runs, Run("lstm", 0, "done")])
    for seed in (0, 1):
        directory = tmp_path / "runs" / f"gru-seed{seed}"
        directory.mkdir(parents=True)
        write_json(directory / DONE, JobResult(0.1, 1e-3, 1.0, [], items=rows))
    items = stored_items(tmp_path, results)
    assert list(items) == ["gru"]  # no run of lstm kept its items
    assert items["gru"].shape == (2, 3, 2)
    same = differences(OLD, results, where="old", old_items=items, new_items=items)
    assert same.architectures[0].metrics[0].paired
    other = replace(results, data=replace(results.data, sha256="1" * 64))
    found = differences(OLD, other, where="old", old_items=items, new_items=items)
    assert not found.architectures[0].metrics[0].paired
    assert not found.same_data
