"""The study of defaults (benchmarks/study_defaults.py): its tables, its order, and that it can stop anywhere."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter

import numpy as np
import pytest

import study_defaults
import study_results
from sightline.core.metrics import METRICS
from sightline.lab.longer_training import RULE
from sightline.tasks.recipe import resolve_training
from sightline.tasks.table import TASKS
from study_data import DATA_SETS
from study_factors import GROUPS, SHIPPED, Configuration, StudyRun, joined_options, shipped_arch, single_options
from study_longer import Chain, chains_of, fitted
from study_page import bootstrap_interval, load_lines, mean_ranks, study_page
from study_results import StudyResults
from study_stages import BUDGETS_S, SEEDS, TODAY, GroupPlan
from study_worker import described, head_of, measured, of_description

DIGITS = DATA_SETS["digits-rows"]
STUB = """
import json, pathlib, sys
run, folder = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])
line = {"key": run["key"], "data": run["data"], "kind": "run", "budget_s": 60, "metric": "accuracy",
        "valid": 0.5, "test": 0.5}
"""


@pytest.fixture
def without_data(monkeypatch, tmp_path):
    """No real data on the machine."""
    monkeypatch.setenv("SIGHTLINE_VERIFY_DATA", str(tmp_path / "nothing"))


@pytest.fixture
def with_folders(monkeypatch, tmp_path):
    """The folders of the real data, empty."""
    for data in DATA_SETS.values():
        (tmp_path / "data" / data.needs).mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("SIGHTLINE_VERIFY_DATA", str(tmp_path / "data"))


def line_of(run: StudyRun, valid: float | None, test: float | None = None, **more: object) -> dict[str, object]:
    return {
        **head_of(run),
        "valid": valid,
        "test": valid if test is None else test,
        "wall_s": run.budget_s + 10.0,
        "sizes": {"test": 1000},
        "stage": "choose",
        **more,
    }


def test_the_data_covers_all_tasks_and_keeps_some_of_it_back():
    held_out = [data for data in DATA_SETS.values() if data.held_out]
    assert len(DATA_SETS) >= 12
    assert len(held_out) >= 4
    assert {data.task for data in DATA_SETS.values()} == set(TASKS)
    assert {data.group for data in DATA_SETS.values() if not data.held_out} == set(GROUPS)
    for data in DATA_SETS.values():
        assert 500 <= data.items <= 50_000
        assert METRICS[data.metric].decides


@pytest.mark.parametrize("data", DATA_SETS.values(), ids=lambda data: data.name)
def test_every_option_is_a_key_of_the_task(data, without_data):
    """Resolved without reading any data, and different from the default and each other."""
    default = StudyRun(data, TODAY, 60)
    keys = [StudyRun(data, configuration, 60).key for configuration in single_options(data.group)]
    default.resolved()
    assert max(Counter([default.key, *keys]).values()) == 1


def test_a_key_contains_all_that_decides_the_result():
    runs = [StudyRun(DIGITS, TODAY, budget_s, seed) for budget_s in (0, *BUDGETS_S) for seed in SEEDS]
    assert len({run.key for run in runs if not run.is_baselines}) == len(BUDGETS_S) * len(SEEDS)
    assert len({run.key for run in runs if run.is_baselines}) == 1
    assert all(of_description(json.loads(json.dumps(described(run)))) == run for run in runs)


def test_options_of_one_factor_are_not_joined():
    rates = [Configuration((("rate", rate),)) for rate in ("0.001", "0.002")]
    best = [*rates, Configuration((("depth", "1"),)), Configuration((("dropout", "0.0"),))]
    assert [one.name for one in joined_options(best)] == [
        "depth 1 + rate 0.001",
        "dropout 0.0 + rate 0.001",
        "depth 1 + rate 0.002",
        "dropout 0.0 + rate 0.002",
        "depth 1 + dropout 0.0",
        "depth 1 + dropout 0.0 + rate 0.001",
    ]


def simulated(results: StudyResults, group: str, stage: str, gains: dict[str, float]) -> set[str]:
    """Run a stage with scores that are sums of the options' gains; the names of the data sets that it ran on."""
    plan, ran = GroupPlan(group, results), set()
    while missing := plan.next_round(stage):
        for run in missing.missing(results):
            score = 0.5 + sum(gains.get(f"{factor} {option}", -0.01) for factor, option in run.configuration.options)
            results.add(line_of(run, score, stage=missing.stage, best="n-grams"))
            ran.add(run.data.name)
    return ran


@pytest.mark.slow
def test_halving_finds_the_best_pair_and_trains_on_no_held_out_data(tmp_path, with_folders):
    results = StudyResults(tmp_path / "results")
    gains = {"dropout 0.3": 0.05, "tokens char": 0.04, "rate 0.002": -0.005}
    with pytest.raises(LookupError, match="texts: stage choose is not complete"):
        GroupPlan("texts", results).next_round("final")
    chosen_on = simulated(results, "texts", "choose", gains) | simulated(results, "texts", "confirm", gains)
    assert chosen_on == {"reviews", "sst"}
    first = next(row for row in study_page(list(results.lines.values())).splitlines() if row.startswith("| 180 s | "))
    assert first.startswith("| 180 s | dropout 0.3 + tokens char | 1.0 | ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("better_on", "longest"), [((), set()), (("mpqa",), {"mpqa"}), (("mpqa", "reviews"), {"mpqa", "reviews"})]
)
def test_the_defaults_and_a_rival_where_it_was_better(tmp_path, with_folders, better_on, longest):
    results = StudyResults(tmp_path / "results")
    simulated(results, "texts", "choose", {})
    simulated(results, "texts", "confirm", {})
    assert simulated(results, "texts", "final", {}) == {"reviews", "mpqa"}
    final = [line for line in results.lines.values() if line["stage"] == "final"]
    assert Counter((line["data"], line["configuration"]) for line in final) == {
        ("reviews", SHIPPED.name): 12, ("mpqa", SHIPPED.name): 12, ("mpqa", "default"): 1,
    }  # fmt: skip
    plan = GroupPlan("texts", results)
    while missing := plan.next_round("rivals"):
        for run in missing.missing(results):
            results.add(line_of(run, 0.6 if run.data.name in better_on else 0.4, stage="rivals"))
    lines = [line for line in results.lines.values() if line["stage"] == "rivals"]
    assert {line["configuration"] for line in lines} == {f"architecture bilstm_attention + {SHIPPED.name}"}
    assert {line["data"] for line in lines if line["budget_s"] == 180} == {"mpqa", "reviews"}
    assert {line["data"] for line in lines if line["budget_s"] == 600} == longest


@pytest.mark.parametrize("name", ["digits-rows", "digits", "seasonal", "dates"])
def test_the_shipped_default_is_what_train_takes(name, without_data):
    data = DATA_SETS[name]
    flags = {**data.keys, "task": data.task}
    run, _ = resolve_training(file=None, environ={}, flags=flags)
    assert StudyRun(data, SHIPPED, 60).resolved()["arch"] == run.settings.arch == shipped_arch(data.group)


def stub(monkeypatch, tmp_path, end: str) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(STUB + end, encoding="utf-8")
    monkeypatch.setattr(study_defaults, "WORKER", worker)
    monkeypatch.setattr(study_defaults, "POLL_S", 0.01)


def study_of(folder, only: str = "digits-rows", minutes: float = 60.0) -> study_defaults.Study:
    results = StudyResults(folder)
    study = study_defaults.Study(results, "choose", frozenset({only}), time.monotonic() + 60 * minutes)
    study.plans = [GroupPlan(DATA_SETS[only].group, results)]
    return study


@pytest.mark.slow
def test_a_run_with_a_result_is_not_run_again(tmp_path, monkeypatch):
    stub(monkeypatch, tmp_path, '(folder / "result.json").write_text(json.dumps(line))')
    folder = tmp_path / "results"
    study = study_of(folder)
    expected = study.startable()
    StudyResults(folder).add(line_of(expected[3], 0.9))
    study = study_of(folder)
    assert {run.key for run in study.startable()} == {run.key for run in expected} - {expected[3].key}
    study.work(jobs=4)
    assert not study.failed
    lines = study_results.read_lines(folder / "digits-rows.jsonl")
    assert sorted(line["key"] for line in lines) == sorted(run.key for run in expected)
    assert lines[0]["valid"] == 0.9
    assert study_of(folder).startable() == []


@pytest.mark.parametrize(
    "end",
    [
        'sys.exit("out of memory")',
        '(folder / "result.json").write_text(json.dumps(line)); import os; os.kill(os.getpid(), 9)',
    ],
    ids=["failed", "killed"],
)
def test_a_run_that_did_not_end_leaves_no_line(tmp_path, monkeypatch, end):
    stub(monkeypatch, tmp_path, end)
    study = study_of(tmp_path / "results")
    runs = study.startable()
    study.started |= {run.key for run in runs[1:]}
    study.work(jobs=1)
    assert len(study.failed) == 1
    assert not list((tmp_path / "results").glob("*.jsonl"))
    assert runs[0] in study_of(tmp_path / "results").startable()


@pytest.mark.slow
def test_a_training_ends_with_the_study(tmp_path):
    """As after a kill of the study, which closes the pipe that the training reads."""
    process = study_defaults.Process.start(StudyRun(DIGITS, TODAY, 600), "choose")
    process.end()
    assert process.process.returncode == 1
    assert process.result() is None


def test_nothing_is_started_that_would_end_too_late(tmp_path):
    assert study_of(tmp_path, minutes=1.2).startable()[0].is_baselines
    assert all(run.is_baselines for run in study_of(tmp_path, minutes=1.2).startable())
    assert study_of(tmp_path, minutes=0.1).startable() == []


@pytest.mark.slow
def test_the_shortest_trainings_are_first(tmp_path, with_folders):
    """So that a study that was stopped has the small budgets of all groups."""
    results = StudyResults(tmp_path / "results")
    study = study_defaults.Study(results, "final", frozenset(), math.inf)
    study.plans = [GroupPlan(group, results) for group in ("texts", "series")]
    for plan in study.plans:
        for stage in ("choose", "confirm"):
            simulated(results, plan.group, stage, {})
    first = next(one for one in study.rounds() if one.group == "texts")
    for run in first.runs:
        if run not in results:
            results.add(line_of(run, 0.5))
    budgets = [run.budget_s for run in study.startable()]
    assert budgets == sorted(budgets)
    assert set(budgets) == {20, 60}


def test_a_line_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    results = StudyResults(tmp_path)
    run, other = StudyRun(DIGITS, TODAY, 60), StudyRun(DIGITS, TODAY, 180)
    results.add(line_of(run, 0.5))
    before = (tmp_path / "digits-rows.jsonl").read_bytes()

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(Exception, match="No space left on device"):
        results.add(line_of(other, 0.6))
    assert other not in results
    assert (tmp_path / "digits-rows.jsonl").read_bytes() == before


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "digits.jsonl"
    path.write_text('{"key": "a", "data": "digits"}\n{"key": "b', encoding="utf-8")
    with pytest.raises(SystemExit, match=re.escape(f"{path}:2: not a line of results")):
        StudyResults(tmp_path)


def test_the_page_of_hand_made_lines():
    """An error is better the smaller it is; a failed run is last."""
    depth = Configuration((("depth", "1"),))
    rate = Configuration((("rate", "0.002"),))
    etth1, seasonal = DATA_SETS["etth1"], DATA_SETS["seasonal"]
    scores = {(etth1, TODAY): 0.5, (etth1, depth): 0.4, (etth1, rate): None,
              (seasonal, TODAY): 0.3, (seasonal, depth): 0.2, (seasonal, rate): 0.1}  # fmt: skip
    lines = [line_of(StudyRun(data, one, 60), score) for (data, one), score in scores.items()]
    lines.append(line_of(StudyRun(etth1, TODAY, 0), None, 0.45, best="linear map"))
    assert dict(mean_ranks([line for line in lines if line["kind"] == "run"])) == {
        "depth 1": [1.0, 2.0], "default": [2.0, 3.0], "rate 0.002": [3.0, 1.0],
    }  # fmt: skip
    page = study_page(lines)
    assert "| etth1 | 60 s | MSE | 0.500 | 0.450 (linear map) | 0.400 (depth 1) | 1 |" in page
    assert "| depth 1 | 2 | 100% | 100% to 100% |" in page
    assert "| rate 0.002 | 2 | 50% | 0% to 100% |" in page
    assert "The defaults against baselines" not in page


def test_the_page_of_the_defaults():
    """Means over seeds of the test part; the better one by the validation part; baselines that are met or not."""
    etth1, ar = DATA_SETS["etth1"], DATA_SETS["ar"]
    rival = Configuration((("architecture", "transformer"), *SHIPPED.options))
    lines = [line_of(StudyRun(etth1, TODAY, 0), None, 0.45, best="linear map")]
    lines.append(line_of(StudyRun(ar, TODAY, 0), None, 0.95, best="Theta"))
    numbers = {
        (etth1, SHIPPED): (0.4, 0.46),
        (etth1, rival): (0.3, 0.48),
        (ar, SHIPPED): (0.9, 0.95),
        (ar, rival): (1.0, 0.8),
    }
    for (data, one), (valid, test) in numbers.items():
        config, stage = {"arch": one.keys("forecasts")["arch"]}, "final" if one == SHIPPED else "rivals"
        lines += [
            line_of(StudyRun(data, one, 600, seed), valid, test + (seed - 1) / 50, config=config, stage=stage)
            for seed in SEEDS
        ]
    lines.append(line_of(StudyRun(etth1, SHIPPED, 180), 0.1, 0.1, config={"arch": "dlinear"}, stage="final"))
    page = study_page(lines).replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "| etth1 | MSE | 0.450 (linear map) | dlinear (default) | **0.100** (1 of 3 seeds) | 0.460 ± 0.020 |\n"
        "|  |  |  | transformer |  | 0.480 ± 0.020 ↑ |\n"
    ) in page
    assert "At 180 s the default" not in page  # one seed of three
    assert (
        "| ar (held out) | MSE | 0.950 (Theta) | dlinear (default) |  | **0.950 ± 0.020** ↑ |\n"
        "|  |  |  | transformer |  | **0.800 ± 0.020** |\n"
    ) in page
    assert (
        "At 600 s the default is at or above the strongest baseline on 1 of 2 data sets, on 1 of the 1 that are" in page
    )


def chain(data, *odds: float, seed: int = 0, tested: float = 0.0) -> list[dict[str, object]]:
    """Trainings of 20, 60 and 180 s with these log odds of the accuracy; `tested` is added on the test items."""
    shares = [1 / (1 + math.exp(-place)) for place in odds]
    on_test = [1 / (1 + math.exp(-place - tested)) for place in odds]
    runs = [StudyRun(data, TODAY, budget_s, seed) for budget_s in (20, 60, 180)]
    return [line_of(*one) for one in zip(runs, shares, on_test, strict=True)]


def test_chains_have_the_pace_of_validation_and_the_gain_of_the_test_items():
    [one] = chains_of(chain(DIGITS, 0.0, 1.0, 1.5, tested=0.25))
    assert one.budgets_s == (20, 60, 180)
    assert (one.pace, one.gained) == pytest.approx((1.0, 0.5))
    assert chains_of(chain(DIGITS, 0.0, 1.0, 1.5)[:2]) == []


def test_the_fit_is_the_rule_that_made_the_chains():
    """Gains of .4 of the pace, with deviations of .2 (of errors .05) and .5 of it."""
    random = np.random.default_rng(0)
    paces, luck, shares = random.uniform(0, 1, 6000), random.standard_normal(6000), np.arange(6000) % 2 == 0
    gained = 0.4 * paces + np.hypot(np.where(shares, 0.2, 0.05), 0.5 * paces) * luck
    chains = [Chain(f"data {i % 7}", (20, 60, 180), *map(float, pair), share=bool(shares[i]))
              for i, pair in enumerate(zip(paces, gained, strict=True))]  # fmt: skip
    assert tuple(fitted(chains)) == pytest.approx((0.4, 0.2, 0.05, 0.5), rel=0.06)


def test_the_page_counts_how_often_the_rule_of_the_others_holds():
    """Three data sets that gain half of their pace, and one that loses what it had."""
    names = ("digits", "digits-rows", "digits-pixels", "spoken-labels")
    lines = [line for name in names for seed, pace in enumerate((0.2, 0.5, 1.0))
             for line in chain(DATA_SETS[name], 0.0, pace, pace * (-3 if name == "digits" else 1.5) + 0.01 * seed,
                               seed=seed)]  # fmt: skip
    page = study_page(lines)
    assert "| digits | 3 | 0% |" in page
    assert "| digits-rows | 3 | 100% |" in page
    assert "| mean of the data sets | 12 | 75% |" in page


def test_the_package_has_the_rule_of_the_study():
    rule = fitted(chains_of([line for line in load_lines(study_results.RESULTS) if line["kind"] == "run"]))
    assert tuple(rule) == pytest.approx(tuple(RULE), rel=0.2, abs=1e-3)  # new trainings move it


def test_the_bootstrap_draws_data_sets():
    """The mean of n draws of 0 and 1 with equal shares is binomial: n = 16, 5 % and 95 % quantiles 5/16 and 11/16."""
    assert bootstrap_interval([0.0, 1.0] * 8) == (5 / 16, 11 / 16)


@pytest.mark.slow
def test_a_training_of_the_study(tmp_path):
    line = measured(StudyRun(DIGITS, Configuration((("depth", "1"),)), 1), tmp_path)
    assert line["config"]["model"]["layers"] == 1
    assert line["steps"] >= 1
    assert 0 < line["cpu_s"] <= line["real_s"] * 1.05
    assert 0 <= line["valid"] <= 1
    assert [step for step, _ in line["curve"]][-1] == line["steps"]
    scored = measured(StudyRun(DIGITS, TODAY, 0), tmp_path)
    assert scored["test"] == max(values["accuracy"] for values in scored["metrics"].values())
