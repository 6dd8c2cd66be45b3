"""`sightline claims`: the table, JSON, continuing, and errors before anything is measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sightline.cli.app import main
from sightline.lab.claims import run
from sightline.lab.claims.run import FILE
from tests.report.synthetic_claims import make_claims


@pytest.fixture
def measured(monkeypatch):
    """Replaces the measurement; has the arguments that it was called with."""
    calls = []

    def run_claims(claims, directory, effort, facts, *, overwrite):
        calls.append(([claim.name for claim in claims], effort, overwrite))
        results = make_claims()
        return replace(results, results=[replace(one, charts=[], maps=[]) for one in results.results])

    monkeypatch.setattr(run, "run_claims", run_claims)
    return calls


def test_the_table_has_outcomes_and_the_page_is_named(measured, capsys, tmp_path):
    assert main(["claims", "c5", "C1", "--quick", "-o", str(tmp_path)]) == 0
    out, _ = capsys.readouterr()
    assert "does not hold" not in out
    assert "depends" in out
    assert "<script>" in out  # text is text
    assert str(tmp_path / "claims.html") in out
    ((names, effort, _),) = measured
    assert names == ["C1", "C5"]
    assert (effort.quick, effort.seeds, effort.seed) == (True, 3, 0)


def test_json_is_one_object(measured, capsys, tmp_path):
    assert main(["claims", "--json", "--seed", "4", "-o", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1
    assert (measured[0][1].seed, measured[0][1].seeds) == (4, 5)
    assert len(measured[0][0]) == 20


def test_earlier_results_stay_unless_they_are_to_be_replaced(measured, capsys, tmp_path):
    (tmp_path / FILE).touch()
    main(["claims", "C1", "-o", str(tmp_path)])
    main(["claims", "C1", "-o", str(tmp_path), "--overwrite"])
    assert [overwrite for _, _, overwrite in measured] == [False, True]


def test_an_unknown_claim_is_refused_before_anything_is_removed(measured, capsys, tmp_path):
    (tmp_path / FILE).touch()
    assert main(["claims", "C21", "--overwrite", "-o", str(tmp_path)]) == 2
    assert "unknown claim 'C21'" in capsys.readouterr().err
    assert measured == []
    assert (tmp_path / FILE).exists()
