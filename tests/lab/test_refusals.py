"""Wrong input that ends a comparison before a process starts, in the words of who would find it later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.lab.plan import CompareConfig
from sightline.lab.processes import LocalExecutor
from sightline.lab.progress import Display
from sightline.lab.refusals import check_named
from sightline.lab.session import Session


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of this file starts a process."""

    def started(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(LocalExecutor, "open", started)
    monkeypatch.setattr(LocalExecutor, "start", started)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "nowhere.tsv"}, "nowhere.tsv: no such file"),
        ({"data": "here.de,nowhere.en"}, "nowhere.en: no such file"),
        ({"data": "builtin:datess"}, "builtin: unknown built-in data 'datess', did you mean 'dates'?"),
        ({"data": "here.de", "settings": {"test": "nowhere.tsv"}}, "nowhere.tsv: no such file"),
        ({"archs": ("gru", "lstmm")}, "--archs: unknown architecture 'lstmm', did you mean 'lstm'?"),
        (
            {"archs": ("a",), "variants": {"a": {"arch": "transformr"}}},
            "--archs: unknown architecture 'transformr', did you mean 'transformer'?",
        ),
        ({"task": "translations"}, "--task: unknown task 'translations', did you mean 'translation'?"),
        ({"metric": "accuray"}, "--metric: unknown metric 'accuray', did you mean 'accuracy'?"),
        ({"plugin": ("nowhere.py",)}, "plugin 'nowhere.py': no such file"),
        ({"budget": "60x"}, "--budget: unknown unit 'x'"),
        ({"budget": "2steps"}, "--budget: too small for 3 candidate learning rates"),
        ({"match": "2M"}, "match: expected params=2M, flops=1.5M"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_comparison_ends_before_a_process_starts(
    changes: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.de").write_text("eins\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Session(CompareConfig(**{"data": "here.de", **changes}), tmp_path / "out", Display(quiet=True)).prepare()
    assert str(caught.value).startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["here.de"]


@pytest.mark.parametrize(
    "config",
    [
        CompareConfig(),
        CompareConfig(data="builtin:dates?locales=3", archs=("gru", "hybrid")),
        CompareConfig(task="language", data="*.nowhere"),
        CompareConfig(task="language", data="here"),
        CompareConfig(data="a,b.tsv"),
        CompareConfig(data="here/a.de,here/a.en"),
        CompareConfig(archs=("mine",), plugin=("mine",)),
        CompareConfig(archs=("bahdanau",), task="classification", data="builtin:digits"),
    ],
    ids=["dates", "options", "a pattern", "a folder", "a comma", "two files", "of a plugin", "of another task"],
)
def test_what_needs_the_data_or_torch_is_left_to_the_job(
    config: CompareConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    for name in ("here/a.de", "here/a.en", "a,b.tsv"):
        Path(name).touch()
    check_named(config)


def test_it_needs_no_torch() -> None:
    code = "import sys, sightline.lab.refusals; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
