"""Comparisons of other jobs than translation, whole: what they decide by, and what the report draws of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.lab.compare import compare
from sightline.lab.plan import CompareConfig
from sightline.lab.progress import Display
from sightline.lab.results import Results
from sightline.report.html import using, write_report

pytestmark = pytest.mark.slow

JOBS = {
    "classification": ("gru", "transformer"),
    "forecasting": ("dlinear", "gru"),
    "language": ("lstm", "transformer"),
}
SERIES = "builtin:ar?length=400&phi=0.9&series=1"


@pytest.fixture(scope="module", params=JOBS)
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Results, Path]:
    job, place = request.param, tmp_path_factory.mktemp("lab")
    (place / "texts").mkdir()
    for number in range(10):
        lines = (f"{number * line} is {number} times {line}" for line in range(40))
        (place / "texts" / f"{number}.txt").write_text("\n".join(lines) + "\n")
    data = {"classification": "builtin:digits", "forecasting": SERIES, "language": str(place / "texts")}[job]
    config = CompareConfig(job, data, JOBS[job], "4steps", seeds=1, search=0.0, tested=100, workers=2)
    results = compare(config, place / "out", command="sightline compare …", display=Display(quiet=True))
    write_report(results, place / "out")
    return job, results, place / "out"


def test_it_is_measured_by_the_jobs_own_metric_beside_its_baselines(compared: tuple[str, Results, Path]) -> None:
    job, results, place = compared
    assert results.data.reads_texts is (job == "language")
    assert using(results, place) == f"sightline predict {place} INPUT"  # pictures, series, and texts without a source
    assert results.primary_metric == {
        "classification": "accuracy", "forecasting": "mse", "language": "bits_per_byte",
    }[job]  # fmt: skip
    assert [run.status for run in results.runs] == ["done", "done"]
    assert {run.kept_by for run in results.runs} == {"accuracy" if job == "classification" else "loss"}
    first, second = (a.metrics[results.primary_metric].mean for a in results.ranked)
    assert (first >= second) is results.metric.higher_is_better or first == second
    assert any(results.primary_metric in baseline.metrics for baseline in results.baselines)


def test_details_are_those_of_the_tested_items(compared: tuple[str, Results, Path]) -> None:
    job, results, place = compared
    for architecture in results.architectures:
        details = architecture.details
        assert details is not None
        if job == "classification":
            assert details.confusion is not None
            counts = details.confusion.counts
            assert sum(map(sum, counts)) == results.data.tested
            right = sum(counts[i][i] for i in range(len(counts))) / results.data.tested
            assert right == pytest.approx(architecture.metrics["accuracy"].mean, abs=1e-12)
            assert sum(one.count for one in details.reliability) == results.data.tested
            assert details.curve is None
        else:
            assert details.confusion is None
            assert details.curve is not None
            known = [value for value in details.curve.values if value is not None]
            assert len(known) > 4
            if job == "forecasting":
                assert sum(known) / len(known) == pytest.approx(architecture.metrics["mse"].mean, rel=1e-9)
            else:
                assert min(known) <= architecture.metrics["loss"].mean <= max(known)
    assert Results.load(place / "results.json") == results
    page = (place / "report.html").read_text(encoding="utf-8")
    assert ('<section id="labels">' in page) is (job == "classification")
    assert ('<section id="curve">' in page) is (job != "classification")
