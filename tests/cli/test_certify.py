"""`sightline certify`: tables, JSON, the user's own mixers, and the exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from sightline.cli.app import main
from sightline.mixers import MIXERS

pytestmark = pytest.mark.slow

OWN = """
from dataclasses import dataclass
import torch
from sightline.core.mixer import SequenceMixer, Stateless, check_inputs, keep

class Shift(SequenceMixer):
    def __init__(self, d_model, peek):
        super().__init__()
        self.d_model = self.d_out = d_model
        self.peek = peek

    def initial_state(self, batch, memory=None):
        return Stateless()

    def forward(self, x, state=None, mask=None, starts=None):
        check_inputs(x, self.d_model, mask, starts)
        y = torch.tanh(keep(x, mask))
        if self.peek:
            y = y + keep(x, mask).roll(-1, 1)
        return keep(y, mask), Stateless()

@dataclass(frozen=True)
class ShiftConfig:
    peek: bool = False

    def build(self, d_model):
        return Shift(d_model, self.peek)

class Careless(Shift):
    def forward(self, x, state=None, mask=None, starts=None):
        if self.peek:
            raise RuntimeError("not today")
        y = x @ torch.eye(self.d_model, dtype=x.dtype)
        return (y if mask is None else torch.where(mask[:, :, None], y, 0)), Stateless()

@dataclass(frozen=True)
class CarelessConfig:
    broken: bool = False

    def build(self, d_model):
        return Careless(d_model, self.broken)

peeking = ShiftConfig(peek=True)
careless, broken = CarelessConfig(), CarelessConfig(broken=True)
nothing = 3
"""


def certify(folder, *arguments):
    command = [sys.executable, "-m", "sightline", "certify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("sightlin.core")
    return tmp_path


def test_a_mixer_of_one_s_own_passes_and_a_peeking_one_leaves_with_5(folder):
    laws = ["--law", "causality", "--law", "step = parallel", "--law", "batch order and size"]
    done = certify(folder, "own:ShiftConfig", "own:peeking", *laws, "--json")
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1].startswith("sightline: error: own:peeking (peek=True): ")
    report = json.loads(done.stdout)
    assert report["schema_version"] == 1
    assert not report["passed"]
    verdicts = {(result["mechanism"], result["law"]): result["passed"] for result in report["results"]}
    assert verdicts == {
        ("own:ShiftConfig", "causality"): True,
        ("own:ShiftConfig", "step = parallel"): True,
        ("own:ShiftConfig", "batch order and size"): True,
        ("own:peeking", "causality"): False,
        ("own:peeking", "step = parallel"): False,
        ("own:peeking", "batch order and size"): True,
    }


def test_a_failure_says_what_was_expected_and_where_an_error_came_from(folder):
    done = certify(folder, "own:careless", "own:broken", "--law", "shape and dtype")
    assert done.returncode == 5
    failures = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    expected = r"shape and dtype: FAILS: expected a ValueError for .*, got (no error|RuntimeError: .*)"
    assert re.fullmatch(rf"FAILED  own:careless \(default\): {expected}", failures[0])
    place = f"own.py:{OWN[: OWN.index('raise RuntimeError')].count(chr(10)) + 1}"
    assert failures[1].endswith(f"FAILS: expected a result, got RuntimeError: not today ({place})")


def test_the_table_shows_errors_against_tolerances(folder):
    done = certify(folder, "--only", "rnn,bidirectional", "--law", "causality", "--law", "padding")
    assert done.returncode == 0, done.stderr
    assert "✓ exact" in done.stdout
    assert "/1e-0" in done.stdout or "/1e-10" in done.stdout
    assert "–  causality: an encoder sees the whole sequence (bidirectional)" in done.stdout
    assert "0 failed" in done.stdout
    configurations = [example for name in ("rnn", "bidirectional") for example in MIXERS[name].examples()]
    assert done.stderr.count("passed") == len(configurations)  # progress, a line for each


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lstn"], "unknown mechanism 'lstn', did you mean 'lstm'?"),
        (["--law", "casuality"], "unknown law 'casuality', did you mean 'causality'?"),
        (["nowhere:Config"], "nowhere: no module 'nowhere', neither here nor among"),
        (["own:ShiftConfg"], "module own has no 'ShiftConfg', did you mean 'ShiftConfig'?"),
        (["broken:Config"], "broken: importing it failed: NameError: name 'sightlin' is not defined (broken.py:"),
        (["own:nothing"], "own:nothing is not a config: expected a dataclass with build(d_model)"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, message, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["certify", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("sightline: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_killed_process_is_an_error_of_the_environment(folder):
    (folder / "own.py").write_text(
        OWN.replace("y = torch.tanh(", "__import__('os').kill(__import__('os').getpid(), 9)\n        y = torch.tanh(")
    )
    done = certify(folder, "own:ShiftConfig", "--law", "causality")
    assert done.returncode == 3
    assert "certifying own:ShiftConfig: the process was ended by SIGKILL (out of memory?)" in done.stderr
