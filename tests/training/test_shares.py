from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.batches import START
from sightline.models.stateful import StatefulDecoder
from sightline.training import OptimConfig, train
from sightline.training.distributed import ALONE, Team, joined
from sightline.training.shared_step import make_stepper
from sightline.training.shares import SharedBatches, rows_of, shares
from sightline.training.step import Stepper
from tests.training import toy


class Several(NamedTuple):
    sources: tuple[NamedTuple, ...]
    labels: Tensor
    mask: Tensor | None
    rows: tuple[int, ...]


class Source(NamedTuple):
    values: Tensor
    mask: Tensor | None


def batch(rows: int) -> Several:
    values = torch.arange(rows * 6.0).view(rows, 3, 2)
    sources = (Source(values, None), Source(values[:, 0], values[:, 0] > 4))
    return Several(sources, torch.arange(rows), None, tuple(range(10, 10 + rows)))


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 4, 7])
def test_all_rows_are_dealt_once_whatever_the_number_of_processes(rows: int, pieces: int, size: int) -> None:
    whole = batch(rows)
    dealt = shares(whole, pieces, range(size), size)
    assert len({len(share.pieces) for share in dealt}) == 1  # all wait for each other the same number of times
    counting = sorted((piece for share in dealt for piece in share.pieces if piece.counts), key=lambda one: one.number)
    assert [row for piece in counting for row in piece.batch.rows] == list(whole.rows)
    assert torch.cat([piece.batch.labels for piece in counting]).equal(whole.labels)
    for place in (0, 1):
        assert torch.cat([piece.batch.sources[place].values for piece in counting]).equal(whole.sources[place].values)
    alone = {piece.number: piece.batch.rows for piece in shares(whole, pieces, [0], 1)[0].pieces if piece.counts}
    assert alone == {piece.number: piece.batch.rows for piece in counting}


def test_a_tensor_without_an_axis_of_rows_is_refused() -> None:
    with pytest.raises(InputError, match=r"a tensor of shape \(3,\) in a batch of 4 rows has no axis of rows"):
        rows_of(batch(4)._replace(labels=torch.zeros(3)), 0, 2, 4)


def test_shares_begin_at_any_cursor() -> None:
    whole = list(islice(SharedBatches(toy.batches(), ALONE, 3).stream(START), 9))
    share, following = next(SharedBatches(toy.batches(), ALONE, 3).stream(whole[6][1]))
    assert (share.rows, following) == (whole[7][0].rows, whole[7][1])


@pytest.mark.parametrize("pieces", [2, 7, 30])
def test_pieces_of_ragged_batches_have_the_gradient_of_the_whole(tmp_path: Path, pieces: int) -> None:
    """Of 30 pieces most have no row. The mean is over labels, so that rows with more of them weigh more."""
    losses: dict[Any, list[float]] = {}
    for number in (None, pieces):
        model = toy.Toy()
        model.dropout.p = 0.0
        config = toy.config("12steps", pieces=number, log_every=1)
        result = train(model, toy.objective, toy.batches(), config, tmp_path / str(number), validate=toy.validate)
        losses[number] = [record["loss"] for record in result.history if record["event"] == "train"]
    assert losses[pieces] == pytest.approx(losses[None], rel=1e-5)
    assert len(losses[None]) == 12


def test_seconds_need_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = Team(0, 2)
    for shared in ("from_first", "once_per_node"):
        monkeypatch.setattr(team, shared, lambda action: action())
    monkeypatch.setattr("sightline.training.loop.make_stepper", lambda *_: Stepper(*_[:2], OptimConfig(), *_[3:5]))
    with pytest.raises(InputError, match="--budget: what a step costs is measured in one process: write 60s as a"):
        train(toy.Toy(), toy.objective, toy.batches(), toy.config("60s"), tmp_path, team=team)


def test_a_state_that_is_carried_needs_whole_batches() -> None:
    model = StatefulDecoder.__new__(StatefulDecoder)
    with pytest.raises(InputError, match="--bptt: a state that is carried"):
        make_stepper(model, toy.objective, toy.config(pieces=2), torch.device("cpu"), "float32", ALONE)


def test_outside_torchrun_a_process_is_alone() -> None:
    with joined({}) as team:
        assert team is ALONE
    with joined({"WORLD_SIZE": "1", "RANK": "0"}) as team:
        assert team is ALONE
    with (
        pytest.raises(InputError, match="RANK: expected a whole number, found 'x': start several"),
        joined({"WORLD_SIZE": "2", "RANK": "x"}),
    ):
        pass
