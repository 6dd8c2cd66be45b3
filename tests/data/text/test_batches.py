"""Batches of running text: every label once an epoch, documents apart, and any batch again after a stop."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.settings import keys_of
from sightline.data.batches import Cursor
from sightline.data.text import readers
from sightline.data.text.batches import Lanes, PackedRows, TextBatch
from sightline.data.text.corpus import load_text
from sightline.data.text.positions import stretches
from sightline.data.text.windows import batched, windows
from sightline.data.tokens.text import TextTokenizer
from sightline.tasks.language.config import LanguageRun
from tests.data.text.test_corpus import documents

BOS, EOS = TextTokenizer.BOS, TextTokenizer.EOS


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 4096)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents(120)))
    return load_text(path)


@pytest.fixture
def one_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\n".join(documents(120)).encode())
    return load_text(path)


def made(kind, part, **options):
    return kind(part, TextTokenizer(None), **{"length": 50, "rows": 4, "seed": 3, "group_bytes": 20_000, **options})


def epoch(batches, number: int = 0) -> list[TextBatch]:
    result = []
    for batch, following in batches.stream(Cursor(number, 0)):
        result.append(batch)
        if following.epoch > number:
            return result
    raise AssertionError


def real(batch: TextBatch) -> list[tuple[int, int, bool]]:
    """Token, label and start at each real position, row by row."""
    mask = torch.ones_like(batch.tokens, dtype=torch.bool) if batch.mask is None else batch.mask
    starts = torch.zeros_like(mask) if batch.starts is None else batch.starts
    return list(zip(batch.tokens[mask].tolist(), batch.labels[mask].tolist(), starts[mask].tolist(), strict=True))


@pytest.mark.parametrize("kind", [PackedRows, Lanes])
def test_every_label_comes_once_an_epoch(corpus, kind):
    expected = Counter()
    for text in corpus.train.texts():
        expected.update([*(TextTokenizer(None).encode(text).tolist()), EOS])
    for number in (0, 1):
        actual = epoch(made(kind, corpus.train), number)
        assert Counter(label for batch in actual for _, label, _ in real(batch)) == expected
        assert sum(batch.size for batch in actual) == expected.total()


@pytest.mark.parametrize("kind", [PackedRows, Lanes])
def test_what_is_read_is_what_came_before(corpus, kind):
    for batch in epoch(made(kind, corpus.train)):
        inside = batch.mask is None or batch.mask[:, 1:] & batch.mask[:, :-1]
        here, last = batch.tokens[:, 1:], batch.labels[:, :-1]
        starts = torch.zeros_like(here, dtype=torch.bool) if batch.starts is None else batch.starts[:, 1:]
        assert ((here == last) | starts)[inside if isinstance(inside, torch.Tensor) else ...].all()
        assert (here[starts] == BOS).all()
        assert ((last != EOS) | starts)[inside if isinstance(inside, torch.Tensor) else ...].all()


def test_packed_rows_have_a_start_wherever_a_document_begins(corpus):
    for batch in epoch(made(PackedRows, corpus.train)):
        for row, tokens in enumerate(batch.tokens):
            marked = set() if batch.starts is None else set(batch.starts[row].nonzero().flatten().tolist())
            assert {p for p in (tokens == BOS).nonzero().flatten().tolist() if p} == marked - {0}


@pytest.mark.parametrize("kind", [PackedRows, Lanes])
@pytest.mark.parametrize("place", [0, 1, 17, 60, 61, 300])
def test_a_stream_goes_on_from_any_cursor(corpus, kind, place):
    whole = list(islice(made(kind, corpus.train).stream(), place + 20))
    cursor = whole[place - 1][1] if place else Cursor()
    again = list(islice(made(kind, corpus.train).stream(cursor), 20))
    for (left, left_cursor), (right, right_cursor) in zip(whole[place:], again, strict=True):
        assert left_cursor == right_cursor
        assert left.rows == right.rows
        for a, b in zip(left[:4], right[:4], strict=True):
            assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize("kind", [PackedRows, Lanes])
def test_a_batch_is_bounded_by_a_key_that_exists_as_a_flag(corpus, kind):
    key, size = made(kind, corpus.train, length=50, rows=4).size_key
    assert (key, size) == ("batch_tokens", 200)
    assert key in keys_of(LanguageRun)


@pytest.mark.parametrize("kind", [PackedRows, Lanes])
def test_seed_and_epoch_decide_the_order(corpus, kind):
    def labels(number: int = 0, **options: int) -> list[list[int]]:
        return [batch.labels.tolist() for batch in epoch(made(kind, corpus.train, **options), number)]

    first = labels()
    assert labels() == first
    assert labels(seed=4) != first
    assert labels(1) != first


def test_lanes_go_on_where_they_ended(one_text):
    """Within a group, a lane's batches one after another are a stretch of the very text."""
    text = TextTokenizer(None).encode("".join(one_text.train.texts())).tolist()
    batches = made(Lanes, one_text.train, group_bytes=10**9)
    lanes = [torch.cat(rows) for rows in zip(*(batch.labels for batch in epoch(batches)), strict=True)]
    assert torch.cat(lanes)[: len(text)].tolist() == text
    firsts = epoch(batches)[0]
    assert firsts.starts is not None
    assert firsts.starts[:, 0].all()
    assert firsts.tokens[1:, 0].tolist() == [int(lane[-1]) for lane in lanes[:-1]]
    assert all(batch.starts is None for batch in epoch(batches)[1:])


def test_tokens_of_blocks_are_those_of_the_whole(one_text):
    tokenizer = TextTokenizer.train(one_text.train, "bpe", 400)
    whole = tokenizer.encode("".join(one_text.train.texts())).tolist()
    result = [part.labels for part in stretches(one_text.train.numbered(), tokenizer)]
    assert len(result) > 5
    assert np.concatenate(result).tolist() == whole


def test_a_cursor_of_other_data_is_refused(corpus):
    for cursor in (Cursor(0, 99 << 24), Cursor(0, 5000)):
        with pytest.raises(InputError, match="was the data changed"):
            next(made(PackedRows, corpus.train).stream(cursor))


@pytest.mark.parametrize("name", ["length", "rows", "group_bytes"])
def test_sizes_must_be_positive(corpus, name):
    with pytest.raises(InputError, match=f"{name}: must be at least 1, found 0"):
        made(PackedRows, corpus.train, **{name: 0})


@pytest.mark.parametrize(("length", "stride"), [(64, 64), (64, 16), (64, 1), (7, 3), (1, 1), (5000, 5000)])
def test_windows_score_each_label_once_with_the_context_that_is_there(corpus, length, stride):
    tokenizer = TextTokenizer(None)
    texts = list(islice(corpus.valid.texts(), 3))
    result = list(windows(stretches(islice(corpus.valid.numbered(), 3), tokenizer), length, stride))
    for document, text in enumerate(texts):
        labels = [*tokenizer.encode(text).tolist(), EOS]
        mine = [window for window in result if window.document == document]
        assert [label for window in mine for label in window.labels[-window.scored :].tolist()] == labels
        end = 0
        for i, window in enumerate(mine):
            end += window.scored
            assert window.labels.tolist() == labels[max(0, end - length) : end]
            assert window.tokens.tolist() == [BOS, *labels][max(0, end - length) : end]
            assert window.first == max(0, end - length)
            assert window.scored == (length if i == 0 else stride) or i == len(mine) - 1


def test_windows_of_a_long_text_do_not_see_where_blocks_end(one_text):
    tokenizer = TextTokenizer(None)
    text = "".join(one_text.valid.texts())
    result = list(windows(stretches(one_text.valid.numbered(), tokenizer), 100, 30))
    labels = tokenizer.encode(text).tolist()
    assert np.concatenate([window.labels[-window.scored :] for window in result]).tolist() == labels
    assert {len(window.labels) for window in result} <= {100}


def test_blocks_that_do_not_follow_each_other_are_documents_apart(one_text):
    result = list(stretches(one_text.train.numbered([0, 1, 3]), TextTokenizer(None)))
    assert [(stretch.document, stretch.first == 0, int(stretch.tokens[0]) == BOS) for stretch in result] == [
        (0, True, True), (0, False, False), (1, True, True)
    ]  # fmt: skip


def test_so_many_bytes_and_no_more(corpus):
    pieces = list(corpus.train.fragments(None, 1001))
    whole = "".join(corpus.train.texts()).encode()
    read = "".join(piece.text for piece in pieces).encode()
    assert whole.startswith(read)
    assert 997 < len(read) <= 1001
    assert not pieces[-1].ends


def test_batches_of_windows_hold_every_window(corpus):
    tokenizer = TextTokenizer(None)
    actual = list(windows(stretches(corpus.valid.numbered(), tokenizer), 64, 16))
    batches = list(batched(actual, 8))
    assert sum(int(batch.scored.sum()) for batch in batches) == sum(window.scored for window in actual)
    expected, got = Counter(), Counter()
    for window in actual:
        expected.update((window.document, label) for label in window.labels[-window.scored :].tolist())
    for batch in batches:
        for document, labels, scored in zip(batch.documents, batch.labels, batch.scored, strict=True):
            got.update((document, label) for label in labels[scored].tolist())
    assert got == expected


def test_a_stride_out_of_range():
    with pytest.raises(InputError, match="stride: must be between 1 and the length 64, found 65"):
        list(windows([], 64, 65))
