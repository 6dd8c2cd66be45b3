"""Moved pictures: every one is the picture somewhere else, and every place comes up."""

from __future__ import annotations

import torch

from sightline.tasks.classification.augment import shifted
from tests.tasks.classification.small import data, untrained


def test_a_picture_is_moved_as_a_whole_and_the_edges_are_ground():
    picture = torch.randint(1, 255, (1, 2, 5, 4), dtype=torch.uint8)
    torch.manual_seed(0)
    moved = shifted(picture.expand(400, -1, -1, -1), 2, ground=7)
    assert moved.dtype == torch.uint8
    padded = torch.nn.functional.pad(picture[0], (2, 2, 2, 2), value=7)
    places = {(y, x): padded[:, y : y + 5, x : x + 4] for y in range(5) for x in range(5)}
    seen = [next(place for place, expected in places.items() if torch.equal(one, expected)) for one in moved]
    assert set(seen) == set(places)


def test_nothing_moves_where_it_is_not_asked_for():
    picture = torch.randint(0, 255, (3, 1, 4, 4), dtype=torch.uint8)
    assert shifted(picture, 0) is picture


def test_only_training_moves_pictures():
    task = untrained("image", shift_pixels=2)
    batch, _ = next(task.batches(data("image").train, seed=0).stream())
    losses = {}
    for training in (True, False):
        task.model.train(training)
        losses[training] = {float(task.loss(task.model, batch).nll) for _ in range(3)}
    assert len(losses[False]) == 1
    assert len(losses[True]) == 3
