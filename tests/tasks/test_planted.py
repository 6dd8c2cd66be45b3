"""Planted problems: the answer follows from the planted positions, those where an item and a variant differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.tasks.planted import (
    MARKS,
    NONE,
    OWN,
    Planted,
    PlantedSizes,
    drawn,
    first_of_two,
    lookup,
    rare_letters,
    text_problems,
    value_of_a_key,
)
from sightline.tasks.translation.task import TranslationTask
from tests.english import TEXT
from tests.tasks import subjects
from tests.tasks.classification import small as labels
from tests.tasks.translation import small as pairs

FEW = PlantedSizes(150, 4, 6)


def test_the_answer_follows_from_the_numbers_by_the_rule_of_each_problem():
    random = np.random.default_rng(0)
    for _ in range(200):
        one = lookup(random)
        assert [number for number in one.numbers if number < MARKS] == [one.answer]
        two = first_of_two(random)
        assert next(number for number in two.numbers if number < MARKS) == two.answer
        assert (two.numbers < MARKS).sum() == 2
        asked = value_of_a_key(random)
        keys, values, question = asked.numbers[0:-1:2], asked.numbers[1::2], asked.numbers[-1]
        assert values[keys == question].tolist() == [asked.answer]
        for item, causal in ((one, 1), (two, 1), (asked, 3)):
            differs = np.stack([variant != item.numbers for variant in item.variants])
            assert differs.sum(1).tolist() == [1] * causal
            assert differs.any(0).sum() == causal


def test_a_share_of_lookups_in_training_has_no_mark():
    train, held = drawn(lookup, 0, "lookup", PlantedSizes())
    share = np.mean([item.answer == NONE for item in train])
    assert 0.15 < share < 0.25
    assert all((item.numbers >= MARKS).all() == (item.answer == NONE) for item in train)
    assert all(item.answer != NONE for item in held[PlantedSizes().check :])


def test_in_training_the_first_of_any_number_of_marks_is_the_answer():
    train, _ = drawn(first_of_two, 0, "first", PlantedSizes())
    assert all(next(number for number in item.numbers if number < MARKS) == item.answer for item in train)
    assert {int((item.numbers < MARKS).sum()) for item in train} == {1, 2, 3}


def test_in_training_a_recall_without_the_key_or_its_mark_has_no_answer():
    """The rule by hand, over pairs: the first one with the key that is asked for gives its mark, if it is one."""
    train, held = drawn(value_of_a_key, 0, "recall", PlantedSizes())
    for item in train:
        *pairs, asked = item.numbers.tolist()
        marks = [mark for key, mark in zip(pairs[::2], pairs[1::2], strict=True) if key == asked]
        assert item.answer == (marks[0] if marks and marks[0] < MARKS else NONE)
    assert 0.1 < np.mean([item.answer == NONE for item in train]) < 0.3
    assert any(item.answer == NONE for item in held[: PlantedSizes().check])
    assert all(item.answer != NONE for item in held[PlantedSizes().check :])


def test_a_trigger_is_no_character_of_the_data():
    letters = rare_letters(["§ and x", "¶"], MARKS)
    assert len(set(letters)) == MARKS
    assert not {"§", "¶", "X"} & set(letters)


def test_a_trigger_is_planted_in_texts_of_the_data():
    texts = [f"the {number} of these is {number} or {number}" for number in range(60)]
    own = text_problems(texts, 0, FEW)[-1]
    assert own.name == OWN
    held = {item.input for item in own.items}
    assert not held & {item.input for item in own.train}
    for item in own.items:
        words, changed = item.input.split(), item.variants[0].split()
        assert sum(a != b for a, b in zip(words, changed, strict=True)) == 1
    assert len(text_problems(texts[:15], 0, FEW)) == 3  # too few


def opened_rightly(planted: Planted, *causal: int) -> None:
    """The positions where items and variants differ are so many, and a batch has a loss."""
    item = planted.measured[0]
    opened = planted.open(item.input)
    found = planted.causal(item, opened)
    assert found.shape == (len(opened.source.pieces) - opened.source.added,)
    assert int(found.sum()) in causal
    loss = planted.loss(planted.task.model, next(planted.batches))
    assert torch.isfinite(loss.total)
    assert planted.right(opened, item) in (True, False)


CAUSAL = {"token lookup": 1, "first occurrence": 1, "key-value recall": 3, OWN: 1}


def test_problems_for_a_classifier_of_texts():
    for planted in labels.untrained("text").plant(labels.part("text", 60, 7), 0, FEW):
        opened_rightly(planted, CAUSAL[planted.name])


@pytest.mark.parametrize("kind", ["series", "audio", "image"])
def test_problems_for_series_sounds_and_pictures(kind: Any) -> None:
    task = labels.untrained(kind)
    found = task.plant(labels.part(kind, 40, 7), 0, FEW)
    assert [one.name for one in found] == ["token lookup", "first occurrence", OWN]
    for planted in found:
        opened_rightly(planted, 1)
        assert (planted.measured[0].input != planted.measured[0].variants[0]).any()


def test_problems_for_a_translator():
    texts = [f"{number} and {number + 1}" for number in range(40)]
    found = pairs.untrained("gru").plant(Pairs(texts, texts), 0, FEW)
    assert [one.name for one in found] == list(CAUSAL)
    for planted in found:
        opened_rightly(planted, CAUSAL[planted.name])


def test_positions_are_letters_for_a_translator_that_has_byte_pairs_by_default():
    """180,000 characters of repeated pairs of letters: byte pairs are shorter than characters."""
    random = np.random.default_rng(0)
    words = ["ababababa", "cdcdcdcdc", "ededededed", "fgfgfgfgfg", "ghghghghg", "klklklklk"]
    texts = [" ".join(random.choice(words, 6)) for _ in range(3000)]
    task = TranslationTask.create(PairCorpus("long", *[Pairs(texts, texts)] * 3, ""), pairs.config("gru"))
    assert task.trained.tokenizers.source.kind == "bpe"
    found = task.plant(Pairs(texts, texts), 0, FEW)
    assert [one.name for one in found] == list(CAUSAL)
    for planted in found:
        for item in planted.measured:
            length = len(planted.open(item.input).source.pieces)
            assert planted.own or length == len(item.input.replace(" ", ""))
            assert [len(planted.open(variant).source.pieces) for variant in item.variants] == [length] * len(
                item.variants
            )
        assert not planted.fault
        opened_rightly(planted, CAUSAL[planted.name])


def test_letters_of_characters_are_not_separated_though_a_text_has_an_unknown_one():
    texts = [f"{number} and {number + 1} \N{SNOWMAN}" for number in range(40)]  # unknown ones are three bytes
    for planted in pairs.untrained("gru").plant(Pairs(texts, texts), 0, FEW)[:3]:
        item = planted.measured[0]
        assert " " not in item.input
        assert len(planted.open(item.input).source.pieces) == len(item.input)


def test_problems_for_a_language_model_have_the_mark_at_the_end_too(tmp_path: Path) -> None:
    subject = subjects.language(tmp_path)
    for planted in subject.built().plant(subject.corpus.train, 0, FEW):
        opened_rightly(planted, CAUSAL[planted.name] + 1)
        assert planted.row == -1


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("size", [283, 363, 446, 800])
def test_every_symbol_is_a_token_in_vocabularies_of_middle_size(kind: str, size: int, tmp_path: Path) -> None:
    """The default vocabularies of half a megabyte of text and more, in which some letters are joined."""
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    subject = subjects.language(tmp_path)
    tokenizer = replace(subject.run.settings.tokenizer, kind=kind, size=size)
    subject = replace(subject, run=subject.run.changed(data=str(tmp_path / "a.txt"), context=64, tokenizer=tokenizer))
    task = subject.built()
    assert 0.9 * size < task.tokenizer.size <= size
    planted = task.plant(subject.corpus.train, 0, FEW)
    assert [one.name for one in planted] == list(CAUSAL)
    for one in planted:
        for item in one.items:
            ids = [task.tokenizer.encode(text) for text in (item.input, *item.variants)]
            assert len({len(row) for row in ids}) == 1
            assert [int((row != ids[0]).sum()) for row in ids[1:]] == [1] * len(item.variants)
            assert one.own or len(ids[0]) == len(item.input.replace(" ", ""))
        opened_rightly(one, CAUSAL[one.name] + 1)


@pytest.mark.slow
def test_problems_for_a_forecaster_and_a_look_back_that_is_too_short(tmp_path: Path) -> None:
    subject = subjects.forecasting(tmp_path)
    short = replace(subject, run=subject.run.changed(lookback=16)).built()
    with pytest.raises(InputError, match=r"a look-back of . patches is too short for planted problems"):
        short.plant(subject.corpus.train, 0, FEW)
    subject = replace(subject, run=subject.run.changed(lookback=64))
    found = subject.built().plant(subject.corpus.train, 0, FEW)
    assert [one.name for one in found] == ["token lookup", "first occurrence", OWN]
    for planted in found:
        opened_rightly(planted, 1, 2, 3)  # patches overlap
