"""`sightline inspect`: maps of a saved model as a table and as JSON, and refusals in one line."""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import pytest

from sightline.cli.app import main
from sightline.cli.inspect_flags import MODES, USED_BY, InspectFlags, InspectMode
from sightline.inspect.faithfulness_results import Faithfulness
from sightline.inspect.influence_map import InspectedModel, Inspection
from tests.tasks.translation import small


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    small.untrained("transformer").save(tmp_path / "model")
    return tmp_path


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["inspect", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_text_is_inspected(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = "softmax,effect,relevance"
    status, out, err = inspected(capsys, "model", "907", "--methods", methods, "--json", "maps.json")
    assert (status, err) == (0, "")
    assert "input   9 0 7\n" in out
    lines = [line.split() for line in out.splitlines() if line.startswith(("softmax", "effect", "relevance"))]
    assert [line[0] for line in lines] == ["softmax"] * 3 + ["effect"] * 2 + ["relevance"] * 2
    assert "source  source   2 × 3 × 3     encoder" in out
    found = Inspection.load(model / "maps.json")
    assert found.command == f"sightline inspect model 907 --methods {methods}"
    assert found.model.name == "model"
    assert json.loads((model / "maps.json").read_text())["schema_version"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "907", "--methods", "sofmax"], "unknown method 'sofmax', did you mean 'softmax'?"),
        (["model", "907", "--replacements", "0"], "--replacements: must be at least 1, found 0"),
        (["nowhere", "907"], "nowhere: no such directory"),
        (["model", ""], "the text has no tokens"),
        (["model"], "no input given: write a text, numbers or a file after the run, or set --heads or --faithfulness"),
        (
            ["model", "9", "--faithfulness"],
            "--faithfulness: takes no input, found '9': leave out one of the two",
        ),
        (["model", "9", "--data", "a.tsv"], "--data: is for --heads, --prune and --faithfulness, not for one input"),
        (["model", "--faithfulness", "--items", "0"], "--items: must be at least 1, found 0"),
        (["model", "--faithfulness", "--methods", "softmax"], "--methods: is for one input, not for --faithfulness"),
    ],
)
def test_refusals_are_one_line(model: Path, capsys, arguments: list[str], message: str) -> None:
    status, out, err = inspected(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err == f"sightline: error: {message}\n"


def test_the_command_repeats_what_was_done(model: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sightline.models.plugins.load_plugins", lambda _: [])
    flags = ["--methods", "effect", "--replacements", "3", "--plugin", "mine.py"]
    status, _, err = inspected(capsys, "model", "907", *flags, "--json", "maps.json")
    assert (status, err) == (0, "")
    assert Inspection.load(model / "maps.json").command == f"sightline inspect model 907 {' '.join(flags)}"


def test_the_command_of_faithfulness_names_the_plugins(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    nothing = Faithfulness(
        InspectedModel("", "gru", "", 1), "", "pairs", 1, 3.0, 0, "cannot be told", "", [], [], [], [], [], []
    )
    monkeypatch.setattr("sightline.inspect.battery.faithfulness", lambda *_, **__: nothing)
    monkeypatch.setattr("sightline.cli.inspect_faithfulness.print_tests", lambda one: commands.append(one.command))
    monkeypatch.setattr("sightline.models.plugins.load_plugins", lambda _: [])
    assert main(["inspect", "model", "--faithfulness", "--plugin", "mine.py"]) == 0
    assert commands == ["sightline inspect model --faithfulness --items 100 --seed 0 --replacements 8 --plugin mine.py"]


VALUES = {
    "methods": "softmax", "replacements": "3", "beside": "other", "out": "a.html", "png": "a.png", "json": "a.json",
    "retrain": "60s", "seed": "1", "data": "a.tsv", "items": "7", "metric": "bleu", "orders": "0",
    "importance": "gradient", "dependencies": "a.conllu", "out_dir": "new", "device": "cpu",
}  # fmt: skip
WORDS = {"input": ["907"], "prune": ["--prune", "3"]}


def test_every_flag_has_its_modes() -> None:
    own = {field.name for field in fields(InspectFlags)} - set(MODES)
    assert set(USED_BY) == set(VALUES) == own
    assert {mode for modes in USED_BY.values() for mode in modes} == set(MODES)


@pytest.mark.parametrize(
    ("flag", "mode"), [(flag, mode) for flag in VALUES for mode in MODES if mode not in USED_BY.get(flag, ())]
)
def test_a_flag_of_another_mode_is_refused(flag: str, mode: InspectMode, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    spelled = f"--{flag.replace('_', '-')}"
    status, out, err = inspected(capsys, "nowhere", *WORDS.get(mode, [f"--{mode}"]), spelled, VALUES[flag])
    assert (status, out) == (2, "")
    assert err.startswith(f"sightline: error: {spelled}: is for ")
    assert err.endswith(f", not for {MODES[mode]}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("first", "second"), [*combinations([mode for mode in MODES if mode != "input"], 2)])
def test_two_modes_are_refused(first: InspectMode, second: InspectMode, capsys) -> None:
    words = [WORDS.get(mode, [f"--{mode}"]) for mode in (second, first)]
    status, _, err = inspected(capsys, "nowhere", *words[0], *words[1])
    assert status == 2
    assert err == f"sightline: error: --{second}: leave out one of --{first} and --{second}\n"


@pytest.mark.slow
def test_two_models_are_shown_beside_each_other(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.untrained("gru").save(model / "gru")
    flags = ("--replacements", "1", "--beside", "gru")
    methods = ("--methods", "effect,gradient")
    status, out, _ = inspected(capsys, "model", "907", *flags, *methods, "-o", "page.html", "--png", "map.svg")
    assert status == 0
    assert out.endswith("page: page.html\npicture: map.svg\n")
    assert (model / "map.svg").read_text(encoding="utf-8").count("Causal effect") == 4  # of two models and two sides
    assert "gru: gru, translation" in out
    page = (model / "page.html").read_text(encoding="utf-8")
    assert "What model and gru look at" in page
    assert "sightline inspect gru 907" in page
    for more, message in (
        ((), "--beside: needs --out, the page that shows both models, or --png"),
        (("--png", "map.jpg"), "--png: a picture's name ends in .png or .svg, found map.jpg"),
        (("-o", "x.html", "--json", "x.json"), "--beside: --json has the maps of one model: leave out one of the two"),
    ):
        status, _, err = inspected(capsys, "model", "907", *flags, *more)
        assert status == 2
        assert err.endswith(f"sightline: error: {message}\n")


@pytest.mark.slow
def test_methods_that_a_model_has_not_are_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.untrained("gru").save(model / "gru")
    status, out, err = inspected(capsys, "gru", "9", "--replacements", "1")
    assert status == 0
    assert "jacobian" in out
    assert "relevance has rules for Transformers of softmax attention, and none for GRU" in err
