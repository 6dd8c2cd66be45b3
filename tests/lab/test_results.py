"""results.json: the promised keys, a round trip without loss, and clear refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.lab.results import Estimate, Results
from tests.report.synthetic import make_results


def test_the_promised_keys_are_there(tmp_path: Path) -> None:
    make_results().save(tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text())
    promised = {"schema_version", "command", "environment", "data", "budget", "verdict", "architectures", "runs"}
    assert promised <= written.keys()
    architecture = written["architectures"][0]
    costs = {"train_s", "tokens_per_s", "parameters", "peak_memory_bytes", "ms", "state_bytes"}
    assert {"arch", "metrics", *costs} <= architecture.keys()
    assert architecture["metrics"]["exact_match"].keys() == {"mean", "low", "high"}
    assert {"arch", "seed", "status", "metrics", "history"} <= written["runs"][0].keys()
    assert isinstance(written["verdict"], str)


def test_it_reads_back_what_it_wrote(tmp_path: Path) -> None:
    results = make_results()
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_numbers_that_json_does_not_know_become_null(tmp_path: Path) -> None:
    results = make_results()
    first = replace(results.architectures[0], metrics={"exact_match": Estimate(0.5, float("nan"), float("inf"))})
    replace(results, architectures=[first]).save(tmp_path / "results.json")
    read = Results.load(tmp_path / "results.json").architectures[0].metrics["exact_match"]
    assert (read.low, read.high) == (None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"schema_version": 99}', "expected schema_version 2, found 99"),
        ('{"schema_version": 2, "command": 3}', "command: expected text"),
        ('{"schema_version": 2, "rums": []}', "did you mean 'runs'"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        Results.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
