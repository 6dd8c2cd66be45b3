"""The recipe "a metric: one entry": with the entry alone every task with such outputs measures and decides by it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from sightline.core.metrics import METRICS, Metric
from sightline.lab.preparing import deciding
from sightline.testing import check_task
from tests.recipes import metrics
from tests.tasks.subjects import SUBJECTS


@pytest.fixture(autouse=True)
def one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for metric in (metric for metric in vars(metrics).values() if isinstance(metric, Metric)):
        monkeypatch.setitem(METRICS, metric.name, metric)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["translation", "transcription", "captioning", "answering"])
def test_every_task_that_writes_texts_has_it(task: str, tmp_path: Path) -> None:
    subject = SUBJECTS[task](tmp_path)
    measured = subject.task.measure(subject.corpus.test)
    ratio = sum(map(len, measured.outputs)) / sum(map(len, measured.references))
    assert measured.metrics["length_ratio"] == pytest.approx(ratio)
    assert "length_ratio" in subject.task.validator(subject.corpus.valid)(subject.task.model).metrics
    names = subject.kind.metrics(subject.corpus, subject.run)
    assert deciding(names, "length_ratio") == "length_ratio"
    assert deciding(names, "auto") != "length_ratio"
    check_task(subject, ["items make up the metrics", "metrics decide", "data is described"])


@pytest.mark.parametrize("task", ["classification", "classification of label sets"])
def test_classification_has_it(task: str, tmp_path: Path) -> None:
    subject = SUBJECTS[task](tmp_path)
    assert 0.5 <= subject.task.measure(subject.corpus.test).metrics["confidence"] <= 1.0 or "sets" not in task
    assert deciding(subject.kind.metrics(subject.corpus, subject.run), "confidence") == "confidence"
    check_task(subject, ["items make up the metrics", "metrics decide", "data is described"])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["forecasting", "forecasting of quantiles"])
def test_forecasting_has_it(task: str, tmp_path: Path) -> None:
    subject = SUBJECTS[task](tmp_path)
    measured = subject.task.measure(subject.corpus.test)
    values, details = measured.metrics, measured.details
    assert ("interval_score" in values) == ("quantiles" in task)
    assert values["rmse"] == pytest.approx(math.sqrt(values["mse"]))
    assert values["by_range"] == pytest.approx(values["mae"] / 2)
    assert 0 < values["hits"] < 1
    for name in values:
        assert len(details["by_step"][name]) == subject.run.settings.horizon
        assert all(name in row for row in details["by_series"])
    assert details["by_step"]["rmse"] == pytest.approx(np.sqrt(details["by_step"]["mse"]))
    assert np.mean(details["by_step"]["hits"]) == pytest.approx(values["hits"])
    if "quantiles" in task:
        assert values["interval_score"] > values["interval_width"]
    names = subject.kind.metrics(subject.corpus, subject.run)
    for name in ("rmse", "by_range", "hits"):
        assert deciding(names, name) == name
    check_task(subject, ["items make up the metrics", "metrics decide", "data is described"])


def test_running_text_has_it(tmp_path: Path) -> None:
    subject = SUBJECTS["language"](tmp_path)
    measured = subject.task.measure(subject.corpus.test)
    values, details = measured.metrics, measured.details
    assert values["bytes_per_token"] == pytest.approx(details["bytes"] / details["tokens"])
    assert values["bits_per_token"] == pytest.approx(values["bits_per_byte"] * values["bytes_per_token"])
    assert "bytes_per_token" in subject.task.validator(subject.corpus.valid)(subject.task.model).metrics
    assert deciding(subject.kind.metrics(subject.corpus, subject.run), "bits_per_token") == "bits_per_token"
    check_task(subject, ["items make up the metrics", "metrics decide", "data is described"])


def test_tokens_of_every_text_have_it(tmp_path: Path) -> None:
    subject = SUBJECTS["translation"](tmp_path)
    values = subject.task.measure(subject.corpus.test).metrics
    assert values["bits_per_token"] == pytest.approx(values["loss"] / math.log(2))
    assert "bytes_per_token" not in values
