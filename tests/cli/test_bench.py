"""`sightline bench`: the table, JSON, the files written after each scenario, and the exit status."""

from __future__ import annotations

import json

import pytest

from sightline.cli.app import main
from sightline.lab.bench import run

SPREAD = {"median": 2.0, "lower": 1.9, "upper": 2.1, "least": 1.5, "most": 2.5}


def row(scenario, size, **more):
    common = {"scenario": scenario.name, "family": scenario.family, "kind": scenario.kind, "size": size}
    measured = {
        "size_unit": "positions",
        "status": "measured",
        "pairs": 10,
        "ratio": SPREAD,
        "ours_s": SPREAD,
        "peak_bytes": {"ours": 2**20, "other": 2**21},
        "of_limit": {"share": 0.5, "binding": "products"},
    }
    return {**common, **measured, **more}


@pytest.fixture
def measured(monkeypatch):
    """Replaces the measurement; `measured[name]` adds keys to the rows of a scenario."""
    extra = {}
    monkeypatch.setattr(run, "measure", lambda scenario, size, _: row(scenario, size, **extra.get(scenario.name, {})))
    return extra


def test_one_object_with_hardware_and_command(measured, capsys):
    assert main(["bench", "--only", "causal,lstm_packed", "--pairs", "4", "--threads", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    results = json.loads(out)
    assert set(results) == {"schema_version", "command", "hardware", "settings", "results"}
    assert results["schema_version"] == 1
    assert results["settings"] == {"pairs": 4, "threads": 1, "device": results["settings"]["device"]}
    assert {"cpu", "packages", "git_commit", "memory_bytes"} <= set(results["hardware"])
    assert [r["scenario"] for r in results["results"]] == ["causal_sdpa"] * 4 + ["lstm_packed"]
    assert len(err.splitlines()) == 5


def test_a_table_for_people_is_whole_in_a_pipe(measured, capsys):
    measured["lstm_packed"] = {"aim": {"of": "ratio", "relation": "at least", "value": 1.4, "met": True}}
    assert main(["bench", "--only", "recurrent", "--quick"]) == 0
    out, _ = capsys.readouterr()
    assert "2.00 (1.90 to 2.10)" in out
    assert "≥ 1.4 ✓" in out
    assert "…" not in out


def test_different_results_leave_with_5_and_all_files_are_written(measured, capsys, tmp_path):
    measured["lstm_packed"] = {"status": "failed", "detail": "the results differ by 1.0e-01, more than 1e-05"}
    assert main(["bench", "--only", "recurrent", "--quick", "--out-dir", str(tmp_path / "out")]) == 5
    out, err = capsys.readouterr()
    assert "FAILED" in out
    assert "lstm_packed at 48: the results differ" in err
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["bench-gru_packed.json", "bench-lstm_packed.json", "bench-min_gru_gru.json"]
    assert json.loads((tmp_path / "out" / written[0]).read_text())["results"][0]["scenario"] == "gru_packed"


def test_a_missing_peer_is_named_and_no_error(measured, capsys):
    measured["window_flex"] = {"status": "missing", "detail": "x is not installed: pip install 'sightline[peers]'"}
    assert main(["bench", "--only", "window_flex"]) == 0
    out, err = capsys.readouterr()
    assert "missing: x is not installed" in out
    assert "MISSING, x is not installed" in err


def test_what_ended_before_a_stop_is_kept(measured, monkeypatch, tmp_path):
    def stopping(scenario, size, _):
        if scenario.name == "gru_packed":
            raise KeyboardInterrupt
        return row(scenario, size)

    monkeypatch.setattr(run, "measure", stopping)
    assert main(["bench", "--only", "recurrent", "--out-dir", str(tmp_path)]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["bench-lstm_packed.json"]
