"""Two comparisons side by side: what changed, how sure that is, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.lab.differences import (
    differences,
    independent_difference,
    paired_difference,
    same_items,
    stored_items,
)
from sightline.lab.jobs import DONE, JobResult, write_json
from sightline.lab.results import Estimate, Results, Run
from sightline.report.differences import data_line
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


def with_items(results: Results, sha256: str) -> Results:
    return replace(results, data=replace(results.data, tested_sha256=sha256))


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
    old, results = with_items(OLD, "2" * 64), with_items(results, "2" * 64)
    same = differences(old, results, where="old", old_items=items, new_items=items)
    assert same.architectures[0].metrics[0].paired
    assert data_line(same) == "the same data (sha256 000000000000…)"
    other = replace(results, data=replace(results.data, sha256="1" * 64))
    found = differences(old, other, where="old", old_items=items, new_items=items)
    assert not found.architectures[0].metrics[0].paired
    assert not found.same_data
    found = differences(old, with_items(results, "3" * 64), where="old", old_items=items, new_items=items)
    assert not found.architectures[0].metrics[0].paired, "windows of another horizon, of the same series"
    assert (found.same_data, found.same_items) == (True, False)
    assert data_line(found).endswith(", other test items: scores compare only roughly")


CHOSEN = {"task": "forecasting", "settings": {"horizon": "24"}, "variants": {}}


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (CHOSEN, CHOSEN, True),
        (CHOSEN, {**CHOSEN, "settings": {"horizon": 24}, "seeds": 9, "variants": {"lstm": {"horizon": 1}}}, True),
        (CHOSEN, {**CHOSEN, "settings": {"horizon": "48"}}, None),
        (CHOSEN, {**CHOSEN, "settings": {}}, None),
        (CHOSEN, {**CHOSEN, "variants": {"gru": {"horizon": 48}}}, None),
        ({}, {}, None),
    ],
)
def test_of_older_results_the_items_are_the_same_only_where_nothing_chose_others(
    then: dict[str, Any], now: dict[str, Any], same: bool | None
) -> None:
    """The older ones have no hash of their items; `gru` is in both, `lstm` is new."""
    old, new = replace(OLD, settings=then), with_items(replace(NEW, settings=now), "2" * 64)
    assert same_items(old, new) is same
    assert same_items(old, replace(new, data=replace(new.data, tested=4))) is False
    assert same_items(old, replace(new, data=replace(new.data, test=6))) is None
    found = differences(old, new, where="old")
    assert ("is not known" in data_line(found)) is (same is None)


def test_results_without_the_hash_are_read(tmp_path: Path) -> None:
    plain = OLD.to_dict()
    del plain["data"]["tested_sha256"]
    assert Results.of(plain).data.tested_sha256 == ""
