"""The results file of a verification (benchmarks/record.py)."""

from __future__ import annotations

import json
import sys

import pytest

from record import Record, measured


def test_a_file_is_overwritten_unless_go_on_is_set(tmp_path):
    """Old results must not replace a new measurement."""
    path = tmp_path / "found.json"
    Record(path, {"width": 8}).add({"seed": 0, "accuracy": 0.5}, note="first")
    again = Record(path, {"width": 8})
    assert again.results == []
    assert again.matching(seed=0) == []
    further = Record(path, {"width": 8}, go_on=True)
    assert further.matching(seed=0) == [{"seed": 0, "accuracy": 0.5}]
    assert further.matching(seed=0, accuracy=0.4) == []
    further.add({"seed": 1, "accuracy": 0.6})
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["results"] == [{"seed": 0, "accuracy": 0.5}, {"seed": 1, "accuracy": 0.6}]
    assert (content["schema_version"], content["width"]) == (1, 8)
    assert content["environment"]["packages"]["torch"]


def test_results_of_other_settings_are_not_mixed(tmp_path):
    path = tmp_path / "found.json"
    Record(path, {"width": 8, "steps": 10}).add({"seed": 0})
    before = path.read_bytes()
    with pytest.raises(SystemExit, match=r"has different settings \(steps\): choose another --out"):
        Record(path, {"width": 8, "steps": 20}, go_on=True)
    assert path.read_bytes() == before


def test_the_command_contains_no_output_location(monkeypatch):
    words = ["/elsewhere/benchmarks/verify_x.py", "--runs", "/big/runs", "--seed", "1", "--out=/big/x.json", "--go-on"]
    monkeypatch.setattr(sys, "argv", words)
    assert measured()["command"] == ["benchmarks/verify_x.py", "--seed", "1", "--go-on"]
