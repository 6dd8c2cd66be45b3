"""The task is inferred where the data says it plainly, and the reason is given."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from sightline.cli.app import main
from sightline.tasks.infer import infer, task_for

FILES: dict[str, tuple[str, str | None]] = {
    "text and label.csv": ("text,label\nso good,1\nso bad,0\n", "classification"),
    "index text label.csv": (",review,sentiment\n0,so good,pos\n1,so bad,neg\n", "classification"),
    "numbers and label.csv": ("x1,x2,label\n1,2,a\n3,4,b\n", "classification"),
    "source and target.csv": ("source,target\na b,c d\n", None),
    "sounds.csv": ("source,target\na.wav,c d\nb.wav,e f\n", "transcription"),
    "pictures.tsv": ("source\ttarget\na.png\tc d\nb.png\te f\n", "captioning"),
    "languages.csv": ("de,en\na b,c d\n", None),
    "times.csv": ("date,v\n2024-01-01,1\n2024-01-02,2\n", "forecasting"),
    "index of times.csv": (",date,v\n0,2024-01-01,1\n1,2024-01-02,2\n", "forecasting"),
    "panel.csv": ("store,ds,y\na,2024-01-01,1\nb,2024-01-01,2\n", "forecasting"),
    "dated pairs.csv": ("id,day,de,en\n1,1,a b,c d\n", None),
    "no header.tsv": ("a b\tc d\ne f\tg h\n", None),
    "lines.jsonl": ('{"text": "a b"}\n', "language"),
    "labels.jsonl": ('{"text": "a b", "label": "x"}\n', "classification"),
    "corpus.txt": ("a b c\n", "language"),
    "corpus": ("a b c\n", "language"),
    "book.xlsx": ("PK", None),
    "broken.jsonl": ("{", None),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path) -> None:
    content, task = FILES[name]
    (tmp_path / name).write_text(content)
    inferred = infer(str(tmp_path / name))
    assert (inferred.task if inferred else None) == task


@pytest.mark.parametrize(
    ("names", "task"),
    [
        (["cat/1.png", "cat/2.png", "dog/1.png"], "classification"),
        (["yes/1.wav", "no/1.wav"], "classification"),
        (["good/1.txt", "bad/1.txt"], "classification"),
        (["a.txt", "b/c.txt"], "language"),
        (["cat/1.png", "dog/1.wav"], None),
        (["a.csv", "b.csv"], None),
        ([], None),
    ],
)
def test_folders(names: list[str], task: str | None, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inferred = infer(str(tmp_path))
    assert (inferred.task if inferred else None) == task


def test_times_by_their_type(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"when": [date(2024, 1, 1), date(2024, 1, 2)], "v": [1.0, 2.0]}).write_parquet(path)
    inferred = infer(str(path))
    assert inferred is not None
    assert inferred.task == "forecasting"


def test_other_names() -> None:
    assert infer("no/such/file.csv") is None
    assert task_for("") == task_for("a.de,a.en") == task_for("builtin:dates") == "translation"
    assert task_for("builtin:stdlib") == task_for("no/such/*.py") == "language"


def test_the_reason_is_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "so good,yes\nvery bad,no\nso fine,yes\nnot so,no\n" * 20)
    with caplog.at_level(logging.WARNING):
        assert task_for(str(path)) == "classification"
    reason = f"{path}: a table with the columns 'text' and 'label': the task is classification (--task chooses another)"
    assert reason in caplog.text
    assert main(["train", "--data", str(path), "--arch", "gru", "--print-config"]) == 0
    out, err = capsys.readouterr()
    assert "task: classification" in out
    assert reason in err
    assert main(["train", "--data", str(path), "--arch", "gru", "--print-config", "--task", "translation"]) == 0
    out, err = capsys.readouterr()
    assert "task: translation" in out
    assert not err
