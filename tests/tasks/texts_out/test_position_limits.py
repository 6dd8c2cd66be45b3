"""Encoder-decoders whose positions are learned read and write as many as they have, and say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sightline.core.errors import InputError
from sightline.decoding.engine import DecodingConfig
from sightline.parts.positions import position_limit
from sightline.tasks.texts_out.config import TokenizerConfig
from sightline.tasks.translation.task import TranslationTask
from tests.tasks.translation import small as pairs

MOST = 1024


@pytest.fixture(scope="module")
def task() -> TranslationTask:
    config = pairs.config("transformer", tokenizer=TokenizerConfig("char"), batch_tokens=4096)
    config = replace(config, model=replace(config.model, positions="learned"))
    return TranslationTask.create(pairs.corpus(), config, seed=5)


def longest(task: Any) -> str:
    """A source of exactly as many tokens as the encoder reads."""
    reader = task.trained.reader
    added = len(reader.encode_batch(["1"])[0]) - 1
    return "1" * (MOST - added)


def test_a_source_that_is_too_long_is_named(task: TranslationTask) -> None:
    assert position_limit(task.model) == MOST
    text, decoding = longest(task), DecodingConfig(max_length=3)
    assert len(task.predict(["12", text], decoding)) == 2
    message = rf"^input 2 \(empty ones are not counted\) has {MOST + 1} positions, but the model reads at most {MOST}$"
    with pytest.raises(InputError, match=message):
        task.predict(["12", text + "1"], decoding)
    with pytest.raises(InputError, match=r"^input 12 "):
        task.answer(["12", text + "1"], decoding, first=10)


def test_an_output_ends_with_the_decoders_positions(task: TranslationTask) -> None:
    (outcome,) = task.answer(["12"], DecodingConfig(max_length=MOST))
    assert outcome.record["output"]
    with pytest.raises(
        InputError, match=rf"^outputs of {MOST + 1} tokens were asked for, but the model has {MOST} pos"
    ):
        task.predict(["12"], DecodingConfig(max_length=MOST + 1))


def test_a_limit_of_outputs_that_follows_from_the_targets_is_cut() -> None:
    config, data = pairs.config("transformer", tokenizer=TokenizerConfig("char")), pairs.corpus()
    data = replace(data, train=replace(data.train, targets=["a" * 1000, *data.train.targets[1:]]))
    longest = {}
    for positions in ("learned", "rotary"):
        task = TranslationTask.create(data, replace(config, model=replace(config.model, positions=positions)), seed=5)
        longest[positions] = task.trained.longest_output
    assert longest["learned"] == MOST < longest["rotary"]


def test_losses_of_references_that_are_too_long_are_refused(task: TranslationTask) -> None:
    part = replace(pairs.pairs([12]), targets=["a" * (MOST + 5)])
    with pytest.raises(InputError, match=rf"^the longest target has {MOST + 6} positions, but the model reads at most"):
        task.measure(part)


def test_data_that_the_positions_are_too_few_for_is_refused_before_training(task: TranslationTask) -> None:
    text = longest(task)
    assert len(task.batches(replace(pairs.pairs([12]), sources=[text]), seed=0)) == 1
    assert len(task.batches(replace(pairs.pairs([12]), targets=["a" * (MOST - 1)]), seed=0)) == 1
    source = replace(pairs.pairs([12]), sources=[text + "1"])
    target = replace(pairs.pairs([12]), targets=["a" * MOST])
    for what, part in (("source", source), ("target", target)):
        message = rf"^the longest {what} has {MOST + 1} positions, but the model reads at most {MOST}: choose "
        with pytest.raises(InputError, match=message):
            task.batches(part, seed=0)
        with pytest.raises(InputError, match=message):
            task.validator(part)
