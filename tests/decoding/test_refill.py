"""Sources that enter when others have ended get what they get without, whatever the mechanism and the order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.decoding.engine import DecodingConfig, Speculation, decode
from sightline.models.reading_code import read_source
from sightline.tasks.texts_out.writer import begin
from tests.decoding.models import NAMES, check_same, continued, language_model, prompts
from tests.decoding.toys import EOS, Tree
from tests.tasks.translation.small import untrained
from tests.unchecked import unchecked

METHODS = {
    "greedy": DecodingConfig(batch_size=5),
    "sample": DecodingConfig(batch_size=5, sample=True, seed=3, top_k=6, repetition_penalty=1.3),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_refill_changes_nothing_in_any_order(name, method):
    model, config = language_model(name), METHODS[method]
    texts, limits = prompts(13), [1 + 7 * place % 16 for place in range(13)]
    plain_calls: list[int] = []
    calls: list[int] = []
    plain = decode_with_limits(model, texts, config, limits, plain_calls)
    assert len({len(one.tokens) for one in plain}) > 4
    refilled = replace(config, refill=True)
    check_same(decode_with_limits(model, texts, refilled, limits, calls), plain)
    assert max(calls) <= 5
    assert len(calls) < len(plain_calls)
    order = torch.randperm(13, generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = decode_with_limits(
        model, [texts[row] for row in order], refilled, [limits[row] for row in order], names=order
    )
    check_same(shuffled, [plain[row] for row in order])


def decode_with_limits(model, texts, config, limits, calls=None, **options):
    return continued(model, texts, config, calls, max_length=limits, **options)


def test_a_watched_row_ends_where_it_is_told_and_every_token_is_heard_once():
    model, texts = language_model("softmax"), prompts(11, seed=2)
    heard: dict[int, list[int]] = {row: [] for row in range(11)}

    def watch(new):
        for row, token in new:
            heard[row].append(token)
        return [row for row, _ in new if row % 3 == 0 and len(heard[row]) == 2]

    result = continued(model, texts, DecodingConfig(batch_size=4, refill=True), watch=watch)
    assert [tuple(tokens) for tokens in heard.values()] == [one.tokens for one in result]
    whole = continued(model, texts, DecodingConfig(batch_size=4))
    assert [one.tokens for one in result] == [
        one.tokens[:2] if row % 3 == 0 else one.tokens for row, one in enumerate(whole)
    ]


@pytest.mark.parametrize("arch", ["transformer", "bahdanau", "gru"])
def test_sources_with_memories_of_other_lengths_enter_and_are_drafted_for(arch):
    translator = untrained(arch, seed=2).trained
    model = translator.model.double().eval()
    reading, device = partial(read_source, model), torch.device("cpu")
    sources = translator.sources_of(translator.part_of(["7", "907", "12 14", "5 5 5 5", "1", "88 3", "6 6 6", "4 20"]))
    arguments = {"bos": 1, "eos": 2, "max_length": [1 + 7 * place % 12 for place in range(8)], "banned": (0, 1)}

    def decoded(config):
        with unchecked(), torch.no_grad():
            return decode(
                lambda rows: begin(reading, device, sources, rows), model.step, sources.positions, config, **arguments,
                speculation=Speculation(model.decode),
            )  # fmt: skip

    for changes in ({}, {"sample": True, "seed": 1}):
        config = DecodingConfig(batch_size=3, **changes)
        plain = decoded(config)
        assert len({len(one.tokens) for one in plain}) > 4
        check_same(decoded(replace(config, refill=True)), plain)
        check_same(decoded(replace(config, draft="ngram")), plain)


class Fed(NamedTuple):
    """How many tokens a row has read, and how many it may."""

    count: Tensor  # (B,)
    most: Tensor  # (B,)


def test_no_row_reads_more_tokens_than_its_limit():
    """A model may have no position for more."""
    limits = [1 + 5 * place % 9 for place in range(30)]

    def step(tokens, state):
        assert bool((state.count < state.most).all())
        return torch.tensor([[-9.0, 1.0, 0.0]]).expand(len(tokens), -1), Fed(state.count + 1, state.most)

    def begin(rows):
        return Fed(torch.zeros(len(rows), dtype=torch.long), torch.tensor([limits[row] for row in rows]))

    config = DecodingConfig(batch_size=6, refill=True)
    result = decode(begin, step, [1] * 30, config, bos=2, eos=EOS, max_length=limits)
    assert [len(one.tokens) for one in result] == limits


def test_batches_keep_to_their_bounds_while_short_sources_follow_long_ones():
    lengths = [9, 1, 1, 4, 2, 2, 1, 3, 1, 1, 6, 1, 1, 1, 2, 1, 1, 1, 1, 1]
    tree = Tree(4, 5, tables=20, seed=6)
    running: list[tuple[int, ...]] = []

    def step(tokens, state):
        running.append(tuple(state.table.tolist()))
        return tree.step(tokens, state)

    common = {"bos": tree.bos, "eos": EOS, "max_length": 5}
    config = DecodingConfig(batch_tokens=12, refill=True)
    refilled = decode(tree.start, step, lengths, config, **common)
    assert max(len(rows) * max(lengths[row] for row in rows) for rows in running) <= 12
    assert max(map(len, running)) >= 6  # when the long ones have left, more fit
    assert refilled == decode(tree.start, tree.step, lengths, replace(config, refill=False), **common)


@pytest.mark.parametrize("wrong", [{"refill": True, "beam": 2}, {"refill": True, "draft": "ngram"}], ids=str)
def test_what_refill_excludes(wrong):
    with pytest.raises(InputError, match=r"beam|exclusive"):
        DecodingConfig(**wrong)


def test_no_sources_no_hypotheses():
    tree = Tree(3, 3)
    assert decode(tree.start, tree.step, [], DecodingConfig(refill=True), bos=3, eos=EOS, max_length=2) == []
