"""The result of a comparison as an object: what it shows, its frames, and the command that repeats it."""

from __future__ import annotations

import html
import importlib
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import sightline
from sightline.api.compare import command_of
from sightline.api.comparison import ComparisonResult
from sightline.api.ladder import LadderResult
from sightline.cli.overrides import parse_overrides
from sightline.core.errors import InputError
from sightline.lab.plan import CompareConfig
from tests.report.synthetic import make_results
from tests.report.synthetic_ladder import make_ladder

RESULTS = make_results()


def result(like=None) -> ComparisonResult:
    return ComparisonResult(RESULTS, Path("runs/which"), Path("runs/which/report.html"), like)


@pytest.mark.parametrize("like", [pl.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]})], ids=["polars", "pandas"])
def test_the_frames_are_of_the_library_of_the_data(like):
    table, runs = result(like).table, result(like).runs
    assert type(table) is type(runs) is type(like)
    assert [*table["architecture"]] == [one.arch for one in RESULTS.ranked]
    best = RESULTS.ranked[0].metrics[RESULTS.primary_metric]
    assert [table[name][0] for name in (RESULTS.primary_metric, "low", "high")] == [best.mean, best.low, best.high]
    assert [*zip(runs["architecture"], runs["seed"], runs["status"], strict=True)] == [
        (run.arch, run.seed, run.status) for run in RESULTS.runs
    ]


def test_it_shows_the_verdict_and_every_architecture():
    for text in (repr(result()), result()._repr_html_()):
        assert RESULTS.verdict.split(":")[0] in text
        assert all(one.arch in text for one in RESULTS.architectures)
        assert "runs/which/report.html" in text
        assert html.unescape(text).count(result().recommendation) == 1


def test_it_shows_each_warning_once():
    warning = "Fewer than 100 steps: give a larger --budget."
    results = replace(RESULTS, verdict=f"{RESULTS.verdict} {warning}", warnings=[warning])
    shown = ComparisonResult(results, Path("runs/which"), Path("runs/which/report.html"), None)
    spelled = "Fewer than 100 steps: give a larger budget=…."
    assert repr(shown).count(spelled) == shown._repr_html_().count(spelled) == 1
    assert "--budget" not in repr(shown)
    assert shown.verdict.endswith(spelled)


def test_the_command_repeats_the_comparison():
    settings = {"label_column": "a b", "model.d_model": 16, "lowercase": True}
    config = CompareConfig(
        task="classification",
        data="tables/a.parquet",
        archs=("gru", "lstm"),
        budget="5steps",
        seeds=2,
        until_decided=True,
        margin=0.5,
        settings=settings,
    )
    program, verb, *flags = shlex.split(command_of("compare", config))
    assert (program, verb) == ("sightline", "compare")
    assert parse_overrides(flags) == {
        "task": "classification", "data": "tables/a.parquet", "archs": "gru,lstm", "budget": "5steps", "seeds": "2",
        "until_decided": "true", "margin": "0.5",
        "label_column": "a b", "model.d_model": "16", "lowercase": "true",
    }  # fmt: skip


def test_the_command_names_the_plan_in_place_of_a_budget():
    flags = parse_overrides(shlex.split(command_of("compare", CompareConfig(archs=("gru",)), Path("runs/a b")))[2:])
    assert (flags["plan"], "budget" in flags) == ("runs/a b", False)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"seeds": 0}, "seeds: must be at least 1, found 0"),
        ({"archs": ["gru", "gru"]}, "archs: gru is listed twice"),
        ({"archs": "gru, lstm, gru"}, "archs: gru is listed twice"),
        ({"archs": []}, "archs: expected at least one architecture"),
        ({"archs": " , "}, "archs: expected at least one architecture"),
        ({"seeds": 2.5}, "seeds: expected an integer, written in full, found 2.5"),
        ({"task": "classified"}, "task: unknown task 'classified', did you mean 'classification'?"),
        ({"data": []}, "data: has no rows"),
        ({"budget": "5s", "plan": "runs/old"}, "budget and plan are mutually exclusive"),
        ({"plan": "runs/old"}, "runs/old: no such file"),
        ({"plan": result()}, "runs/which/results.json: no such file"),
        (
            {"settings": {"budget": "5s"}},
            "budget: is a key of the comparison itself, not one of the settings that architectures share",
        ),
        (
            {"settings": {"keep": 3}},
            "keep: a comparison deletes the checkpoints of its runs and keeps best and last: leave it out",
        ),
    ],
)
def test_errors_name_arguments(tmp_path, keys, message):
    given = {"data": [("a", "b")] * 9, "task": "translation", "out_dir": tmp_path / "runs" / "x", **keys}
    with pytest.raises(InputError) as caught:
        sightline.compare(**given)
    assert str(caught.value) == message
    assert not (tmp_path / "runs" / "x").exists()


def test_a_ladder_takes_the_steps_of_an_earlier_one_as_a_comparison_does(tmp_path, monkeypatch):
    plans = []

    def stop(config, directory, *, plan, **_):
        plans.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("sightline.api.ladder"), "run_ladder", stop)
    earlier = LadderResult(make_ladder(), Path("runs/climbed"), Path("runs/climbed/ladder.html"))
    for plan in (earlier, "runs/climbed/results.json"):
        with pytest.raises(KeyboardInterrupt):
            sightline.ladder([("a", "b")] * 9, "translation", plan=plan, out_dir=tmp_path / "x")
    assert plans == [Path("runs/climbed/results.json")] * 2


def test_the_command_of_a_ladder_names_its_data_first_and_no_architectures():
    command = command_of("ladder", CompareConfig("language", "a b.txt", seeds=2, settings={"context": 64}), length=512)
    assert shlex.split(command) == [
        "sightline", "ladder", "a b.txt", "--task", "language", "--length", "512", "--budget", "60s", "--seeds", "2",
        "--context", "64",
    ]  # fmt: skip
