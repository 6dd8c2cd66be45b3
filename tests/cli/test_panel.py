"""`sightline panel`: flags, the table, JSON, and errors before anything is measured."""

from __future__ import annotations

import json

import pytest

from sightline.cli.app import main
from sightline.lab import panel
from tests.report.synthetic_panel import make_panel


@pytest.fixture
def measured(monkeypatch):
    """Replaces the measurement; has the arguments that it was called with."""
    calls = []

    def run_panel(names, runs, directory, sizes, only, facts, say):
        calls.append((names, [run.name for run in runs], sizes, only))
        return make_panel(saturation=[], reach=[], growth=[], crossovers=[], recall=[], contexts=[], gaps=[])

    monkeypatch.setattr(panel, "run_panel", run_panel)
    return calls


@pytest.mark.slow
def test_the_table_is_whole_in_a_pipe_and_the_page_is_named(measured, capsys, tmp_path):
    assert main(["panel", "--mixers", "lstm,softmax+weights", "--out-dir", str(tmp_path / "p"), "--quick"]) == 0
    out, _ = capsys.readouterr()
    assert "softmax+weights" in out
    assert "constant" in out
    assert "…" not in out
    assert str(tmp_path / "p" / "panel.html") in out
    assert (tmp_path / "p" / "panel.html").exists()
    ((names, runs, sizes, only),) = measured
    assert (names, runs, sizes) == (["lstm", "softmax+weights"], [], panel.QUICK)
    assert only == ["reach", "serial", "growth", "saturation", "recall"]


@pytest.mark.slow
def test_parts_and_lengths_are_chosen_and_json_is_one_object(measured, capsys, tmp_path):
    flags = [
        "--mixers",
        "lstm",
        "--only",
        "growth, serial, saturation, recall",
        "--lengths",
        "64,32,128",
        "--recall",
        "needle, copy",
        "--checks",
        "9",
        "--keys",
        "5000",
        "--json",
        "--out-dir",
        str(tmp_path),
    ]
    assert main(["panel", *flags]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["schema_version"] == 1
    assert measured[0][2].lengths == (32, 64, 128)
    assert measured[0][2].recall_tasks == ("copy", "needle")
    assert (measured[0][2].checks, measured[0][2].keys) == (9, 5000)
    assert measured[0][3] == ["serial", "growth", "saturation", "recall"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mixers", "lstmm"], "--mixers: unknown mechanism 'lstmm', did you mean 'lstm'?"),
        (["--only", "growht"], "--only: unknown part 'growht', did you mean 'growth'?"),
        (["--recall", "needel"], "--recall: unknown planted task 'needel', did you mean 'needle'?"),
        (["--keys", "1"], "--keys: must be at least 2, found 1"),
        (["--lengths", "64,128"], "--lengths: expected at least three numbers of positions such as 128,256,512"),
        (["nowhere/x"], "nowhere/x: no such directory"),
        (["--only", "reach", "--lengths", "64,32,128"], "--lengths: is for the part growth, which --only leaves out"),
        (["--only", "reach", "--checks", "0"], "--checks: is for the part growth, which --only leaves out"),
        (["--only", "recall,growth", "--keys", "9"], "--keys: is for the part saturation, which --only leaves out"),
        (["--only", "reach", "--recall", "copy"], "--recall: is for the part recall, which --only leaves out"),
        (["nowhere/x", "--recall", "copy"], "--recall: is for mechanisms, and only runs are measured: add --mixers"),
        (["nowhere/x", "--keys", "9"], "--keys: is for mechanisms, and only runs are measured: add --mixers"),
    ],
)
def test_errors_come_before_any_measurement(measured, capsys, tmp_path, flags, message):
    assert main(["panel", *flags, "--out-dir", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert measured == []
