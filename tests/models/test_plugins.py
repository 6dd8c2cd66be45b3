"""Plugins join the tables, are kept by name and hash in saved models, and are imported only when a user names them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.plugins import installed_plugins
from sightline.mixers import MIXERS
from sightline.models import FORMS, EncoderConfig
from sightline.models.plugins import LOADED, load_plugin, used_plugins
from sightline.models.store import load_model, save_model
from sightline.tasks.recipe import resolve_run
from tests.plugins import BAG, ECHO, forgotten

SMALL = {"d_model": 8, "layers": 1, "heads": 2, "dropout": 0.0}
TRAP = "from pathlib import Path\nPath('sprung').touch()\n" + ECHO


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, empty; its plugins are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    with forgotten(tmp_path):
        yield tmp_path


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def drawn(config):
    torch.manual_seed(0)
    return config.build(11, 3)


def saved(arch: str) -> Path:
    """A model directory of an encoder."""
    config = FORMS["encoder"][arch]
    config = replace(config, **SMALL) if hasattr(config, "layers") else config
    place = Path("model")
    place.mkdir(exist_ok=True)
    facts = {"form": "encoder", "arch": arch, "task": "classification", "options": {}, "card": ""}
    save_model(place, drawn(config), config, 11, 3, **facts)
    return place


@pytest.mark.parametrize("named", ["echo.py", "echo"])
def test_a_mechanism_is_an_architecture_of_every_form(folder, named):
    write("echo.py", ECHO)
    plugin = load_plugin(named)
    assert plugin.forms == {"echo": list(FORMS)}
    assert MIXERS["echo"].__module__ == "echo"
    x = torch.tensor([[1, 2, 3, 4]])
    ours, gru = (drawn(config)(x) for config in (replace(FORMS["encoder"]["echo"], **SMALL),
                                                 EncoderConfig(("gru",), **SMALL)))  # fmt: skip
    assert torch.equal(ours, gru)


def test_a_whole_model_is_an_architecture_of_its_form_alone(folder):
    assert load_plugin(write("bag.py", BAG)).forms == {"bag": ["encoder"]}
    model = drawn(FORMS["encoder"]["bag"])
    embedded = model.front_end(torch.tensor([[1, 2, 0]]))[0]
    assert torch.allclose(model(torch.tensor([[1, 2, 0]])), model.head(embedded.mean(1)))


def test_a_plugin_is_loaded_once(folder):
    assert load_plugin(write("echo.py", ECHO)) is load_plugin("echo")
    write("echo.py", ECHO + "# more\n")
    with pytest.raises(InputError, match="plugin 'echo': has changed since it was loaded: start Python again"):
        load_plugin("echo")


def test_a_saved_model_asks_for_its_plugin_and_imports_nothing(folder):
    with forgotten(folder):
        load_plugin(write("echo.py", ECHO))
        place = saved("echo")
        before = load_model(place).model(torch.tensor([[1, 2, 3]]))
    write("echo.py", TRAP)
    with pytest.raises(InputError) as error:
        load_model(place)
    assert str(error.value) == (
        "model/config.json: uses 'echo' of the plugin 'echo': add --plugin echo, "
        "in Python sightline.load_plugin('echo')"
    )
    assert "echo" not in sys.modules
    assert not Path("sprung").exists()
    write("echo.py", ECHO)
    load_plugin("echo.py")
    assert torch.equal(load_model(place).model(torch.tensor([[1, 2, 3]])), before)


def test_another_source_of_the_plugin_is_a_warning(folder, caplog):
    with forgotten(folder):
        load_plugin(write("bag.py", BAG))
        place = saved("bag")
        load_model(place)
    assert not caplog.records
    load_plugin(write("bag.py", BAG + "__version__ = '2'\n"))
    load_model(place)
    (record,) = caplog.records
    assert "the plugin 'bag' has changed since this was saved (sha256 " in record.getMessage()
    assert record.getMessage().endswith(" now, version None then and 2 now): results may differ")


def test_models_of_sightline_alone_keep_nothing_of_plugins(folder):
    load_plugin(write("echo.py", ECHO))
    assert "plugins" not in json.loads((saved("gru") / "config.json").read_text())


def test_a_mechanism_among_the_layers_is_used_too(folder):
    load_plugin(write("echo.py", ECHO))
    (needed,) = used_plugins("encoder", "hybrid", EncoderConfig(("window", "echo")))
    assert (needed.name, needed.uses) == ("echo", ("echo",))
    assert used_plugins("encoder", "hybrid", EncoderConfig(("window", "gru"))) == []


@pytest.mark.parametrize("name", ["trap", "trap.py", "folder/trap.py", "os.path; import trap", "trap" * 100, ""])
def test_a_hostile_model_imports_nothing(folder, name):
    write("trap.py", TRAP)
    place = saved("gru")
    content = json.loads((place / "config.json").read_text())
    content["plugins"] = [{"name": name, "sha256": "0", "uses": ["gru"]}]
    (place / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"add --plugin trap|is not the name of a module"):
        load_model(place)
    assert "trap" not in sys.modules
    assert not Path("sprung").exists()


@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_configuration_imports_nothing(folder, source):
    write("trap.py", TRAP)
    file = Path(write("run.yaml", "plugin: [trap]\narch: echo\n")) if source == "file" else None
    environ = {} if file else {"SIGHTLINE_PLUGIN": "trap"}
    with pytest.raises(InputError, match=r"(run.yaml: plugin|SIGHTLINE_PLUGIN): needs the plugin 'trap': add --plugin"):
        resolve_run(file=file, environ=environ, flags={})
    assert not Path("sprung").exists()
    run = resolve_run(file=file, environ=environ, flags={"plugin": ["trap"], "arch": "echo"})
    assert Path("sprung").exists()
    assert run.plugin == ("trap",)


REFUSED = {
    "": "has neither MIXERS nor FORMS, such as MIXERS = ",
    "from sightline import MIXERS": "has neither MIXERS nor FORMS",
    ECHO.replace('"echo"', '"gru"'): "'gru' is a mechanism of sightline (GRUConfig): choose another name",
    ECHO.replace('"echo"', '"transformer"'): "'transformer' is an architecture of sightline (encoder-decoder)",
    BAG.replace('"bag"', '"dlinear"'): "'dlinear' is an architecture of sightline (forecaster)",
    ECHO.replace(
        '"echo"', '"../echo"'
    ): "MIXERS: expected a name of letters, digits, '_', '-' and '.', found '../echo'",
    "MIXERS = ['gru']": "MIXERS: expected names and config classes, found list",
    "MIXERS = {'mine': 3}": "MIXERS: 'mine': expected a dataclass with build(d_model), found 3",
    ECHO.replace("GRUConfig().build(d_model)", "None"): "MIXERS: 'echo': EchoConfig().build(64) makes no mechanism: ",
    "FORMS = {'encoders': {}}": "FORMS: unknown form 'encoders', did you mean 'encoder'?",
    "FORMS = {'encoder': 3}": "FORMS: expected presets by form, such as ",
    BAG.replace("BagConfig()}}", "BagConfig}}"): "FORMS: 'bag': expected an instance of a dataclass with d_model, ",
    f"{ECHO}REFERENCES = {{'ecko': len}}": "REFERENCES: unknown mechanism 'ecko', did you mean 'echo'?",
    "x = 1\ny = x / 0": "importing it failed: ZeroDivisionError: division by zero (mine.py:2)",
    "def f(:": "importing it failed: invalid syntax (mine.py:1)",
    "import nowhere": "importing it failed: ModuleNotFoundError: No module named 'nowhere' (mine.py:1)",
}


@pytest.mark.parametrize(("text", "problem"), list(REFUSED.items()), ids=list(map(str, range(len(REFUSED)))))
def test_what_is_wrong_with_a_plugin_is_one_line_and_adds_nothing(folder, text, problem):
    before = dict(MIXERS), {form: dict(presets) for form, presets in FORMS.items()}, dict(LOADED)
    with pytest.raises(InputError) as error:
        load_plugin(write("mine.py", text))
    assert str(error.value).startswith(f"plugin 'mine.py': {problem}")
    assert "\n" not in str(error.value)
    assert (dict(MIXERS), FORMS, LOADED) == before


def test_two_plugins_with_one_name_are_refused(folder):
    load_plugin(write("echo.py", ECHO))
    with pytest.raises(InputError, match=r"plugin 'other.py': 'echo' is a name of the plugin 'echo' too"):
        load_plugin(write("other.py", ECHO))


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("nowhere.py", "no such file"),
        ("nowhere", "no module 'nowhere', neither here nor among the installed ones"),
        ("not-a-name", "neither a file that ends in .py nor the name of a module"),
        ("this.py", "there is another module 'this': rename the file"),
        ("torch.py", "a module 'torch' is loaded already: rename the file"),
        ("my-echo.py", "its name is not that of a module: use letters, digits and _"),
    ],
)
def test_a_name_that_finds_no_plugin(folder, named, problem):
    for name in ("this.py", "torch.py", "my-echo.py"):
        write(name, ECHO)
    with pytest.raises(InputError) as error:
        load_plugin(named)
    assert str(error.value).endswith(problem)


def test_an_installed_plugin_is_loaded_by_its_name_only(folder, monkeypatch):
    package = folder / "site" / "echoes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(TRAP)
    facts = folder / "site" / "echo_plugin-1.5.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-plugin\nVersion: 1.5\n")
    (facts / "entry_points.txt").write_text("[sightline.mixers]\necho-plugin = echoes\n")
    monkeypatch.syspath_prepend(folder / "site")
    assert installed_plugins()["echo-plugin"].value == "echoes"
    assert not Path("sprung").exists()
    with forgotten(folder):
        source = load_plugin("echo-plugin").source
    assert (source.name, source.version) == ("echoes", "1.5")
    (package / "more.py").write_text("")  # every Python file of a package counts
    assert load_plugin("echo-plugin").source.sha256 != source.sha256


def test_a_file_may_import_its_neighbours(folder):
    (folder / "mine").mkdir()
    write("mine/echo_config.py", ECHO.replace("MIXERS", "TABLE"))
    write("mine/echo.py", "from echo_config import TABLE as MIXERS\n")
    assert load_plugin("mine/echo.py").mechanisms.keys() == {"echo"}
