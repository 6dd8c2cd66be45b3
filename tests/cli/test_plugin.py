"""The flag --plugin: what is named is loaded, nothing else is; errors are one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sightline.cli.app import main
from sightline.cli.keys import keys_help
from sightline.lab.bench.table import find_scenarios, plugin_scenarios
from sightline.models.plugins import load_plugin
from tests.plugins import BAG, ECHO, forgotten

ROWS = "".join(f"{'good fine' if i % 2 else 'bad dull'} film {i},{'pos' if i % 2 else 'neg'}\n" for i in range(40))
TRAIN = ["train", "--task", "classification", "--data", "rows.csv", "--max-steps", "1", "--quiet", "--out-dir", "run"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with two plugins and data."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"echo.py": ECHO, "bag.py": BAG, "rows.csv": f"text,label\n{ROWS}"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with forgotten(tmp_path):
        yield tmp_path


@pytest.fixture
def run(folder):
    """A run of the model of a plugin, which no longer is loaded."""
    with forgotten(folder):
        assert main([*TRAIN, "--plugin", "bag.py", "--arch", "bag"]) == 0
    return folder / "run"


def error_of(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 2
    return capsys.readouterr().err.strip().removeprefix("sightline: error: ")


def test_a_model_of_a_plugin_is_used_where_the_plugin_is_named(run, capsys):
    assert "plugin:\n- bag\n" in (run / "config.yaml").read_text()
    assert "sightline.load_plugin('bag')\nmodel = " in (run / "best" / "README.md").read_text()
    trap = run.parent / "sprung"
    (run.parent / "bag.py").write_text(f"open({str(trap)!r}, 'w').close()\n{BAG}")
    needs = "add --plugin bag, in Python sightline.load_plugin('bag')"
    best = f"run/best/config.json: uses 'bag' of the plugin 'bag': {needs}"
    assert error_of(capsys, "predict", "run", "a film") == best
    assert error_of(capsys, "eval", "run") == best
    assert error_of(capsys, "train", "--resume", "--out-dir", "run") == (
        f"run/config.yaml: plugin: needs the plugin 'bag': {needs}"
    )
    assert not trap.exists()
    assert main(["predict", "--plugin", "bag", "run", "a film"]) == 0
    assert trap.exists()
    out, err = capsys.readouterr()
    assert out.split()[0] in ("pos", "neg")
    assert "the plugin 'bag' has changed since this was saved" in err


@pytest.mark.slow
def test_the_panel_measures_a_mechanism_and_a_model_of_plugins(run, capsys):
    assert error_of(capsys, "panel", "run").startswith("run/best/config.json: uses 'bag' of the plugin 'bag'")
    more, lengths = ["--quick", "--json", "--only"], ["--lengths", "8,16,32"]
    of_model = [*lengths, *more, "reach,serial,growth"]
    assert main(["panel", "run", "--plugin", "bag.py", "--out-dir", "of-model", *of_model]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in results["reach"]] == ["run at initialisation", "run"]
    assert results["reach"][1]["used"] is not None
    assert results["serial"] == results["growth"] == []  # a mean of vectors has no layers of a mechanism
    assert main(["panel", "--plugin", "echo.py", "--out-dir", "of-mechanism", *more, "serial"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["names"] == ["echo"]
    assert {row["name"] for row in results["serial"]} == {"echo"}


def test_an_evaluation_and_a_resumed_training_load_it_too(run, capsys):
    assert main(["eval", "--plugin", "bag.py", "run", "--json"]) == 0
    longer = ["2" if argument == "1" else argument for argument in TRAIN]
    assert main([*longer, "--plugin", "bag.py", "--arch", "bag", "--resume"]) == 0
    assert "steps              2" in capsys.readouterr().out


def test_certify_takes_the_mechanisms_of_the_plugins_by_default(folder, capsys):
    assert error_of(capsys, "certify", "--plugin", "bag.py").startswith("bag.py: has no mechanism in MIXERS")
    assert error_of(capsys, "certify", "--plugin", "echo.py", "eco") == (
        "unknown mechanism 'eco', did you mean 'echo'?"
    )


def test_the_benchmark_has_a_scenario_for_each_mechanism_of_a_plugin(folder):
    more = plugin_scenarios([load_plugin("echo.py")])
    (scenario,) = find_scenarios(["mechanism_echo"], more)
    assert scenario.name == "mechanism_echo"
    assert [one.name for one in find_scenarios(["mechanisms"], more)][-1] == "mechanism_echo"


def test_help_lists_the_architectures_of_a_plugin(folder):
    text = keys_help(["train", "--plugin", "echo.py", "--plugin=bag.py", "--help"])
    assert "\nPlugin echo\n───────────\n\necho (encoder-decoder, decoder, encoder, forecaster)\n" in text
    assert text.endswith("\nPlugin bag\n──────────\n\nbag (encoder)")
    assert "Plugin" not in keys_help(["train", "--help"]).replace("Plugins that the model needs", "")


def test_what_is_wrong_with_a_plugin_is_one_line(folder, capsys):
    Path("echo.py").write_text(ECHO.replace('"echo"', '"lstm"'), encoding="utf-8")
    message = error_of(capsys, *TRAIN, "--plugin", "echo.py", "--arch", "echo")
    assert message == "plugin 'echo.py': 'lstm' is a mechanism of sightline (LSTMConfig): choose another name"
    assert not Path("run").exists()


def test_an_error_in_a_plugin_names_its_line(folder, capsys):
    Path("bag.py").write_text(BAG.replace("self.head(", "self.hat("), encoding="utf-8")
    message = error_of(capsys, *TRAIN, "--plugin", "bag.py", "--arch", "bag")
    line = BAG[: BAG.index("self.head(x")].count("\n") + 1
    assert f"the plugin 'bag', bag.py:{line}: AttributeError: " in message


def test_the_process_that_compares_imports_no_plugin(folder, monkeypatch):
    """Only its workers do: it imports no torch either."""
    import sightline.lab.compare as module

    given = []
    monkeypatch.setattr(module, "compare", lambda config, *_, **__: given.append(config) or sys.exit(7))
    arguments = ["compare", "--plugin", "echo.py", "--plugin", "bag.py", "--data", "rows.csv", "--archs", "echo,bag"]
    assert main(arguments) == 7
    assert given[0].plugin == ("echo.py", "bag.py")
    assert "echo" not in sys.modules
