"""The laws of tasks over every task of the table, and planted bugs, of which each law finds its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sightline.core.errors import CheckFailed, InputError
from sightline.core.settings import flat, key
from sightline.data.batches import START, Cursor, PairBatches
from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.tasks.table import TASKS
from sightline.testing import TASK_LAWS, TaskSubject, check_task
from sightline.training.measured import Measured
from sightline.training.state import TrainConfig
from tests.recipes.tagging import small
from tests.recipes.tagging.task import TaggingConfig, TaggingOptions, TaggingRun, TaggingTask
from tests.tasks.subjects import SUBJECTS

QUICK = ("translation", "classification", "forecasting", "language", "captioning")  # the others share their code
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SUBJECTS]


@pytest.fixture(scope="module", params=EACH)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TaskSubject:
    return SUBJECTS[request.param](tmp_path_factory.mktemp("data"))


def test_every_task_is_here() -> None:
    assert {name.split()[0] for name in SUBJECTS} == set(TASKS)


SLOW = {"used = evaluated"}


@pytest.mark.parametrize("law", [pytest.param(law, marks=pytest.mark.slow if law in SLOW else ()) for law in TASK_LAWS])
def test_the_law_holds(subject: TaskSubject, law: str) -> None:
    check_task(subject, [law])


KEPT_BY = {
    "classification of label sets": "loss",
    "classification": "accuracy",
    "forecasting": "loss",
    "language": "loss",
}


def test_models_are_kept_by_a_metric_that_validations_have_for_each_item(
    subject: TaskSubject, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["subject"]
    expected = next((metric for kind, metric in KEPT_BY.items() if name.startswith(kind)), "token_accuracy")
    assert subject.task.settled_training(TrainConfig()).metric == expected
    measured = subject.task.validator(subject.corpus.valid)(subject.task.model)
    assert np.isfinite(measured.metrics[expected])
    assert np.isfinite(measured.items[expected]).all()
    assert 1 < len(measured.items[expected]) <= len(subject.corpus.valid)


class SavesWordsInAnotherOrder(TaggingTask):
    def more_options(self) -> dict[str, Any]:
        return {"words": self.words[::-1], "tags": self.tags}


class LoadsAnUntrainedModel(TaggingTask):
    @classmethod
    def restore(cls, directory: Path, loaded: Any, config: TaggingConfig, options: TaggingOptions) -> TaggingTask:
        model = loaded.config.build(loaded.source, loaded.outputs)
        return super().restore(directory, loaded._replace(model=model.eval()), config, options)


class AnswersByLength(TaggingTask):
    def predict_list(self, inputs: Any, decoding: Any = None) -> list[str]:
        return super().predict_list(sorted(inputs, key=len))


class SeesOtherInputs(TaggingTask):
    def scores(self, part: Pairs) -> list[torch.Tensor]:
        scores = super().scores(part)
        return [one.roll(len(scores) - 1, 1) for one in scores]


class AnswersNothing(TaggingTask):
    def predict(self, inputs: Any, decoding: Any = None, **how: Any) -> Any:
        return super().predict(inputs, decoding, **how) or [""]


class PredictsEachCharacter(TaggingTask):
    def is_one(self, inputs: Any) -> bool:
        return False


class ReadsCapitalsWhereTrainingHadNone(TaggingTask):
    def predict_list(self, inputs: Any, decoding: Any = None) -> list[str]:
        self.reading = {}
        return super().predict_list(inputs)


class MeansOfMeans(TaggingTask):
    def measure(self, part: Pairs, decoding: Any = None) -> Measured:
        measured = super().measure(part)
        rows = measured.items["token_accuracy"]
        return replace(
            measured, metrics={**measured.metrics, "token_accuracy": float((rows[:, 0] / rows[:, 1]).mean())}
        )


class SortsItsItems(TaggingTask):
    def measure(self, part: Pairs, decoding: Any = None) -> Measured:
        measured = super().measure(part)
        order = np.argsort([len(source) for source in part.sources], kind="stable")
        return replace(measured, items={name: rows[order] for name, rows in measured.items.items()})


class NamesWhatItDoesNotMeasure(TaggingTask):
    @classmethod
    def metrics(cls, data: PairCorpus, run: TaggingRun) -> tuple[str, ...]:
        return (*super().metrics(data, run), "macro_f1")


class RanksByCoverage(TaggingTask):
    @classmethod
    def metrics(cls, data: PairCorpus, run: TaggingRun) -> tuple[str, ...]:
        return ("coverage",)

    def measure(self, part: Pairs, decoding: Any = None) -> Measured:
        measured = super().measure(part)
        name = "token_accuracy"
        return replace(measured, metrics={"coverage": measured.metrics[name]}, items={"coverage": measured.items[name]})


class ValidatesTheLossAlone(TaggingTask):
    def validator(self, part: Pairs, share: float = 1.0) -> Callable[[nn.Module], Measured]:
        validate = super().validator(part, share)
        return lambda model: Measured({"loss": validate(model).metrics["loss"]})


class StaysInEvaluation(TaggingTask):
    def predict_list(self, inputs: Any, decoding: Any = None) -> list[str]:
        self.model.eval()
        return super().predict_list(inputs)


class ForgetsTheModeAfterAnException(TaggingTask):
    def scores(self, part: Pairs) -> list[torch.Tensor]:
        training = self.model.training
        self.model.eval()
        scores = super().scores(part)
        self.model.train(training)
        return scores


class MeasuresWithDropout(TaggingTask):
    def measure(self, part: Pairs, decoding: Any = None) -> Measured:
        return replace(super().measure(part), metrics={"loss": float(torch.nn.Dropout().train(self.model.training)(
            torch.ones(100)).mean())})  # fmt: skip


class IsNotDescribed(TaggingTask):
    def describe(self, data: PairCorpus) -> dict[str, Any]:
        return {"tags": np.array(self.tags)}


class ForgetsTheHash(TaggingTask):
    @classmethod
    def trained_on(cls, data: PairCorpus) -> str:
        return data.name


class NamesNoKey(TaggingTask):
    def batches(self, part: Pairs, *, seed: int, shuffle: bool = True) -> PairBatches:
        batches = super().batches(part, seed=seed, shuffle=shuffle)
        batches.size_key = "batch_words", batches.size_key[1]
        return batches


@dataclass(frozen=True)
class Misplaced(TaggingConfig):
    def __post_init__(self) -> None:
        if self.vocabulary < 1:
            raise InputError("must be at least 1", where="words")
        super().__post_init__()


@dataclass(frozen=True)
class MisplacedRun(TaggingRun):
    settings: Misplaced = flat(Misplaced())


class NamesAnotherKeyInAnError(TaggingTask):
    Run = MisplacedRun


@dataclass(frozen=True)
class Twice(TaggingConfig):
    limit: int | None = key(None, "Most words of a text.")


@dataclass(frozen=True)
class TwiceRun(TaggingRun):
    settings: Twice = flat(Twice())


class HasAKeyOfTheData(TaggingTask):
    Run = TwiceRun


@dataclass(frozen=True)
class Doubling(TaggingConfig):
    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "vocabulary", self.vocabulary + 1)


@dataclass(frozen=True)
class DoublingRun(TaggingRun):
    settings: Doubling = flat(Doubling())


class ChangesItsSettings(TaggingTask):
    Run = DoublingRun


class TakesAnyArchitecture(TaggingTask):
    @classmethod
    def check_architecture(cls, arch: str) -> None:
        pass


class HasWordsOfItsOwn(TaggingTask):
    @classmethod
    def check_architecture(cls, arch: str) -> None:
        if arch not in cls.architectures():
            raise InputError("cannot tag", where="arch")


class DrawsFromTorch(TaggingTask):
    @classmethod
    def build(cls, data: PairCorpus, run: TaggingRun) -> TaggingTask:
        task = super().build(data, run)
        nn.init.normal_(next(task.model.parameters()))
        return task


class IgnoresTheSeed(TaggingTask):
    @classmethod
    def build(cls, data: PairCorpus, run: TaggingRun) -> TaggingTask:
        return super().build(data, run.changed(seed=0))


class Restarting:
    """Batches that begin again at every cursor."""

    def __init__(self, batches: PairBatches) -> None:
        self.batches, self.size_key = batches, batches.size_key

    def stream(self, cursor: Cursor) -> Iterator[tuple[Any, Cursor]]:
        return self.batches.stream(START)

    def epoch(self) -> Iterator[Any]:
        return self.batches.epoch()


class BeginsAnew(TaggingTask):
    def batches(self, part: Pairs, *, seed: int, shuffle: bool = True) -> Any:
        return Restarting(super().batches(part, seed=seed, shuffle=shuffle))


BUGS: dict[type[TaggingTask], str] = {
    SavesWordsInAnotherOrder: "saved = loaded",
    LoadsAnUntrainedModel: "saved = loaded",
    AnswersByLength: "answers in order",
    SeesOtherInputs: "answers in order",
    AnswersNothing: "answers in order",
    PredictsEachCharacter: "answers in order",
    ReadsCapitalsWhereTrainingHadNone: "used = evaluated",
    MeansOfMeans: "items make up the metrics",
    SortsItsItems: "items make up the metrics",
    NamesWhatItDoesNotMeasure: "metrics decide",
    RanksByCoverage: "metrics decide",
    ValidatesTheLossAlone: "metrics decide",
    StaysInEvaluation: "evaluation leaves no trace",
    ForgetsTheModeAfterAnException: "evaluation leaves no trace",
    MeasuresWithDropout: "evaluation leaves no trace",
    IsNotDescribed: "data is described",
    ForgetsTheHash: "data is described",
    NamesNoKey: "keys are flags",
    NamesAnotherKeyInAnError: "keys are flags",
    HasAKeyOfTheData: "keys are flags",
    ChangesItsSettings: "a run survives its file",
    TakesAnyArchitecture: "other forms are refused",
    HasWordsOfItsOwn: "other forms are refused",
    DrawsFromTorch: "a seed draws the weights",
    IgnoresTheSeed: "a seed draws the weights",
    BeginsAnew: "batches resume",
}


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: type[TaggingTask], tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=f"^tagging: {BUGS[bug]}: "):
        check_task(small.subject(tmp_path, bug), [BUGS[bug]])


def test_each_law_finds_a_bug() -> None:
    assert set(BUGS.values()) == set(TASK_LAWS)


@pytest.mark.slow
def test_all_laws_that_fail_are_named(tmp_path: Path) -> None:
    class HasTwoBugs(IgnoresTheSeed, ForgetsTheHash):
        pass

    with pytest.raises(CheckFailed) as caught:
        check_task(small.subject(tmp_path, HasTwoBugs))
    data = tmp_path / "tags.jsonl"
    assert str(caught.value) == (
        f"tagging: data is described: the data's sha256 is not in '{data}'; "
        "a seed draws the weights: another seed draws the same weights"
    )
