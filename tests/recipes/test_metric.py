"""The recipe "a metric: one entry": with the entry alone every task that writes texts measures and decides by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.core.metrics import METRICS
from sightline.lab.worker import deciding
from sightline.testing import check_task
from tests.recipes.length_ratio import LENGTH_RATIO
from tests.tasks.subjects import SUBJECTS


@pytest.fixture(autouse=True)
def one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, LENGTH_RATIO.name, LENGTH_RATIO)


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
