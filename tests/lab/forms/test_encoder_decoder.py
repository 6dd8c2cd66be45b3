"""Encoder-decoders under measurement, beside complete Jacobians and losses that are computed item by item."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.lab.forms import RUN_FORMS, Sampled, TrainedRun, run_form
from sightline.lab.forms.encoder_decoder import Item, _item_reach
from sightline.lab.forms.written_losses import by_length, by_position, cut_target_sums, token_nats
from sightline.lab.trained_reach import initial_reach, reach_of
from sightline.models import ARCHITECTURES, FORMS
from sightline.tasks.texts_out.costs import state_bytes
from tests.tasks.media import small as media
from tests.tasks.translation import small

ALL = Sampled(labels=10_000, sequences=6)


class Given(nn.Module):
    """In the place of an embedding: vectors that are given."""

    def __init__(self, vectors, *, masked=False):
        super().__init__()
        self.vectors, self.masked = vectors, masked

    def forward(self, _inputs, mask=None):
        return (self.vectors, mask) if self.masked else self.vectors


def complete_jacobians(model, source, target):
    """∂ logits (T, V) by the vectors of the source (M, D) and of the target (T, D)."""
    reads, writes = model.encoder.front_end, model.decoder.embedding
    with torch.no_grad():
        x, y = reads(source, None)[0], writes(target)

    def logits(x, y):
        model.encoder.front_end, model.decoder.embedding = Given(x, masked=True), Given(y)
        try:
            return model(source, None, target)[0]
        finally:
            model.encoder.front_end, model.decoder.embedding = reads, writes

    by_x, by_y = torch.func.jacrev(logits, argnums=(0, 1))(x, y)
    return by_x[:, :, 0].detach(), by_y[:, :, 0].detach()  # (T, V, M, D), (T, V, T, D)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["lstm", "gru", "bahdanau", "luong", "transformer"])
def test_gradients_are_those_of_the_complete_jacobian(arch):
    torch.manual_seed(2)
    model = ARCHITECTURES[arch].resized(8).build(13, 7).double().eval()
    source, target = torch.randint(4, 13, (1, 9)), torch.randint(4, 7, (1, 6))
    item = Item(source, None, target)
    found = _item_reach(model, item, 5, ([1, 2, 4], [1, 2, 4]), torch.Generator().manual_seed(0))
    by_source, by_target = complete_jacobians(model, source, target[:, :5])
    expected = by_source.square().sum((0, 1, 3)).sqrt() / math.sqrt(5)
    np.testing.assert_allclose(found.source.flip(0).numpy(), expected.numpy(), rtol=1e-9)
    expected = by_target[-1].square().sum((0, 2)).sqrt()
    np.testing.assert_allclose(found.target.flip(0).numpy(), expected.numpy(), rtol=1e-9)
    assert (found.read is None) == (arch == "transformer")
    assert found.written is not None


@pytest.fixture(scope="module", params=["bahdanau", "lstm"])
def task(request):
    built = small.untrained(request.param)
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.mul_(3.0)  # so that the source and the past matter
    built.model.eval()
    return built


def rows_of(task, part):
    """Of each pair its source (1, M) and target (1, T + 1)."""
    for batch in task.in_order(part):
        lengths = zip(batch.source_mask.sum(1).tolist(), batch.target_mask.sum(1).tolist(), strict=True)
        for row, (read, written) in enumerate(lengths):
            yield batch.source[row : row + 1, :read], batch.target[row : row + 1, :written]


@torch.no_grad()
def nats(logits, labels):
    return nn.functional.cross_entropy(logits.double(), labels, reduction="none")


@pytest.mark.slow
def test_the_loss_with_a_cut_source_is_that_of_the_cut_items(task):
    part = task.spaced(small.corpus().test, 20)
    source, _ = reach_of(run_form(TrainedRun("r", task, part)), ALL)
    assert (source.over, source.loss_unit) == ("source", "nats/token")
    for k, loss in zip(source.used.at, source.used.centre, strict=True):
        each = [nats(task.model(x[:, -int(k) :], None, y[:, :-1])[0], y[0, 1:]) for x, y in rows_of(task, part)]
        assert loss == pytest.approx(torch.cat(each).mean().item(), rel=1e-5)
    assert source.used.centre[-1] == pytest.approx(task.measure(part).metrics["loss"], rel=1e-5)
    assert source.used.centre[0] != pytest.approx(source.used.centre[-1], rel=1e-4)


def test_the_loss_with_a_cut_target_is_that_of_the_last_tokens_read_one_by_one(task):
    part = task.spaced(small.corpus().test, 12)
    batches = list(task.in_order(part))
    reads = [1, 2, 3, 9]
    sums, counts = cut_target_sums(task.model, batches, [batch.target_mask[:, 1:] for batch in batches], reads)
    for column, k in enumerate(reads):
        total = []
        for x, y in rows_of(task, part):
            memory = task.model.encode(x)
            for end in range(y.shape[1] - 1):
                state = task.model.initial_state(memory)
                for token in y[0, max(0, end + 1 - k) : end + 1]:
                    logits, state = task.model.step(token[None], state)
                total.append(nats(logits, y[0, end + 1 : end + 2]).item())
        assert sums[:, column].sum() == pytest.approx(sum(total), rel=1e-5)
        assert counts[:, column].sum() == len(total)
    assert np.abs(sums[:, 0] - sums[:, -1]).max() > 0.05


def test_the_past_is_the_loss_by_position_and_by_length_and_the_state(task):
    part = small.corpus().test
    past = run_form(TrainedRun("r", task, part)).past(10_000)
    by_place, lengths = {}, {}
    for x, y in rows_of(task, part):
        for place, loss in enumerate(nats(task.model(x, None, y[:, :-1])[0], y[0, 1:]).tolist(), 1):
            by_place.setdefault(place, []).append(loss)
            lengths.setdefault(x.shape[1], []).append(loss)
    found = {row.along: row for row in past.losses}
    placed = found["target position"]
    assert placed.items == len(part)
    np.testing.assert_allclose(placed.loss.centre, [np.mean(by_place[int(at)]) for at in placed.loss.at], rtol=1e-5)
    assert placed.loss.low[0] < placed.loss.centre[0] < placed.loss.high[0]
    long = found.get("source length")
    if long is not None:
        np.testing.assert_allclose(long.loss.centre, [np.mean(lengths[int(at)]) for at in long.loss.at], rtol=1e-5)
    for state in past.states:
        row = next(
            row
            for row, (x, y) in enumerate(zip(part.sources, part.targets, strict=True))
            if len(task.trained.reader.encode_batch([x])[0]) == state.source
            and len(task.tokenizers.target.encode(y)) + 1 == state.target
        )
        target = task.tokenizers.target.encode(part.targets[row])
        assert state.state_bytes == state_bytes(task.trained, task.trained.sources_of(part), row, target)


def test_losses_of_hidden_places_count_nowhere():
    losses, real = np.array([[1.0, 3.0, 0.0], [2.0, 5.0, 7.0]]), np.array([[1, 1, 0], [1, 1, 1]], dtype=bool)
    band = by_position(losses, real)
    assert (band.at, band.centre) == ([1.0, 2.0, 3.0], [1.5, 4.0, 7.0])
    band = by_length(losses, real, np.array([4, 9]))
    assert (band.at, band.centre) == ([4.0, 9.0], [2.0, 14 / 3])


def test_items_keep_their_order_in_batches_of_equal_length():
    task = small.untrained("gru")
    part = small.corpus().test
    task.model.eval()
    losses, real, sources = token_nats(task.model, list(task.in_order(part)))
    lengths = [len(ids) for ids in task.trained.reader.encode_batch(part.sources)]
    assert sources.tolist() == lengths
    assert real.sum(1).tolist() == [len(ids) + 1 for ids in task.tokenizers.target.encode_batch(part.targets)]
    assert losses[~real].sum() == 0


@pytest.mark.slow
def test_pictures_have_no_distance_and_the_rest_is_measured(tmp_path):
    run = media.run("captioning", media.quarters(tmp_path, 40), "transformer")
    kind = media.KINDS["captioning"]
    data = kind.load_data(run)
    lacks = []
    form = run_form(TrainedRun("c", kind.build(data, run), data.test), lambda *gap: lacks.append(gap))
    (reach,) = reach_of(form, Sampled(32, 6))
    assert (reach.over, reach.used is None, reach.state is None) == ("target", False, False)
    (began,) = initial_reach(form, Sampled(32, 6))
    assert (began.input, began.before, began.used) == (reach.input, "c", None)
    assert ("source by distance", "pictures, and several sources together, have no order of positions") in lacks
    past = form.past(20)
    assert ("loss by source length", "all sources have 4 positions") in lacks
    assert {row.along for row in past.losses} == {"target position"}
    assert [one.along for one in form.mechanisms()] == ["all", "source", "target"]


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["lstm", "transformer"])
def test_padding_of_sounds_has_no_distance(tmp_path, arch):
    """The frames of a sound are padded to a length that many share: the last real one is at distance 0."""
    run = media.run("transcription", media.tones(tmp_path, 40), arch)
    kind = media.KINDS["transcription"]
    data = kind.load_data(run)
    form = run_form(TrainedRun("t", kind.build(data, run), data.test))
    source, _ = reach_of(form, Sampled(32, 6))
    assert min(source.input.centre) > 0
    assert source.used.at[-1] == max(form.task.trained.sources_of(data.test).positions)
    states = form.past(20).states
    assert {state.source for state in states} <= set(form.task.trained.sources_of(data.test).positions)


def test_every_form_of_a_model_is_measured():
    assert set(RUN_FORMS) == set(FORMS)
    task = small.untrained("gru")
    task.form = "graph"
    with pytest.raises(InputError, match="r: models of the form 'graph' are not measured"):
        run_form(TrainedRun("r", task, None))
