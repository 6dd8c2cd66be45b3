"""The general corpus: what a task gets that brings no summary of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sightline.cli.app import main
from sightline.data.corpus import Corpus, overlap_notes
from sightline.tasks.media.task import MediaTextTask
from sightline.tasks.table import TASKS

WORDS = Corpus("words", ["a", "bcd", "ef"], [], ["g"], "0" * 64, ("one note",))


def test_sizes_and_notes_are_described() -> None:
    survey = WORDS.describe()
    assert survey.parts == {"train": {"items": 3}, "valid": {"items": 0}, "test": {"items": 1}}
    assert (survey.data, survey.sha256, survey.notes) == ("words", "0" * 64, ["one note"])
    assert survey.charts == []


def test_lengths_are_described_where_items_have_them() -> None:
    class Words(Corpus[list[str]]):
        def lengths(self, part: list[str]) -> list[int]:
            return [len(word) for word in part]

    survey = Words("words", *WORDS.parts.values(), "0" * 64).describe()
    assert {part: numbers.get("length", {}).get("max") for part, numbers in survey.parts.items()} == {
        "train": 3.0,
        "valid": None,
        "test": 1.0,
    }
    assert [set(chart.series) for chart in survey.charts] == [{"train", "test"}]


def test_the_command_describes_a_task_without_a_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    @dataclass(frozen=True)
    class Tagged(Corpus[list[str]]):
        tags: tuple[str, ...] = ()

    class TaggingTask(MediaTextTask):
        name = "tagging"
        default_sources = ("source:image",)

        @classmethod
        def load_data(cls, run: Any) -> Any:
            return Tagged(run.corpus.data, ["a", "b"], ["c"], ["d"], "1" * 64, tags=("x",))

    monkeypatch.setitem(TASKS, "tagging", TaggingTask)
    assert main(["data", "describe", "words.txt", "--task", "tagging", "--json"]) == 0
    survey = json.loads(capsys.readouterr().out)
    assert survey["data"] == "words.txt"
    assert survey["parts"] == {"train": {"items": 2}, "valid": {"items": 1}, "test": {"items": 1}}


def test_notes_name_the_first_places() -> None:
    keys = list("abcabcabc")
    assert overlap_notes("test", keys, {"x"}, range(9)) == []
    assert overlap_notes("test", keys, {"a", "b"}, range(9), where="t.csv: ", unit="line", most=3) == [
        "t.csv: 6 of 9 test sources occur in training too (lines 0, 1, 3, …)"
    ]
