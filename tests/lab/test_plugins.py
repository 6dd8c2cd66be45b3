"""A comparison records the plugins that its architectures need, and its workers load what was named."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import sightline.api.compare as api
from sightline.lab.job_runs import run_config
from sightline.lab.plan import CompareConfig
from sightline.lab.preparing import plugins_of
from sightline.models.plugins import load_plugin
from sightline.report.html import using
from tests.plugins import BAG, ECHO, forgotten
from tests.report.synthetic import make_results


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "echo.py").write_text(ECHO, encoding="utf-8")
    (tmp_path / "bag.py").write_text(f"{BAG}\n__version__ = '2.1'\n", encoding="utf-8")
    with forgotten(tmp_path):
        yield tmp_path


def hash_of(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def test_the_record_has_the_plugins_that_are_used(folder):
    config = CompareConfig("classification", "rows.csv", ("bag", "gru"), plugin=("echo.py", "bag.py"))
    load_plugin("echo.py")
    load_plugin("bag.py")
    runs = [run_config(config, arch) for arch in config.archs]
    assert plugins_of(config, runs) == {"plugins": {"bag.py": f"bag 2.1, sha256 {hash_of('bag.py')}"}}
    assert plugins_of(config, runs[1:]) == {}


def test_the_command_that_uses_the_winner_names_them(folder):
    results = make_results()
    results = replace(results, environment={**results.environment, "plugins": {"my plugins/echo.py": "echo"}})
    assert using(results, Path("run")).startswith("sightline predict --plugin 'my plugins/echo.py' run ")


@pytest.mark.parametrize("named", ["echo.py", ["echo.py"], Path("echo.py"), None])
def test_a_comparison_from_python_gives_its_workers_what_is_loaded(folder, monkeypatch, named):
    taken = []

    def stop(config, directory, *, command, **_):
        taken.append((config.plugin, shlex.split(command)))
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run_comparison", stop)
    if named is None:
        load_plugin("echo.py")
    with pytest.raises(KeyboardInterrupt):
        api.compare("builtin:parity", archs="echo", **({} if named is None else {"plugin": named}))
    file = str(folder / "echo.py")
    ((plugins, command),) = taken
    assert plugins == (file,)
    assert command[2:4] == ["--plugin", file]
