"""What training does by default with texts of a language, and not with texts of a few symbols."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.part import LabelledPart
from sightline.models import NAMED_ENCODERS
from sightline.tasks.classification.config import ClassificationConfig, TextConfig
from sightline.tasks.classification.inputs import LANGUAGE_WORDS
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import train_task
from sightline.training.state import TrainConfig
from tests.tasks.classification.small import data, run, untrained

SPECIALS = 2  # of a vocabulary of words


def spoken(different: int) -> LabelledCorpus:
    """Texts of two words each, so many different ones in all."""
    texts = [f"w{n} w{n + 1}" for n in range(0, different, 2)]
    part = LabelledPart(
        "text", False, texts, [("odd" if n % 2 else "even",) for n in range(len(texts))], [""] * len(texts)
    )
    return LabelledCorpus("spoken", part, part, part, "0" * 64, classes=("even", "odd"))


def task_for(different: int, arch: str = "gru", **changes: object) -> ClassificationTask:
    return ClassificationTask.build(spoken(different), run(arch, text=TextConfig(min_count=1, **changes)))


@pytest.mark.parametrize(("more", "share", "epochs"), [(0, 0.5, 10), (-2, 0.0, None)])
def test_words_are_lost_and_epochs_bounded_from_a_thousand_words_on(
    more: int, share: float, epochs: int | None
) -> None:
    task = task_for(LANGUAGE_WORDS - SPECIALS + more)
    assert task.inputs.word_dropout == share
    assert task.settled_training(TrainConfig()).most_epochs == epochs


def test_symbols_of_other_tokenizers_are_not_lost() -> None:
    task = task_for(LANGUAGE_WORDS, kind="char")
    assert (task.inputs.word_dropout, task.inputs.in_language) == (0.0, False)
    assert task_for(LANGUAGE_WORDS, kind="char", word_dropout=0.2).inputs.word_dropout == 0.2


def test_what_is_set_counts() -> None:
    assert task_for(LANGUAGE_WORDS, word_dropout=0.0).inputs.word_dropout == 0.0
    settled = task_for(LANGUAGE_WORDS).settled_training(TrainConfig(most_epochs=None, metric="loss"))
    assert (settled.most_epochs, settled.metric) == (None, "loss")


@pytest.mark.parametrize("arch", NAMED_ENCODERS)
def test_presets_after_a_paper_lose_no_words(arch: str) -> None:
    assert ClassificationConfig.preset(arch).text.word_dropout == 0.0


@pytest.mark.parametrize(
    ("many", "weights", "metric"),
    [(False, "none", "accuracy"), (False, "balanced", "macro_f1"), (False, {"red": 2.0}, "macro_f1"),
     (True, "none", "loss"), (True, "balanced", "loss")],
)  # fmt: skip
def test_the_model_is_picked_by_how_many_answers_are_right(
    many: bool, weights: str | dict[str, float], metric: str, tmp_path: Path
) -> None:
    task = untrained(many=many, class_weights=weights)
    config = TrainConfig(budget="2steps", validations=1, device="cpu", dtype="float32")
    result = train_task(task, data(many=many), tmp_path / "run", config).training
    validated = next(record for record in result.history if record["event"] == "valid")
    assert result.best_metric == validated[metric]


def test_a_front_end_of_letters_has_no_unknown_word() -> None:
    usual = run(text=TextConfig(min_count=1, word_dropout=0.5))
    letters = usual.settings.front_end
    spelled = usual.changed(front_end=replace(letters, name="character_cnn"))
    with pytest.raises(InputError, match=r"text\.word_dropout: requires a vocabulary; this front end reads letters"):
        ClassificationTask.build(data(), spelled)
