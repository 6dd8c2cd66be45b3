"""Laws of the batches: every example once per epoch, order from the seed alone, resumable anywhere."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.core.spelling import as_arguments, as_flags
from sightline.data.batches import Batch, Cursor, PairBatches, pad
from sightline.data.tokens.tokenizer import Tokenizer

IDS = st.lists(st.integers(4, 99), max_size=12)
EXAMPLES = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=40)


def examples(count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Lengths from 0 to 30, contents that tell examples apart."""
    sources = [[4 + i % 7] * (i * i % 31) for i in range(count)]
    targets = [[4 + i, 4 + i % 5][: i % 3] + [9] * (i * 7 % 17) for i in range(count)]
    return sources, targets


def same(left: Batch, right: Batch) -> bool:
    return left.rows == right.rows and all(torch.equal(a, b) for a, b in zip(left[:4], right[:4], strict=True))


@given(pairs=EXAMPLES, max_tokens=st.integers(14, 100), shuffle=st.booleans(), epoch=st.integers(0, 3))
def test_an_epoch_holds_every_example_once_and_unchanged(
    pairs: list[tuple[list[int], list[int]]], max_tokens: int, shuffle: bool, epoch: int
) -> None:
    sources, targets = map(list, zip(*pairs, strict=True))
    batches = PairBatches(sources, targets, max_tokens=max_tokens, seed=1, shuffle=shuffle)
    seen: Counter[int] = Counter()
    for batch in batches.epoch(epoch):
        seen.update(batch.rows)
        count = len(batch.rows)
        assert count * max(batch.source.shape[1], batch.target.shape[1]) <= max_tokens
        for i, row in enumerate(batch.rows):
            assert batch.source[i][batch.source_mask[i]].tolist() == sources[row]
            assert batch.target[i][batch.target_mask[i]].tolist() == [Tokenizer.BOS, *targets[row], Tokenizer.EOS]
        for ids, mask in ((batch.source, batch.source_mask), (batch.target, batch.target_mask)):
            assert ids.dtype == torch.long
            assert mask.dtype == torch.bool
            assert (ids[~mask] == Tokenizer.PAD).all()
            assert not (mask[:, 1:] & ~mask[:, :-1]).any()  # right-padded
            assert ids.shape[1] == int(mask.sum(1).max())  # no column of padding alone
    assert seen == Counter(range(len(pairs)))
    assert batches.examples == len(pairs)
    assert batches.tokens == sum(batch.tokens for batch in batches.epoch(epoch)) == sum(len(t) + 1 for t in targets)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_stream_resumes_at_every_cursor(shuffle: bool) -> None:
    def fresh() -> PairBatches:
        return PairBatches(*examples(60), max_tokens=100, seed=3, shuffle=shuffle)

    total = 3 * len(fresh()) + 2
    whole = list(itertools.islice(fresh().stream(Cursor()), total))
    cursors = [Cursor(), *(cursor for _, cursor in whole)]
    assert len(set(cursors)) == total + 1
    for start in range(total):
        rest = list(itertools.islice(fresh().stream(cursors[start]), total - start))
        assert all(same(a, b) and c == d for (a, c), (b, d) in zip(rest, whole[start:], strict=True))


def test_a_stream_is_its_epochs() -> None:
    batches = PairBatches(*examples(60), max_tokens=100, seed=3)
    in_order = [batch for epoch in range(3) for batch in batches.epoch(epoch)]
    streamed = [batch for batch, _ in itertools.islice(batches.stream(), len(in_order))]
    assert all(map(same, in_order, streamed))


def test_two_streams_of_one_object_do_not_disturb_each_other() -> None:
    batches = PairBatches(*examples(60), max_tokens=100, seed=3)
    alone = [batch.rows for batch, _ in itertools.islice(batches.stream(), 30)]
    one, other = batches.stream(), batches.stream(Cursor(1, 0))
    interleaved = []
    for _ in range(30):
        interleaved.append(next(one)[0].rows)
        next(other)
    assert interleaved == alone


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def rows(seed: int, epoch: int) -> list[tuple[int, ...]]:
        torch.manual_seed(epoch)  # must not matter
        return [batch.rows for batch in PairBatches(*examples(60), max_tokens=100, seed=seed).epoch(epoch)]

    orders = {(seed, epoch): rows(seed, epoch) for seed in range(2) for epoch in range(2)}
    assert len(set(map(str, orders.values()))) == 4
    assert all(rows(*key) == order for key, order in orders.items())
    # Not only the order of the same batches: who shares a batch with whom changes too.
    assert set(map(frozenset, orders[0, 0])) != set(map(frozenset, orders[0, 1]))


def test_without_shuffling_every_epoch_is_the_same() -> None:
    batches = PairBatches(*examples(60), max_tokens=100, seed=3, shuffle=False)
    assert all(map(same, batches.epoch(0), batches.epoch(5)))


def test_buckets_keep_padding_small() -> None:
    lengths = [1 + i * 37 % 97 for i in range(3000)]
    ids = [[5] * length for length in lengths]
    batches = list(PairBatches(ids, [s[2:] for s in ids], max_tokens=2000, seed=0).epoch())
    padded = sum(batch.source.numel() for batch in batches)
    assert sum(lengths) / padded > 0.85
    # ... and batches are filled: as many padded tokens as allowed, up to one example.
    full = [batch.source.numel() + batch.source.shape[1] > 2000 for batch in batches]
    assert sum(full) > 0.8 * len(full)


def test_examples_that_are_too_long() -> None:
    sources, targets = [[5] * 3, [6] * 9, [7]], [[5], [6], [7] * 9]
    with pytest.raises(InputError, match="example 2 has 9 tokens, more than max_length 8"):
        PairBatches(sources, targets, max_tokens=99, seed=0, max_length=8)
    skip = PairBatches(sources, targets, max_tokens=99, seed=0, max_length=8, too_long="skip")
    assert [batch.rows for batch in skip.epoch(0)] == [(0,)]
    assert (skip.skipped, skip.truncated) == (2, 0)
    cut = PairBatches(sources, targets, max_tokens=99, seed=0, max_length=8, too_long="truncate", shuffle=False)
    (batch,) = cut.epoch(0)
    assert (cut.skipped, cut.truncated) == (0, 2)
    assert batch.source.shape[1] == 8
    assert batch.target[batch.rows.index(2)].tolist() == [Tokenizer.BOS, *[7] * 6, Tokenizer.EOS]
    with pytest.raises(InputError) as refused:
        PairBatches(sources, targets, max_tokens=10, seed=0)
    begin = "example 3 has 11 tokens, more than batch_tokens 10: set "
    assert as_flags(str(refused.value)) == (
        f"{begin}--batch-tokens=11, or leave out such pairs with --max-length=10 and --too-long=skip"
    )
    assert as_arguments(str(refused.value)) == (
        f'{begin}batch_tokens=11, or leave out such pairs with max_length=10 and too_long="skip"'
    )
    assert PairBatches(sources, targets, max_tokens=11, seed=0).examples == 3  # the message is right
    assert PairBatches(sources, targets, max_tokens=10, seed=0, max_length=10, too_long="skip").examples == 2


def test_what_makes_no_batches_is_refused() -> None:
    with pytest.raises(InputError, match="no examples"):
        PairBatches([], [], max_tokens=10, seed=0)
    with pytest.raises(InputError, match="no examples"):
        PairBatches([[5] * 9], [[5]], max_tokens=10, seed=0, max_length=5, too_long="skip")
    with pytest.raises(InputError, match="2 sources but 1 targets"):
        PairBatches([[5], [6]], [[5]], max_tokens=10, seed=0)
    with pytest.raises(InputError, match="max_length must leave room"):
        PairBatches([[5]], [[5]], max_tokens=10, seed=0, max_length=2)
    with pytest.raises(InputError, match="epoch 0 has no batch 7, only 1"):
        next(PairBatches([[5]], [[5]], max_tokens=10, seed=0).stream(Cursor(0, 7)))


def test_sources_may_be_arrays() -> None:
    """Of which each position is a row of numbers: every item comes once, padded with zeros."""
    sources = [np.arange(1, 1 + 3 * count, dtype=np.int16).reshape(count, 3) for count in (2, 0, 5, 1)]
    batches = PairBatches(sources, [[7], [8], [9], [6]], max_tokens=12, seed=0)
    items = {}
    for batch in batches.epoch():
        assert batch.source.shape[2] == 3
        assert not batch.source[~batch.source_mask].any()
        for row, source, mask in zip(batch.rows, batch.source, batch.source_mask, strict=True):
            items[row] = source[mask].numpy()
    assert items.keys() == {0, 1, 2, 3}
    assert all(np.array_equal(items[row], source) for row, source in enumerate(sources))


def test_sides_are_padded() -> None:
    (batch,) = PairBatches([[5, 6], []], [[7], []], max_tokens=9, seed=0, shuffle=False)
    batch = batch._replace(**{side: getattr(batch, side).flip(0) for side in batch._fields[:4]}, rows=batch.rows[::-1])
    assert batch.source.tolist() == [[5, 6], [0, 0]]
    assert batch.source_mask.tolist() == [[True, True], [False, False]]
    assert batch.target.tolist() == [[1, 7, 2], [1, 2, 0]]
    assert (batch.rows, batch.tokens) == ((0, 1), 3)
    assert batch.to("cpu").rows == (0, 1)
    ids, mask = pad([[], []])
    assert ids.shape == mask.shape == (2, 0)
    ids, mask = pad([])
    assert ids.shape == mask.shape == (0, 0)
