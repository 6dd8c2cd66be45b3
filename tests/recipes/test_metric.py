"""The recipe "a metric: one entry": with the entry alone every task with such outputs measures and decides by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.core.metrics import METRICS
from sightline.lab.worker import deciding
from sightline.testing import check_task
from tests.recipes.metrics import CONFIDENCE, LENGTH_RATIO
from tests.tasks.subjects import SUBJECTS


@pytest.fixture(autouse=True)
def one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for metric in (LENGTH_RATIO, CONFIDENCE):
        monkeypatch.setitem(METRICS, metric.name, metric)


@pytest.mark.parametrize("task", ["translation", "transcription", "captioning", "answering"])
def test_every_task_that_writes_texts_has_it(task: str, tmp_path: Path) -> None:
    subject = SUBJECTS[task](tmp_path)
    measured = subject.task.measure(subject.corpus.test)
    ratio = sum(map(len, measured.outputs)) / sum(map(len, measured.references))
    assert measured.metrics["length_ratio"] == pytest.approx(ratio)
    assert "length_ratio" in subject.task.validator(subject.corpus.valid)(subject.task.model)
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
