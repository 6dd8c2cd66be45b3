"""Moved pictures: every one is the picture somewhere else, and every place comes up. Texts that lose words."""

from __future__ import annotations

import pytest
import torch

from sightline.tasks.classification.augment import shifted, without_words
from sightline.tasks.classification.config import TextConfig
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


def test_each_word_is_lost_with_the_same_probability_and_padding_never():
    tokens = torch.arange(10, 20).expand(4000, -1)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    mask[:, 7:] = False
    torch.manual_seed(0)
    changed = without_words(tokens, mask, 0.3, unknown=1)
    assert torch.equal(changed[:, 7:], tokens[:, 7:])
    gone = (changed != tokens)[:, :7]
    assert (changed[:, :7][gone] == 1).all()
    # Of 7 words all are drawn in .3^7 = .0002 of the texts, which then lose none.
    assert gone.float().mean(0).tolist() == pytest.approx([0.3] * 7, abs=4 * (0.3 * 0.7 / 4000) ** 0.5 + 0.0002)
    assert torch.corrcoef(gone.float().T).fill_diagonal_(0).abs().max() < 0.1


@pytest.mark.parametrize("masked", [False, True])
def test_a_text_of_which_nothing_would_be_left_remains_whole(masked: bool):
    tokens = torch.tensor([[5, 6, 0, 0]]).expand(2000, -1) if masked else torch.tensor([[5, 6]]).expand(2000, -1)
    torch.manual_seed(0)
    changed = without_words(tokens, tokens > 0 if masked else None, 0.9, unknown=1)[:, :2]
    assert not (changed == 1).all(1).any()
    whole = (changed == tokens[:, :2]).all(1).float().mean()
    assert float(whole) == pytest.approx(0.9**2 + 0.1**2, abs=0.03)


def test_no_share_changes_nothing():
    tokens = torch.tensor([[5, 6]])
    assert without_words(tokens, None, 0.0, unknown=1) is tokens


@pytest.mark.parametrize(("share", "losses"), [(0.5, 3), (None, 1)])  # by default words of so few kinds are not lost
def test_only_training_loses_words(share: float | None, losses: int):
    task = untrained("text", text=TextConfig(word_dropout=share))
    batch, _ = next(task.batches(data("text").train, seed=0).stream())
    for training in (True, False):
        task.model.train(training)
        seen = {float(task.loss(task.model, batch).nll) for _ in range(3)}
        assert len(seen) == (losses if training else 1)
