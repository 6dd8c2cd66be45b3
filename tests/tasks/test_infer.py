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
    "common voice.tsv": ("client_id\tpath\tsentence\tage\nx\ta.mp3\tc d\t\ny\tb.mp3\te f\t\n", "transcription"),
    "nemo.jsonl": ('{"audio_filepath": "a.wav", "duration": 1.5, "text": "c d"}\n', "transcription"),
    "metadata.csv": ("file_name,text\na.png,c d\nb.jpg,e f\n", "captioning"),
    "metadata.jsonl": ('{"file_name": "a.png", "caption": "c d"}\n', "captioning"),
    "labelled pictures.csv": ("image,label\na.png,cat\nb.png,dog\n", "classification"),
    "labelled sounds.csv": ("path,label\na.wav,yes\nb.wav,no\n", "classification"),
    "paths of texts.csv": ("path,sentence\na.txt,c d\nb.txt,e f\n", None),
    "mixed files.csv": ("path,sentence\na.wav,c d\nb.png,e f\n", None),
    "ucr.ts": ("#c\n@problemName x\n@classLabel true 1 2\n@data\n1,2:1\n3,4:2\n", "classification"),
    "script.ts": ("export const x = 1;\n", None),
    "monash.tsf": ("@relation x\n@data\nT1:1,2\n", "forecasting"),
    "gluonts.jsonl": ('{"start": "2024-01-01", "target": [1, 2]}\n', "forecasting"),
    "gluonts.json": ('{"start": "2024-01-01", "target": [1, 2]}\n', "forecasting"),
    "lists.jsonl": ('{"x": [1, 2], "label": "a"}\n{"x": [1, 3], "label": "b"}\n', "classification"),
    "trees.conllu": ("# text = a b\n1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n\n", "language"),
    "memory.tmx": ("<tmx/>", "translation"),
    "catalogue.xlf": ("<xliff/>", "translation"),
    "unusual time.csv": ("observed,v\n2024-01-01,1\n2024-01-02,2\n", "forecasting"),
    "days of Germany.csv": ("Datum;Temperatur\n31.01.2024;1,5\n01.02.2024;2,5\n", "forecasting"),
    "stations.csv": ("STATIONS_ID;MESS_DATUM;TMK;eor\n433;20240101;1.5;eor\n433;20240102;2.5;eor\n", "forecasting"),
    "labels of another name.csv": (
        "description,section\n" + "".join(f"text {n} of it,{'libs' if n % 3 else 'utils'}\n" for n in range(30)),
        "classification",
    ),
    "numbered labels of another name.csv": (
        "id,description,section\n" + "".join(f"{n},text {n} of it,{'libs' if n % 3 else 'utils'}\n" for n in range(30)),
        "classification",
    ),
    "flowers.csv": (
        "id,petal,sepal,species\n" + "".join(f"{n},{n % 7}.5,{n % 5},{'ab'[n % 3 > 0]}\n" for n in range(30)),
        "classification",
    ),
    "series of steps.csv": ("store,t,y\n" + "".join(f"{s},{t},{t % 3}\n" for s in "ab" for t in range(15)), None),
    "answers.csv": (
        "question,answer\n" + "".join(f"is {n} odd?,{'no' if n % 2 else 'yes'}\n" for n in range(30)),
        None,
    ),
    "few rows.csv": ("description,section\nfor this,libs\nfor that,libs\nand so,utils\n", None),
    "ucr.tsv": ("1\t.5\t.6\t.7\n2\t.5\t.6\t.8\n" * 4, "classification"),
    "ucr of floats.csv": ("1.0,.5,.6,.7\n-1.0000000e+00,.5,.6,.8\n" * 4, "classification"),
    "rows of numbers.tsv": ("1\t.5\t.6\t.7\n2\t.5\t.6\t.8\n3\t.5\t.6\t.8\n", None),
    "quarters.csv": ("q,v\n2000Q1,1\n2000Q2,2\n", "forecasting"),
    "weeks.tsv": ("w\tv\n2024-W01\t1\n2024-W02\t\n", "forecasting"),
    "unnamed time.csv": (",v\n2024-01-01 13:00,1\n2024-01-01 14:00,2\n", "forecasting"),
    "no header of times.csv": ("2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n", None),
    "objects with times.jsonl": ('{"date": "2024-01-01", "v": 1}\n', None),
    "one time among numbers.csv": ("a,v\n2024-01-01,1\nsoon,2\n", None),
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


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_compressed(suffix: str, tmp_path: Path) -> None:
    import bz2
    import gzip

    path = tmp_path / f"a.tsf{suffix}"
    path.write_bytes((gzip if suffix == ".gz" else bz2).compress(b"@data\nT1:1,2\n"))
    inferred = infer(str(path))
    assert inferred is not None
    assert inferred.task == "forecasting"


def test_files_inside_of_cells(tmp_path: Path) -> None:
    wav, png = b"RIFF\x24\0\0\0WAVEfmt ", b"\x89PNG\r\n\x1a\n"
    for content, name, column, task in (
        (wav, None, "text", "transcription"),
        (png, "a.png", "caption", "captioning"),
        (png, None, "label", "classification"),
    ):
        path = tmp_path / "a.parquet"
        pl.DataFrame(
            {"audio" if content is wav else "image": [{"bytes": content, "path": name}], column: ["x"]}
        ).write_parquet(path)
        inferred = infer(str(path))
        assert inferred is not None
        assert inferred.task == task
        assert repr(column) in inferred.reason


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
