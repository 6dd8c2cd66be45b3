"""What `sightline data` says about a file, and what it writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from sightline.cli.app import main
from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.pairs.corpus import load_corpus, read_pairs
from sightline.data.pairs.table import Pairs
from sightline.data.pairs.write import write_pairs
from sightline.data.survey import Survey
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import TASKS, task_class

ROWS = [f"source number {i}\ttarget number {i}" for i in range(40)]
ODD = {
    "the same pair occurs more than once": ["a b c\td e f", "a b c\td e f"],
    "the same source has different targets": ["g h i\tone", "g h i\ttwo"],
    "source and target are the same text": ["the same\tthe same"],
    "one side is far longer than usual for the other": ["xy\t" + "z" * 60],
    "far longer than most": ["long " * 50 + ".\t" + "lang " * 50 + "."],
    "white space at an end": ["left \tright"],
    "control characters": ["es\x1b[31mcape\tred"],
    "the replacement character U+FFFD": ["M\ufffdrz\tMarch"],
}


def describe(data: Path, **keys: object) -> Survey:
    flags = {"data": str(data), **{key: str(value) for key, value in keys.items()}}
    run = resolve_run(file=None, environ={}, flags=flags)
    return task_class(run.task).load_data(run).describe()


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.tsv"
    path.write_text("\n".join(["source\ttarget", *ROWS, *(row for rows in ODD.values() for row in rows)]) + "\n")
    return path


def test_suspicious_rows_are_named_with_their_lines(odd: Path) -> None:
    actual = {finding.problem: finding.lines for finding in describe(odd).findings}
    line = 2 + len(ROWS)
    expected = {}
    for problem, rows in ODD.items():
        expected[problem] = list(range(line, line + len(rows)))
        line += len(rows)
    assert actual == expected


def test_an_ordinary_file_has_nothing_suspicious(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(ROWS))
    assert describe(path).findings == []


def test_counts_lengths_and_overlap(tmp_path: Path) -> None:
    train = tmp_path / "train.tsv"
    train.write_text("ab\tx\nab\ty\nabcd\tz\n")
    test = tmp_path / "test.tsv"
    test.write_text("ab\tx\nqr\tö\n")
    result = describe(train, valid=test, test=test)
    assert result.parts["train"] == {
        "pairs": 3,
        "distinct_sources": 2,
        "distinct_targets": 3,
        "sources_in_train": 0,
        "source_length": {"min": 2.0, "median": 2.0, "mean": 2.6667, "p95": 3.8, "max": 4.0},
        "target_length": {"min": 1.0, "median": 1.0, "mean": 1.0, "p95": 1.0, "max": 1.0},
        "source_characters": 4,
        "target_characters": 3,
        "characters_not_in_train": 0,
    }
    assert result.examples["train"] == "'ab' → 'x'"
    assert result.parts["test"]["sources_in_train"] == 1
    assert result.parts["test"]["characters_not_in_train"] == 3
    assert any("1 of 2 test sources occurs in training too (line 1)" in note for note in result.notes)
    assert any(str(train) in line for line in result.lines())


def test_the_command_prints_text_or_json(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", str(odd), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["schema_version"] == 2
    assert result["sha256"] == load_corpus(odd).sha256
    assert main(["data", "describe", str(odd)]) == 0
    text = capsys.readouterr().out
    assert f"look at {odd}: white space at an end: 1 row (lines " in text
    assert "\x1b" not in text


def test_the_command_names_a_bad_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text("\n".join(ROWS[:20]) + "\nno tab\n" + "\n".join(ROWS[20:]))
    assert main(["data", "describe", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err
        == f"sightline: error: {path}:21: expected 2 columns, found 1, or leave such rows out by --skip-bad\n"
    )
    assert main(["data", "describe", str(path), "--skip-bad"]) == 0
    assert "skipped 1 bad row" in capsys.readouterr().out


@pytest.mark.slow
def test_built_in_data_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dates.tsv"
    arguments = ["data", "export", "builtin:dates?size=200&locales=2", "-o", str(path), "--part", "train"]
    assert main(arguments) == 0
    assert read_pairs(path) == load_corpus("builtin:dates?size=200&locales=2").train
    assert main(arguments) == 2
    assert "already exists; use --overwrite to replace it" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl", ".ndjson", ".parquet"])
def test_written_pairs_are_read_back(suffix: str, tmp_path: Path) -> None:
    pairs = Pairs(['"quote', "a\u2028b", "=1+1"], ["x\ry", "名", "'"])
    write_pairs(pairs, tmp_path / f"a{suffix}")
    assert read_pairs(tmp_path / f"a{suffix}") == pairs


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r"])
def test_what_tsv_cannot_hold_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tsv: row 2 contains a tab or a line break"):
        write_pairs(Pairs(["s", "s"], ["t", text]), tmp_path / "a.tsv")
    write_pairs(Pairs(["s"], [text]), tmp_path / "a.jsonl")
    assert read_pairs(tmp_path / "a.jsonl").targets == [text]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tsv"
    write_pairs(Pairs(["s"], ["t"]), path)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(EnvironmentFault, match=r"a\.tsv: No space left on device: 18 bytes are needed"):
        write_pairs(Pairs(["u"], ["v"]), path, overwrite=True)
    assert read_pairs(path) == Pairs(["s"], ["t"])
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match=r"must end in \.tsv"):
        write_pairs(Pairs(["u"], ["v"]), tmp_path / "a.xls")


KINDS = {
    "translation": "builtin:dates?size=300&locales=2",
    "classification": "builtin:digits",
    "forecasting": "builtin:seasonal",
    "language": "corpus",
    "transcription": "clips.csv",
}


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of texts, and a manifest of sounds, one of them silent and one there twice."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    for number in range(30):
        (tmp_path / "corpus" / f"{number}.txt").write_text(f"document {number}\n" * (number + 1))
    (tmp_path / "corpus" / "odd.txt").write_text("x" * 3000 + "\x07")
    generator = np.random.default_rng(0)
    rows = ["source,target"]
    for number in range(40):
        sound = generator.normal(0, 0.1, 800 + 10 * number)
        if number == 7:
            sound[:] = 0.0
        soundfile.write(tmp_path / f"{number}.wav", sound, 8000)
        rows.append(f"{number}.wav,word {number % 4}")
    rows.append("3.wav,word 3")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("task", KINDS)
def test_the_data_of_every_task_is_described_and_drawn(
    task: str, corpora: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if task not in TASKS:
        pytest.fail(f"{task} is not a task")
    rate = ["--sound.rate-hz", "8000"] if task == "transcription" else []
    arguments = ["data", "describe", KINDS[task], "--task", task, "--picture", "out.svg", *rate]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["parts"]) == {"train", "valid", "test"}
    assert result["charts"]
    assert all(len(values) == len(c["x"]) for c in result["charts"] for values in c["series"].values())
    for chart in result["charts"]:
        if chart["kind"] == "steps":  # shares of each part
            assert [sum(values) for values in chart["series"].values()] == pytest.approx([100] * 3, abs=0.01)
    assert ElementTree.parse(corpora / "out.svg").getroot().tag.endswith("svg")
    assert main([*arguments, "--overwrite"]) == 0
    assert "train" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "already exists; use --overwrite to replace it" in capsys.readouterr().err


def test_odd_documents_and_sounds_are_named(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", "corpus", "--task", "language"]) == 0
    text = capsys.readouterr().out
    assert "control characters: 1 row" in text
    assert "a line of more than 2,000 characters: 1 row" in text
    assert main(["data", "describe", "clips.csv", "--task", "transcription", "--sound.rate-hz", "8000"]) == 0
    text = capsys.readouterr().out
    assert "silent, no sample beyond 0.001: 1 row (at clips.csv:9)" in text
    assert "the same source occurs more than once: 2 rows (at clips.csv:5, clips.csv:42)" in text


TOO_SMALL = {
    "one.csv": ("en,de\na b,c d\n", {"pairs": 1}, "1 different source cannot be split into 3 parts"),
    "one.tsv": ("source\ttarget\na\tb\na\tc\n", {"pairs": 2}, "1 different source cannot be split into 3 parts"),
    "one.txt": ("hi", {"documents": 1, "bytes": 2}, "is too short to split off a valid part"),
    "one.jsonl": ('{"text": "a b"}\n', {"documents": 1, "bytes": 3}, "too few different documents for 3 parts"),
    "one time.csv": ("date,v\n2024-01-01,1\n", {"values": 1, "from": "2024-01-01"}, "1 step of training, 0 of valid"),
    "four times.csv": (
        "date,v\n" + "".join(f"2024-01-0{i},1\n" for i in range(1, 5)),
        {"values": 4},
        "0 of validation",
    ),
    "labels.csv": ("text,label\nso good,x\n", {"items": 1}, "only one class"),
}


@pytest.mark.parametrize("name", TOO_SMALL)
def test_what_is_too_small_to_train_on_is_described(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, train, reason = TOO_SMALL[name]
    path = tmp_path / name
    path.write_text(content)
    assert main(["data", "describe", str(path), "--json", "--picture", str(tmp_path / "picture.svg")]) == 0
    survey = json.loads(capsys.readouterr().out)
    assert train.items() <= survey["parts"]["train"].items()
    (note,) = [note for note in survey["notes"] if note.startswith("nothing can be trained on this: ")]
    assert reason in note
    assert main(["data", "describe", str(path)]) == 0
    assert note in capsys.readouterr().out
    assert main(["train", "--data", str(path), "--arch", "dlinear" if "time" in name else "gru"]) == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith("sightline: error: ")


def test_the_one_time_of_a_series_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for cell in ("2024-01-01 13:00", "5"):
        (tmp_path / "a.csv").write_text(f"t,v\n{cell},1\n")
        assert main(["data", "describe", str(tmp_path / "a.csv"), "--task", "forecasting"]) == 0
        assert f"one time, {cell}" in capsys.readouterr().out


def test_the_beginning_of_a_text_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ab cd\nefg\n" * 30)
    assert describe(tmp_path / "a.txt", task="language").examples["train"] == repr(("ab cd\nefg\n" * 8)[:80])
