"""Loss on repeats and by position, against slow loops, and of models whose losses are known by construction."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.data.text.corpus import load_text
from sightline.lab.context_loss import (
    KINDS,
    TextSample,
    chunked_nats,
    context_gap,
    context_gaps,
    context_loss,
    gram_hashes,
    gram_size,
    text_sample,
    token_kinds,
)
from sightline.models import LANGUAGE_MODELS
from sightline.tasks.language.config import LanguageConfig, TextTokenizerConfig
from sightline.tasks.language.task import LanguageTask

CONTEXT = 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Documents of two words of their own and two of all documents."""
    draw = random.Random(3)
    place = tmp_path_factory.mktemp("text") / "a.jsonl"
    texts = []
    shared = ["".join(draw.choices("abcdefgh", k=4)) for _ in range(6)]
    for _ in range(120):
        words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 5))) for _ in range(2)] + draw.sample(shared, 2)
        texts.append(" ".join(draw.choices(words, k=draw.randint(8, 20))))
    place.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return load_text(place)


def made(corpus, arch, seed=1, **settings):
    model = replace(LANGUAGE_MODELS[arch], d_model=16, layers=1, dropout=0.0)
    return LanguageTask.create(corpus, LanguageConfig(arch=arch, model=model, context=CONTEXT, **settings), seed=seed)


@pytest.fixture(scope="module")
def losses(corpus):
    task = made(corpus, "gru")
    return task, context_loss("runs/g", task, corpus.train, corpus.valid, most=24)


def slow_kinds(sample, n, training):
    """Sets of tuples, position by position."""
    known = {tuple(ids[i : i + n]) for ids in training for i in range(len(ids) - n + 1)}
    rows = []
    for tokens, labels, real in zip(sample.tokens.tolist(), sample.labels.tolist(), sample.real.tolist()):
        read, seen, row = [tokens[0]], set(), []
        for label, counts in zip(labels, real):
            read.append(label)
            gram = tuple(read[-n:]) if len(read) >= n else None
            if not counts:
                row.append(-1)
            elif gram in seen:
                row.append(KINDS.index("known repeat" if gram in known else "new repeat"))
            else:
                row.append(KINDS.index("rest"))
            if gram is not None:
                seen.add(gram)
        rows.append(row)
    return rows


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_kinds_of_tokens_are_those_of_a_slow_loop(corpus, n):
    task = made(corpus, "gru")
    sample = text_sample(corpus.train, task.tokenizer, 40, 30)
    tokenizer = task.tokenizer
    training = [[tokenizer.BOS, *tokenizer.encode(t).tolist(), tokenizer.EOS] for t in corpus.valid.texts()]
    kinds = token_kinds(sample, n, corpus.valid, tokenizer)
    assert kinds.tolist() == slow_kinds(sample, n, training)
    assert {int(kind) for kind in np.unique(kinds)} == {-1, 0, 1, 2}


def test_equal_ngrams_have_equal_hashes_and_others_do_not():
    ids = np.array([[a, b, c] for a in range(12) for b in range(12) for c in range(12)])
    assert len(np.unique(gram_hashes(ids, 3))) == 12**3
    assert gram_hashes(ids, 3).shape == (12**3, 1)
    assert gram_hashes(ids[:, :2], 3).shape == (12**3, 0)
    twice = gram_hashes(np.array([[5, 6, 7, 5, 6]]), 2)[0]
    assert twice[0] == twice[3]
    assert len(set(twice.tolist())) == 3


def test_bigrams_where_tokens_are_long_and_five_grams_of_bytes(corpus):
    task = made(corpus, "gru")
    sample = text_sample(corpus.train, task.tokenizer, 40, 4)
    assert gram_size(sample, task.tokenizer.bytes_of) == 5
    assert gram_size(sample, np.full(task.tokenizer.size, 4)) == 2
    assert gram_size(sample, np.full(task.tokenizer.size, 9)) == 2
    assert gram_size(sample, np.full(task.tokenizer.size, 2)) == 3


@pytest.mark.parametrize("chunk", [1, 7, None])
def test_reading_in_chunks_gives_the_loss_of_the_whole(corpus, chunk):
    task = made(corpus, "transformer")
    sample = text_sample(corpus.train, task.tokenizer, 48, 6)
    nats = chunked_nats(task.decoder, sample, "cpu", chunk)
    with torch.no_grad():
        task.decoder.eval()
        logits, _ = task.decoder(torch.from_numpy(sample.tokens), None)
        whole = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(sample.labels).flatten(), reduction="none")
    expected = np.where(sample.real, whole.view(sample.real.shape).numpy(), 0.0)
    np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-5)


def test_what_the_kinds_add_sums_to_the_loss_of_all(losses):
    result, nats, kinds = vars(losses[1]).values()
    assert sum(one.adds for one in result.classes) == pytest.approx(result.loss.mean, rel=1e-12)
    assert sum(one.tokens for one in result.classes) == (kinds >= 0).sum()
    assert all(one.tokens for one in result.classes)
    assert result.loss.mean == pytest.approx(nats[kinds >= 0].mean(), rel=1e-12)
    assert (result.n, result.context, result.sequences) == (5, CONTEXT, 24)
    for one in (result.loss, *(kind.loss for kind in result.classes)):
        assert one.low < one.mean < one.high


def test_positions_beyond_the_context_are_read_and_add_up(losses):
    _, found = losses
    band, counted = found.result.by_position, (found.nats != 0).sum(0)
    assert band.at[-1] == found.nats.shape[1] > CONTEXT
    sums, start = 0.0, 0
    for end, centre in zip(band.at, band.centre):
        sums += centre * counted[start : int(end)].sum()
        start = int(end)
    assert sums == pytest.approx(found.nats.sum(), rel=1e-9)


def test_the_gap_of_a_model_that_knows_repeats_alone_is_due_to_them(losses):
    _, found = losses
    better = replace(found, nats=np.where(found.kinds == 0, found.nats - 1.0, found.nats))
    better = replace(better, result=replace(better.result, name="runs/b"))
    gap = context_gap(found, better)
    assert (gap.better, gap.worse) == ("runs/b", "runs/g")
    share = (found.kinds == 0).sum() / (found.kinds >= 0).sum()
    assert gap.gap.mean == pytest.approx(share)
    assert [gap.shares[kind].mean for kind in KINDS] == pytest.approx([1.0, 0.0, 0.0])


def test_the_shares_of_a_gap_sum_to_one_and_there_are_none_without_a_gap(losses):
    _, found = losses
    draw = np.random.default_rng(0)
    worse = replace(found, nats=found.nats + draw.exponential(1.0, found.nats.shape))
    gap = context_gap(found, worse)
    assert sum(share.mean for share in gap.shares.values()) == pytest.approx(1.0)
    assert all(share.low < share.mean < share.high for share in gap.shares.values())
    assert context_gap(found, found).shares == {}


def test_models_are_compared_on_the_same_tokens_alone(corpus, losses):
    task, found = losses
    other = context_loss("runs/o", made(corpus, "lstm", seed=2), corpus.train, corpus.valid, most=24)
    fewer = context_loss("runs/f", task, corpus.train, corpus.valid, most=12)
    (gap,) = context_gaps([found, other, fewer])
    assert {gap.better, gap.worse} == {"runs/g", "runs/o"}


def test_subwords_have_bigrams(corpus):
    task = made(corpus, "gru", tokenizer=TextTokenizerConfig(kind="bpe", size=300))
    result = context_loss("runs/g", task, corpus.train, corpus.valid, most=6).result
    assert result.n in (2, 3)


def test_a_part_without_text_is_refused(corpus):
    task = made(corpus, "gru")
    with pytest.raises(InputError, match="runs/x: no text in the train part"):
        context_loss("runs/x", task, corpus.train.select([]), corpus.valid)


def test_padding_does_not_change_what_was_read():
    tokens = np.array([[1, 5, 0], [1, 6, 7]])
    real = np.array([[True, True, False], [True, True, True]])
    one = TextSample(tokens, tokens, real)
    padded = np.where(real, tokens, 9)
    assert TextSample(padded, padded, real).digest == one.digest
    assert TextSample(tokens + 1, tokens, real).digest != one.digest
