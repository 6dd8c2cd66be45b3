"""The panel as a whole at tiny sizes: every part, stopping and continuing, runs beside mechanisms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.lab import panel
from sightline.lab.forms import TrainedRun
from sightline.lab.panel import FILE, PARTS, Sizes, find_run, run_panel
from sightline.lab.panel_results import PanelResults
from sightline.models.plugins import load_plugin
from sightline.report.panel_text import unmeasured_lines
from tests.plugins import ECHO, forgotten
from tests.tasks.classification import small
from tests.tasks.forecasting import small as windows
from tests.tasks.translation import small as pairs

TINY = Sizes(
    reach_length=9, sequences=6, labels=12, narrow=8, serial_lengths=(4, 8, 16), d_model=8, lengths=(4, 8, 16),
    rounds=2, checks=1, keys=20, layers=1, recall_pairs=(2,), recall_widths=(8,), recall_steps=2, texts=6,
)  # fmt: skip
FACTS = {"command": "sightline panel", "environment": {}}


@pytest.mark.slow
def test_every_part_of_mechanisms_and_of_a_run(tmp_path):
    run = TrainedRun("runs/c", small.untrained("text", "transformer"), small.data("text").test)
    results = run_panel(["gru", "softmax+weights"], [run], tmp_path, TINY, list(PARTS), FACTS)
    assert results.names == ["gru", "softmax+weights", "runs/c"]
    assert [reach.name for reach in results.reach] == ["gru", "runs/c at initialisation", "runs/c"]
    assert {chain.name for chain in results.serial} == {cost.name for cost in results.growth} == set(results.names)
    assert [row.name for row in results.saturation] == ["scaled", "unscaled", "scaled", "unscaled", "runs/c"]
    assert [row.name for row in results.recall] == ["gru"]
    assert results.contexts == []  # a classifier
    assert set(results.seconds) == set(PARTS)
    assert PanelResults.load(tmp_path / FILE) == results


@pytest.mark.slow
def test_planted_tasks_are_trained_as_they_are_asked_for(tmp_path):
    sizes = replace(TINY, recall_tasks=("copy", "needle"))
    results = run_panel(["gru", "additive"], [], tmp_path, sizes, ["recall"], FACTS)
    assert [(row.name, row.task) for row in results.recall] == [("gru", "copy"), ("gru", "needle")]
    assert [(point.items, point.length) for row in results.recall for point in row.points] == [(2, 7), (1, 8)]


@pytest.mark.slow
def test_a_run_is_found_with_its_test_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("".join(f"the cat {i} sat on the mat\n\n" for i in range(400)))
    flags = "--task language --data a.txt --arch lstm --model.d-model 16 --context 16 --budget 2steps --out-dir run"
    assert main(["train", *flags.split(), "--quiet"]) == 0
    run = find_run(Path("run"))
    results = run_panel([], [run], tmp_path / "out", TINY, ["reach", "serial", "saturation", "recall"], FACTS)
    began, reach = results.reach
    assert (reach.name, reach.trained, reach.loss_unit) == ("run", True, "nats/token")
    assert (began.before, began.trained, began.used) == ("run", False, None)
    assert began.state.centre != reach.state.centre
    assert reach.used.at[-1] <= 16
    assert reach.state is not None
    assert {chain.phase for chain in results.serial} == {"forward", "training", "decode"}
    assert results.saturation == []  # no softmax
    (context,) = results.contexts
    assert (context.name, context.sequences, context.by_position.at[-1]) == ("run", 6, 64.0)
    assert sum(kind.tokens for kind in context.classes) == 6 * 16


@pytest.mark.slow
def test_every_form_of_a_model_has_its_axes_and_what_is_missing_is_said(tmp_path):
    task, data = windows.built(windows.small("nlinear"))
    runs = [
        TrainedRun("bahdanau", pairs.untrained("bahdanau"), pairs.corpus().test),
        TrainedRun("nlinear", task, data.test),
        TrainedRun("pictures", small.untrained("image", "gru"), small.data("image").test),
    ]
    results = run_panel([], runs, tmp_path, TINY, list(PARTS), FACTS)
    over = [(row.name, row.over) for row in results.reach if row.trained]
    assert over == [("bahdanau", "source"), ("bahdanau", "target"), ("nlinear", "look-back")]
    began = {row.name for row in results.reach if not row.trained}
    assert began == {"bahdanau at initialisation", "nlinear at initialisation"}
    phases = {(cost.name, cost.phase) for cost in results.growth}
    assert {name for name, phase in phases if phase == "training"} == {run.name for run in runs}
    assert {name for name, phase in phases if phase == "decode"} == {"bahdanau"}
    alone = [(chain.name, chain.along) for chain in results.serial if chain.along != "all"]
    assert alone == [("bahdanau", "source"), ("bahdanau", "target")]
    assert [row.name for row in results.saturation] == ["bahdanau, cross-attention"]
    losses = {(row.name, row.along) for row in results.losses} - {("bahdanau", "source length")}
    assert losses == {("bahdanau", "target position"), ("nlinear", "step ahead")}
    assert {row.name for row in results.states} == {"bahdanau"}
    gaps = {(gap.part, gap.name): gap.reason for gap in results.unmeasured}
    assert gaps["reach", "pictures"] == "pictures have no order of positions"
    assert gaps["reach", "nlinear"] == "the model has no layers with a state"
    assert gaps["growth", "nlinear"] == "one call gives the whole answer"
    assert gaps["recall", "pictures"] == "a classifier writes nothing: see its used reach"
    assert PanelResults.load(tmp_path / FILE) == results
    lines = unmeasured_lines(results, "saturation")
    assert lines == ["nlinear and pictures: saturation not measured: no layer has softmax attention."]


@pytest.mark.slow
def test_a_table_of_positions_that_ends_is_said(tmp_path):
    task = small.untrained("text", "transformer")
    model = replace(task.config.model, input_positions="learned")
    task = type(task).create(small.data("text"), replace(task.config, model=model))
    sizes = replace(TINY, serial_lengths=(4, 8, 1100), lengths=(4, 8, 16, 1100), longest_s=1e9)
    run = TrainedRun("run", task, small.data("text").test)
    results = run_panel([], [run], tmp_path, sizes, ["serial", "growth"], FACTS)
    assert [chain.lengths for chain in results.serial] == [[4, 8], [4, 8]]
    assert {tuple(cost.lengths) for cost in results.growth} == {(4, 8, 16)}
    reasons = {(gap.part, gap.what): gap.reason for gap in results.unmeasured}
    assert reasons["serial", "forward from 1,100 positions on"] == "position 1099 exceeds the 1024 learned positions"
    assert ("growth", "training from 1,100 positions on") in reasons


def counting(monkeypatch, fails=()):
    """Replaces every part by one that only counts."""
    measured = []

    def part(name):
        def measure(results, *_):
            measured.append(name)
            if name in fails:
                raise KeyboardInterrupt
            return results

        return measure

    monkeypatch.setattr(panel, "PARTS", {name: part(name) for name in PARTS})
    return measured


def test_a_stopped_panel_continues_with_the_part_that_it_stopped_in(tmp_path, monkeypatch):
    counting(monkeypatch, fails=["growth"])
    with pytest.raises(KeyboardInterrupt):
        run_panel(["gru"], [], tmp_path, TINY, list(PARTS), FACTS)
    measured = counting(monkeypatch)
    run_panel(["gru"], [], tmp_path, TINY, list(PARTS), FACTS)
    assert measured == ["growth", "saturation", "recall"]


def test_parts_are_measured_as_they_are_asked_for(tmp_path, monkeypatch):
    measured = counting(monkeypatch)
    run_panel(["gru"], [], tmp_path, TINY, ["serial"], FACTS)
    run_panel(["gru"], [], tmp_path, TINY, ["reach", "serial"], FACTS)
    assert measured == ["serial", "reach"]


def test_another_panel_in_the_directory_is_not_mixed_in(tmp_path, monkeypatch):
    counting(monkeypatch)
    run_panel(["gru"], [], tmp_path, TINY, ["serial"], FACTS)
    for names, sizes in ((["lstm"], TINY), (["gru"], replace(TINY, rounds=3))):
        with pytest.raises(
            InputError, match=r"panel\.json: has other mechanisms or sizes: replace it with --overwrite"
        ):
            run_panel(names, [], tmp_path, sizes, ["serial"], FACTS)


def test_a_run_that_was_trained_again_is_not_shown_with_the_numbers_of_before(tmp_path, monkeypatch):
    """Its name is the same, and so is the name of a plugin's mechanism."""
    trained = TrainedRun("runs/mine", pairs.untrained("gru"), None)
    measured = counting(monkeypatch)
    for _ in range(2):
        run_panel([], [trained], tmp_path, TINY, ["reach"], FACTS)
    assert measured == ["reach"]
    again = TrainedRun("runs/mine", pairs.untrained("gru"), None)
    with torch.no_grad():
        next(again.model.parameters())[0] += 1
    with pytest.raises(InputError, match=r"panel\.json: was measured before runs/mine changed: replace it with --over"):
        run_panel([], [again], tmp_path, TINY, ["reach"], FACTS)


def test_a_mechanism_of_a_plugin_that_was_edited_is_not_shown_with_the_numbers_of_before(tmp_path, monkeypatch):
    measured = counting(monkeypatch)
    for edited, calls in ((False, ["reach"]), (False, ["reach"]), (True, None)):
        (tmp_path / "echo.py").write_text(f"{ECHO}\n# edited: {edited}\n", encoding="utf-8")
        with forgotten(tmp_path):
            load_plugin(tmp_path / "echo.py")
            if calls is None:
                with pytest.raises(InputError, match="was measured before echo changed"):
                    run_panel(["echo"], [], tmp_path / "panel", TINY, ["reach"], FACTS)
                continue
            run_panel(["echo"], [], tmp_path / "panel", TINY, ["reach"], FACTS)
        assert measured == calls


def test_overwrite_with_a_run_that_is_not_there_keeps_the_earlier_panel(tmp_path, capsys):
    (tmp_path / FILE).write_text("{}", encoding="utf-8")
    assert main(["panel", str(tmp_path / "typo"), "--overwrite", "-o", str(tmp_path)]) == 2
    assert "no such directory" in capsys.readouterr().err
    assert (tmp_path / FILE).read_text(encoding="utf-8") == "{}"


def test_other_work_on_the_machine_is_said_to_spoil_times(tmp_path, monkeypatch):
    counting(monkeypatch)
    monkeypatch.setattr(panel.OthersLoad, "cores", lambda self: 1.4)
    results = run_panel(["gru"], [], tmp_path, TINY, ["growth", "serial"], FACTS)
    assert results.notes == [
        "Other programs kept 1.4 cores busy while times were measured: they are too long, unevenly."
    ]
