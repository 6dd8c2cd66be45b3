"""A whole swap: the run that it leaves, its repetition, and what a stop leaves behind."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
import torch

import sightline
from sightline.core.errors import InputError, Interrupted
from sightline.lab.swap.prepare import SwapConfig
from sightline.lab.swap.results import RESULTS, SwapPlan, SwapResults
from sightline.lab.swap.run import run_swap
from tests.lab.swap import made

PLAN = SwapPlan(layer_steps=4, tune_steps=4, length=50)
CONFIG = SwapConfig("window", settings={"window": "3"}, plan=PLAN)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    settings = {"model.d_model": 16, "model.heads": 2, "context": made.CONTEXT, "model.layers": 2, "batch_tokens": 192}
    data = made.text_file(place)
    sightline.fit("language", data, "transformer", "6steps", out_dir=place / "lm", settings=settings, quiet=True)
    return place / "lm"


@pytest.fixture(scope="module")
def first(run, tmp_path_factory):
    place = tmp_path_factory.mktemp("swaps") / "first"
    return place, run_swap(run, place, CONFIG, command="sightline swap")


def quiet(line):
    pass


def test_the_run_says_which_layer_is_what_and_can_be_used(first):
    place, results = first
    config = json.loads((place / "best" / "config.json").read_text())
    assert (config["arch"], config["model"]["mixers"]) == ("hybrid", ["window", "window"])
    assert config["model"]["options"] == {"window": {"window": 3}}
    assert results.mechanisms == ["window", "window"]
    task = sightline.load(place)
    assert task.predict(["ab "], None)
    measured = task.evaluate().metrics["bits_per_byte"]
    assert measured == pytest.approx(results.rows[-1].tuned.mean, rel=1e-6)


def test_the_table_has_every_layer_alone_and_all_together(first):
    _, results = first
    assert [row.layers for row in results.rows] == [[1], [2], [1, 2]]
    assert [layer.layer for layer in results.layers] == [1, 2]
    assert [layer.copied for layer in results.layers] == [["query", "key", "value", "out"]] * 2
    for layer in results.layers:
        assert (layer.state_before, layer.state_after) == (4 * 2 * 16 * 50 + 8, 4 * 2 * 16 * 2 + 8)
        assert layer.error_matched <= layer.error_start
    assert [row.saved_bytes for row in results.rows] == [6144, 6144, 12288]
    for row in results.rows:
        better = min(results.original.mean, results.control.mean)
        assert row.lost.mean == pytest.approx(row.tuned.mean - better)
        assert row.lost_replaced.mean == pytest.approx(row.replaced.mean - results.original.mean)
        assert row.lost.low <= row.lost.mean <= row.lost.high


def test_the_original_is_measured_as_it_is(run, first):
    assert first[1].original.mean == pytest.approx(sightline.load(run).evaluate().metrics["bits_per_byte"], rel=1e-6)


def test_results_survive_the_file_and_another_schema_is_refused(first, tmp_path):
    place, results = first
    assert SwapResults.load(place / RESULTS).to_dict() == results.to_dict()
    (tmp_path / RESULTS).write_text('{"schema_version": 9}')
    with pytest.raises(InputError, match=r"swap\.json: expected schema_version 1, found 9"):
        SwapResults.load(tmp_path / RESULTS)


def timeless(results):
    layers = [replace(layer, step_before_us=None, step_after_us=None) for layer in results.layers]
    return replace(results, layers=layers, seconds=None).to_dict()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_results_and_weights(run, first, tmp_path):
    torch.manual_seed(99)  # of the caller, which matters to nothing
    settings, plan = {"window": 3}, {"layer_steps": 4, "tune_steps": 4, "length": 50}
    again = sightline.swap(run, "window", settings=settings, out_dir=tmp_path / "again", **plan)
    assert timeless(replace(again.results, command="sightline swap")) == timeless(first[1])
    words = again.results.command.split()
    assert words[:3] == ["sightline", "swap", str(run)]
    assert words[words.index("--to.window") + 1] == "3"
    assert words[words.index("--layer-steps") + 1] == "4"
    assert again.report.is_file()
    assert list(again.table["replaced_layers"]) == ["layer 1", "layer 2", "all 2 layers"]
    assert again.verdict in repr(again)
    files = [place / "best" / "model.safetensors" for place in (first[0], tmp_path / "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_window_as_long_as_the_context_loses_nothing_without_distillation(run, tmp_path):
    config = replace(CONFIG, layers="2", settings={"window": str(made.CONTEXT)}, plan=replace(PLAN, tune_steps=0))
    (row,) = run_swap(run, tmp_path / "wide", config, say=quiet).rows
    assert row.lost_replaced.mean == pytest.approx(0.0, abs=1e-6)
    assert row.lost.mean == pytest.approx(0.0, abs=1e-6)
    assert row.verdict == "kept"
    assert sightline.load(tmp_path / "wide").sizes.mixers == ("softmax", "window")


class Ended(Exception):
    pass


def stopping(action):
    def say(line):
        if "trained further" in line:
            action()

    return say


def fail():
    raise Ended


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_behind(run, tmp_path, number):
    with pytest.raises(Interrupted, match="nothing was written") as caught:
        run_swap(run, tmp_path / "out", CONFIG, say=stopping(lambda: os.kill(os.getpid(), number)))
    assert caught.value.status == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_failure_at_the_end_leaves_what_was_there(run, first, tmp_path):
    place = tmp_path / "out"
    config = replace(CONFIG, layers="1", plan=replace(PLAN, layer_steps=0, tune_steps=0))
    run_swap(run, place, config, say=quiet)
    before = (place / RESULTS).read_bytes()
    with pytest.raises(Ended):
        run_swap(run, place, config, overwrite=True, say=quiet, page=lambda results, directory: fail())
    assert (place / RESULTS).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(
        InputError, match=r"out: contains a swapped model: replace it with --overwrite, or choose another directory$"
    ):
        run_swap(run, place, config, say=quiet)


def test_other_directories_are_not_replaced(run, tmp_path):
    (tmp_path / "thesis.txt").write_text("words")
    with pytest.raises(InputError, match=r"contains 'thesis\.txt', which is not part of a swapped model"):
        run_swap(run, tmp_path, CONFIG, overwrite=True, say=quiet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "blue"}, "--metric: unknown metric 'blue'"),
        ({"tested": 0}, "--tested: must be at least 1, found 0"),
        ({"plan": SwapPlan(layer_steps=-1)}, "--layer-steps: must be at least 0, found -1"),
        ({"plan": SwapPlan(tune_lr=0.0)}, "--tune-lr: must be positive, found 0.0"),
    ],
)
def test_wrong_settings_are_refused(run, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        run_swap(run, tmp_path / "out", replace(CONFIG, **changes), say=quiet)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SwapPlan(tune_steps=0, tune_lr=3e-3), "--tune-lr: is of a stage that --tune-steps 0 leaves out"),
        (SwapPlan(tune_steps=0, kl=2.0), "--kl: is of a stage that --tune-steps 0 leaves out"),
        (SwapPlan(layer_steps=0, layer_lr=1e-2), "--layer-lr: is of a stage that --layer-steps 0 leaves out"),
    ],
)
def test_settings_of_a_stage_that_is_left_out_are_refused(plan, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        SwapConfig("window", plan=plan)
    SwapConfig("window", plan=SwapPlan(layer_steps=0, tune_steps=0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 3}, r"unknown option 'steps'"),
        ({"layers": 9}, r"^layers: must be between 1 and \d, found 9$"),
        ({"settings": {"windo": 3}}, r"^settings\[\"windo\"\]: unknown key, did you mean 'window'\?$"),
    ],
)
def test_errors_from_python_name_its_arguments(run, wrong, message):
    with pytest.raises(InputError, match=message):
        sightline.swap(run, "window", **wrong)


def test_a_model_without_its_run_is_refused(run, tmp_path):
    sightline.load(run).save(tmp_path / "model")
    with pytest.raises(
        InputError, match=r"no config\.yaml here says what it was trained on: give the directory of a run"
    ):
        run_swap(tmp_path / "model", tmp_path / "out", CONFIG, say=quiet)
