"""Batches of labelled items: each once, the same from any cursor, padded with a mask that tells."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.batches import Cursor
from sightline.tasks.classification.batches import LabelledBatches


def batches(count: int = 53, **options) -> LabelledBatches:
    random = np.random.default_rng(0)
    rows = [random.normal(size=(random.integers(1, 40), 2)).astype(np.float32) for _ in range(count)]
    return LabelledBatches(rows, np.arange(count) % 3, **{"batch_size": 8, "seed": 5, **options})


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_holds_every_item_once_as_it_was(shuffle):
    of = batches(shuffle=shuffle)
    seen = []
    for batch in of.epoch(3):
        assert batch.tokens == len(batch.rows) <= 8
        mask = torch.ones(batch.source.shape[:2], dtype=torch.bool) if batch.source_mask is None else batch.source_mask
        for row, source, real, label in zip(batch.rows, batch.source, mask, batch.labels, strict=True):
            assert torch.equal(source[real], torch.from_numpy(of.sources[row]))
            assert not source[~real].any()
            assert label == row % 3
        seen += batch.rows
    assert sorted(seen) == list(range(53))


def test_a_stream_goes_on_from_any_cursor():
    whole = [(batch.rows, after) for batch, after in islice(batches().stream(), 20)]
    for place in (0, 3, 6, 13):
        cursor = whole[place - 1][1] if place else Cursor()
        assert [(b.rows, after) for b, after in islice(batches().stream(cursor), 20 - place)] == whole[place:]
    assert len({rows for rows, _ in whole}) == 20
    assert {cursor.epoch for _, cursor in whole} == {0, 1, 2}


def test_the_order_is_that_of_the_seed():
    first, same, other = ([b.rows for b in batches(seed=seed).epoch(0)] for seed in (1, 1, 2))
    assert first == same != other


def test_batches_hold_items_of_similar_length():
    wasted = []
    for shuffle in (True, False):
        lengths = [[len(batches().sources[row]) for row in batch.rows] for batch in batches(shuffle=shuffle).epoch(0)]
        wasted.append(sum(max(of) * len(of) - sum(of) for of in lengths) / sum(map(sum, lengths)))
    assert wasted[0] < 0.3
    assert wasted[1] <= wasted[0]


def test_rows_of_one_length_need_no_mask():
    def padded(*sources: np.ndarray):
        return next(LabelledBatches(sources, np.zeros(2, int), batch_size=2, shuffle=False).epoch())

    batch = padded(np.ones(3), np.zeros(3))
    assert batch.source_mask is None
    assert batch.source.shape == (2, 3)
    batch = padded(np.ones((0, 4)), np.ones((2, 4)))
    assert batch.source.tolist() == [[[0.0] * 4] * 2, [[1.0] * 4] * 2]
    assert batch.source_mask is not None
    assert batch.source_mask.tolist() == [[False, False], [True, True]]


def test_a_cursor_of_other_data_is_refused():
    with pytest.raises(InputError, match="epoch 0 has no batch 700, only 7: was the data changed"):
        next(batches().stream(Cursor(0, 700)))
    with pytest.raises(InputError, match="no items"):
        LabelledBatches([], np.zeros(0, int), batch_size=8)
