"""Every command that reads data says once how it was read, whatever the task."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from sightline.cli.app import main
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import TASKS, task_class


class Noted(NamedTuple):
    """A file whose reading deserves a note."""

    file: str
    content: str
    note: str
    keys: Mapping[str, str] = {}


DAYS = "".join(f"202601{day:02d},{day % 7}\n" for day in range(1, 31))
WORDS = [f"{a} {b}" for a in ("red", "green", "blue") for b in ("sky", "sea", "tree", "stone", "bird")]
NOTED = {
    "translation": Noted("a.csv", "en,de\n" + "".join(f"{w},{w[::-1]}\n" for w in WORDS), "the source is 'en'"),
    "classification": Noted(
        "a.csv", ",text,label\n" + "".join(f"{i},{w},{'xy'[i % 2]}\n" for i, w in enumerate(WORDS)), "numbers the rows"
    ),
    "language": Noted(
        "a.jsonl", "".join(f'{{"text": "{w}"}}\n' for w in WORDS) + '{"text": 1}\n', "skipped 1", {"skip_bad": "true"}
    ),
    "forecasting": Noted("a.csv", "date,v\n" + DAYS, "are read as dates", {"lookback": "8", "horizon": "2"}),
    "transcription": Noted(
        "a.tsv", "path\tsentence\n" + "".join(f"{i}.wav\t{w}\n" for i, w in enumerate(WORDS)), "'path' as source"
    ),
    "captioning": Noted(
        "a.tsv", "file_name\tcaption\n" + "".join(f"{i}.png\t{w}\n" for i, w in enumerate(WORDS)), "'caption' as target"
    ),
    "answering": Noted(
        "a.tsv", "image\tquestion\ttarget\n0.png\twhat?\tred\n1.png\t\tblue\n", "skipped 1", {"skip_bad": "true"}
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(len(WORDS)):
        soundfile.write(tmp_path / f"{number}.wav", rng.normal(size=1600) / 9, 16_000)
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_every_task_is_here() -> None:
    assert set(NOTED) == set(TASKS)


@pytest.mark.parametrize("task", NOTED)
def test_reading_a_part_logs_its_notes_once(task: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    noted = NOTED[task]
    path = folder / noted.file
    path.write_text(noted.content)
    run = resolve_run(file=None, environ={}, flags={"task": task, "data": str(path), **noted.keys})
    with caplog.at_level(logging.WARNING, logger="sightline"):
        assert len(task_class(task).read_part(run))
    (line,) = [line for line in caplog.messages if noted.note in line]
    assert line.startswith(str(path))
    assert len(set(caplog.messages)) == len(caplog.messages)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "forecasting", "language"])
def test_commands_print_notes_once(task: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noted = NOTED[task]
    path, out = folder / noted.file, folder / "run"
    path.write_text(noted.content)
    keys = [part for key, value in noted.keys.items() for part in (f"--{key.replace('_', '-')}", value)]
    train = ["train", "--task", task, "--data", str(path), "--arch", "dlinear" if task == "forecasting" else "gru"]
    assert main([*train, *keys, "--max-steps", "1", "--out-dir", str(out), "--quiet"]) == 0
    capsys.readouterr()
    skip = ["--skip-bad"] if "skip_bad" in noted.keys else []
    for command in (["eval", str(out)], ["eval", str(out), "--data", str(path), *skip]):
        assert main(command) == 0
        assert capsys.readouterr().err.count(noted.note) == 1
    if task == "forecasting":
        assert main(["predict", str(out), str(path), str(path)]) == 0
        assert capsys.readouterr().err.count(noted.note) == 1
