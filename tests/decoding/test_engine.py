from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from sightline.core.errors import InputError
from sightline.decoding.beam import beam
from sightline.decoding.engine import DecodingConfig, decode, plan
from sightline.decoding.greedy import greedy
from sightline.decoding.sample import sample
from tests.decoding.toys import EOS, Tree

LENGTHS = random.Random(1).choices(range(30), k=40)
TREE = Tree(4, 5, tables=40, seed=6)


def decoded(config, **options):
    return decode(TREE.start, TREE.step, LENGTHS, config, bos=TREE.bos, eos=EOS, max_length=5, **options)


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_each_source_gets_what_it_gets_alone_in_order(method, batch_tokens):
    arguments = {"batch": 40, "bos": TREE.bos, "eos": EOS, "max_length": 5}
    if method == "greedy":
        config, expected = DecodingConfig(), greedy(TREE.step, TREE.start(), **arguments)
    elif method == "beam":
        config = DecodingConfig(beam=3, length_penalty=1.0)
        expected = [best for best, in beam(TREE.step, TREE.start(), **arguments, width=3, alpha=1.0)]  # fmt: skip
    else:
        options = {"temperature": 1.5, "top_k": 3, "top_p": 0.95, "min_p": 0.01, "repetition_penalty": 1.2, "seed": 4}
        config = DecodingConfig(sample=True, **options)
        expected = sample(TREE.step, TREE.start(), **arguments, **options)
    assert decoded(replace(config, batch_tokens=batch_tokens)) == expected


def test_a_beam_of_several_sources_takes_as_many_rows_where_the_steps_of_one_are_compiled():
    TREE.rows = []
    plain = decoded(DecodingConfig(beam=4))
    rows, TREE.rows = TREE.rows, []
    assert decoded(DecodingConfig(beam=4, compiled=True)) == plain
    assert TREE.rows == rows


def test_names_keep_a_source_in_its_random_stream():
    config = DecodingConfig(sample=True, seed=3)
    whole = decoded(config)
    second_half = decode(
        lambda rows: TREE.start([row + 20 for row in rows]), TREE.step, LENGTHS[20:], config,
        bos=TREE.bos, eos=EOS, max_length=5, names=range(20, 40),
    )  # fmt: skip
    assert second_half == whole[20:]


def test_each_source_keeps_its_own_limit():
    limits = [place % 5 + 1 for place in range(40)]
    arguments = {"bos": TREE.bos, "eos": EOS, "max_length": limits}
    result = decode(TREE.start, TREE.step, LENGTHS, DecodingConfig(batch_size=7), **arguments)
    assert result == greedy(TREE.step, TREE.start(), batch=40, **arguments)


def test_the_configs_limit_goes_before_the_callers():
    assert max(len(h.tokens) for h in decoded(DecodingConfig(max_length=2))) <= 2


def test_no_sources_no_hypotheses():
    assert decode(TREE.start, TREE.step, [], DecodingConfig(), bos=TREE.bos, eos=EOS, max_length=5) == []


@pytest.mark.parametrize("max_rows", [1, 7, 100])
@pytest.mark.parametrize("max_tokens", [1, 29, 100, 10_000])
def test_batches_hold_every_row_once_and_no_more_than_they_may(max_tokens, max_rows):
    batches = plan(LENGTHS, max_rows, max_tokens)
    assert max(map(len, batches)) <= max_rows
    assert sorted(row for batch in batches for row in batch) == list(range(len(LENGTHS)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(LENGTHS[row] for row in batch) <= max_tokens
    by_length = [LENGTHS[row] for batch in batches for row in batch]
    assert by_length == sorted(by_length, reverse=True)


@pytest.mark.parametrize(
    "wrong",
    [{"beam": 0}, {"beam": 2, "sample": True}, {"length_penalty": float("inf")},
     {"length_penalty": 1000.0}, {"length_penalty": -1000.0}, {"repetition_penalty": 1e-40},
     {"repetition_penalty": 1e40},
     {"temperature": -0.1}, {"top_k": 0}, {"top_p": 2.0}, {"min_p": -1.0}, {"repetition_penalty": -1.0},
     {"max_length": 0}, {"batch_tokens": 0}, {"batch_size": 0}],
    ids=str,
)  # fmt: skip
def test_a_wrong_option_is_the_users_error(wrong):
    with pytest.raises(InputError, match=re.escape(str(next(iter(wrong.values()))))):
        DecodingConfig(**wrong)


@pytest.mark.parametrize(
    ("unused", "message", "with_it"),
    [
        ({"draft_tokens": 3}, "draft_tokens: requires a draft, such as ngram", {"draft": "ngram"}),
        ({"draft_tokens": 8}, "draft_tokens: requires a draft, such as ngram", {"draft": "model"}),
        ({"length_penalty": 1.0}, "length_penalty: requires a beam of 2 or more", {"beam": 2}),
        ({"temperature": 0.5}, "temperature: requires sampling: set sample", {"sample": True}),
        ({"top_k": 5, "draft": "ngram"}, "top_k: requires sampling: set sample", {"sample": True}),
        ({"seed": 1, "beam": 3}, "seed: requires sampling: set sample", {"sample": True, "beam": 1}),
    ],
    ids=str,
)
def test_an_option_that_would_change_nothing_is_refused(unused, message, with_it):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        DecodingConfig(**unused)
    DecodingConfig(**{**unused, **with_it})
