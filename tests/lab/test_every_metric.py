"""Every metric that a task reports decides a comparison of stored items, or is refused before anything is trained."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.lab.jobs import Job, JobResult, Prepared
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.preparing import deciding
from sightline.lab.results import Data
from sightline.lab.summary import Outcome, summarise
from sightline.training.measured import Measured
from tests.tasks.subjects import SUBJECTS


@pytest.fixture(scope="module", params=SUBJECTS)
def measurement(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], Measured]:
    """The metrics that a task names, and an untrained model's measurement."""
    subject = SUBJECTS[request.param](tmp_path_factory.mktemp("data"))
    return subject.kind.metrics(subject.corpus, subject.run), subject.built().measure(subject.corpus.test)


def test_every_metric_decides_a_comparison_or_is_refused(
    measurement: tuple[tuple[str, ...], Measured], tmp_path: Path
) -> None:
    names, measured = measurement
    assert deciding(names, "auto") == names[0]
    for name in names:
        if find_metric(name).decides:
            assert deciding(names, name) == name
            compare_items_of(measured, name, tmp_path)
        else:
            with pytest.raises(InputError, match=f"^--metric: '{name}' alone does not rank models: choose one of "):
                deciding(names, name)
    with pytest.raises(InputError, match=f"^--metric: 'f2' is not a metric of this task: choose one of {names[0]}, "):
        deciding(names, "f2")


def compare_items_of(measured: Measured, metric: str, folder: Path) -> None:
    """Compares the model with itself and with one that errs in other places: as good, measured on other items."""
    config = CompareConfig(archs=("gru", "lstm", "rnn"), seeds=2, search=0.0, metric=metric)
    rows = measured.items[metric]
    prepared = Prepared(
        data=Data("d", "0", train=1, valid=1, test=len(rows), tested=len(rows)), budget_amount=60.0,
        budget_unit="seconds", learning_rates=dict.fromkeys(config.archs, 1e-3), metric=metric,
        metrics=list(measured.metrics), sources=[], lengths=list(range(len(rows))), attended=[], attended_pieces=[],
        baselines=[], environment={},
    )  # fmt: skip
    outcomes = []
    for arch, items in (("gru", rows), ("lstm", rows), ("rnn", np.roll(rows, 1, 0))):
        metrics = {name: value for name, value in measured.metrics.items() if np.isfinite(value)}
        result = JobResult(1.0, 1e-3, 5.0, [], metrics, items=items.tolist())
        outcomes += [Outcome(Job("run", config, folder, folder, arch, seed), result, None) for seed in (0, 1)]
    results = summarise(config, divide(config, 60.0, "seconds"), prepared, outcomes, {}, "")
    for architecture in results.architectures:
        estimate = architecture.metrics[metric]
        assert estimate.mean == pytest.approx(measured.metrics[metric], rel=1e-5)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.high
        assert len(architecture.by_length) == len(results.lengths)
    assert len(results.pairs) == 3
    assert not any(pair.shown for pair in results.pairs)
    same = next(pair for pair in results.pairs if {pair.first, pair.second} == {"gru", "lstm"})
    low, high = same.difference.low, same.difference.high
    assert low is not None
    assert high is not None
    assert low <= 0 <= high
    assert (low < high) == all(map(math.isfinite, find_metric(metric).limits))  # what one more item could have changed
    assert (same.p, same.superiority) == (1.0, 0.5)
    assert json.dumps(results.to_dict(), allow_nan=False)
    assert results.verdict.startswith("Not decided between ") or " practically the same" in results.verdict
