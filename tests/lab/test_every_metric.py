"""Every metric that a task reports decides a comparison of stored items, or is refused before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.core.metrics import METRICS, find_metric
from sightline.lab.jobs import Job, JobResult, Prepared
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.results import Data
from sightline.lab.summary import Outcome, summarise
from sightline.lab.worker import deciding
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.outcomes import Measured
from sightline.tasks.table import TASKS
from sightline.tasks.task import Task
from sightline.tasks.translation.task import TranslationTask
from tests.tasks.classification import small as labels
from tests.tasks.media import small as media
from tests.tasks.translation import small as pairs

Subject = tuple[Task[Any, Any, Any], Any, Any]  # an untrained task, its data, its configuration


def translation(_: Path) -> Subject:
    return pairs.untrained(), pairs.corpus(), TranslationTask.preset("gru")


def classification(_: Path, *, many: bool) -> Subject:
    data, run = labels.data(many=many), labels.run()
    return labels.ClassificationTask.build(data, run), data, run


def forecasting(_: Path, **changes: Any) -> Subject:
    preset = ForecastingTask.preset("gru")
    model = replace(preset.settings.model, d_model=8, layers=1)
    data_set = "builtin:seasonal?length=300&season=6&series=2"
    run = preset.changed(data=data_set, lookback=24, horizon=6, model=model, **changes)
    data = ForecastingTask.load_data(run)
    return ForecastingTask.build(data, run), data, run


def language(folder: Path) -> Subject:
    texts = [f"{number} times {number} is {number * number}." for number in range(60)]
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    preset = LanguageTask.preset("gru")
    model = replace(preset.settings.model, d_model=8, layers=1)
    run = preset.changed(data=str(folder / "a.jsonl"), context=24, model=model)
    data = LanguageTask.load_data(run)
    return LanguageTask.build(data, run), data, run


def media_text(folder: Path, *, kind: str) -> Subject:
    run = media.run(kind, (media.tones if kind == "transcription" else media.quarters)(folder, 30))
    data = media.KINDS[kind].load_data(run)
    return media.KINDS[kind].build(data, run), data, run


SUBJECTS: dict[str, Callable[[Path], Subject]] = {
    "translation": translation,
    "classification": partial(classification, many=False),
    "classification of label sets": partial(classification, many=True),
    "forecasting": forecasting,
    "forecasting of quantiles": partial(forecasting, loss="quantile"),
    "language": language,
    **{kind: partial(media_text, kind=kind) for kind in media.KINDS},
}


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], Measured]:
    """The metrics that a task names, and an untrained model's measurement."""
    task, data, run = SUBJECTS[request.param](tmp_path_factory.mktemp("data"))
    return task.metrics(data, run), task.measure(data.test)


def test_every_task_is_here() -> None:
    assert {name.split()[0] for name in SUBJECTS} == set(TASKS)


def test_a_task_names_what_it_measures_and_each_metric_is_made_of_its_items(
    subject: tuple[tuple[str, ...], Measured],
) -> None:
    names, measured = subject
    assert len(set(names)) == len(names)
    assert set(names) == measured.metrics.keys() == measured.items.keys()
    for name, value in measured.metrics.items():
        rows = measured.items[name]
        assert rows.ndim == 2
        assert find_metric(name).value(rows[None].astype(float)) == pytest.approx([value], rel=1e-5), name
        low, high = METRICS[name].limits
        assert low <= value <= high


def test_every_metric_decides_a_comparison_or_is_refused(
    subject: tuple[tuple[str, ...], Measured], tmp_path: Path
) -> None:
    names, measured = subject
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
    assert (same.difference.low, same.difference.high, same.p) == (0.0, 0.0, 1.0)
    assert json.dumps(results.to_dict(), allow_nan=False)
    assert results.verdict.startswith("No difference shown between ")
