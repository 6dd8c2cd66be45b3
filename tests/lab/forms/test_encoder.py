"""Classifiers under measurement: the gain from state to state of recurrences in one direction and in both."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.lab.forms import Sampled, TrainedRun, run_form
from sightline.lab.forms.states import reading_reach
from sightline.lab.reach import state_reach
from sightline.lab.trained_reach import reach_of
from sightline.mixers import MIXERS
from sightline.models.stack import AsEncoder, EncoderStack
from tests.lab.test_reach import LinearRNN
from tests.tasks.classification import small

SAMPLED = Sampled(labels=60, sequences=6)
LAGS = [1, 2, 4]


def generator():
    return torch.Generator().manual_seed(0)


def test_two_directions_are_one_state_of_two_blocks():
    """Against the Jacobian of both recurrences, step by step, as one block-diagonal matrix."""
    torch.manual_seed(1)
    both = MIXERS["bidirectional"]("gru", d_hidden=3).build(4).double()
    x = torch.randn(1, 9, 4, dtype=torch.float64)
    found = reading_reach(both, lambda: both(x), LAGS, generator())
    for place, k in enumerate(LAGS):
        blocks = []
        for mixer, read in ((both.forwards, x), (both.backwards, x.flip(1))):
            read = read[:, :5]  # one more than the longest lag
            _, state = mixer(read[:, : 5 - k])

            def last(h, mixer=mixer, read=read, k=k, state=state):
                return mixer(read[:, 5 - k :], state._replace(carried=(h,)))[1].carried[0]

            blocks.append(torch.autograd.functional.jacobian(last, state.carried[0])[0, :, 0])
        jacobian = torch.block_diag(*blocks)
        assert found.frobenius[place].item() == pytest.approx(jacobian.norm().item() / math.sqrt(6), rel=1e-9)
        assert found.spectral[place].item() == pytest.approx(torch.linalg.matrix_norm(jacobian, 2).item(), rel=1e-9)
    assert (found.numbers, found.readers) == (6, 2)


def test_layers_in_one_direction_have_the_state_of_the_recurrence():
    torch.manual_seed(3)
    mixer = LinearRNN(torch.randn(5, 5) / 3).double()
    x = torch.randn(1, 7, 5, dtype=torch.float64)
    found = reading_reach(EncoderStack([AsEncoder(mixer)]), lambda: mixer(x), LAGS, generator())
    expected = state_reach(mixer, x[:, :5], LAGS)
    np.testing.assert_allclose(found.frobenius.detach().numpy(), expected.frobenius.detach().numpy(), rtol=1e-12)
    for place, k in enumerate(LAGS):
        power = torch.linalg.matrix_power(mixer.weight_hidden, k)
        assert found.frobenius[place].item() == pytest.approx(power.norm().item() / math.sqrt(5), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "readers"), [("lstm", 2), ("bilstm_attention", 2)])
def test_a_recurrent_classifier_has_a_gain_from_state_to_state(arch, readers):
    form = run_form(TrainedRun("c", small.untrained("text", arch), small.data("text").test))
    (reach,) = reach_of(form, SAMPLED)
    assert reach.state.at[0] == 1
    assert 0 < min(reach.state.centre) < max(reach.state.centre) < 2
    assert (reach.readers, reach.exact) == (readers, True)


def test_a_causal_classifier_has_the_state_of_all_its_layers():
    run = small.run("gru")
    run = run.changed(model=replace(run.settings.model, causal=True, pooling="last"))
    task = type(small.untrained()).build(small.data("text"), run)
    (reach,) = reach_of(run_form(TrainedRun("c", task, small.data("text").test)), SAMPLED)
    assert (reach.numbers, reach.readers) == (16, 1)


def test_without_a_recurrence_it_is_said_that_there_is_no_state():
    lacks = []
    run = TrainedRun("c", small.untrained("text", "transformer"), small.data("text").test)
    (reach,) = reach_of(run_form(run, lambda *gap: lacks.append(gap)), SAMPLED)
    assert reach.state is None
    assert lacks == [
        ("gain from state to state", "no layer has a state: each sees the whole sequence at once"),
    ]


def test_sounds_are_cut_to_their_last_frames():
    """Against the layers of each sound alone, which read its last vectors."""
    task, part = small.untrained("audio", "gru"), small.data("audio").test
    (reach,) = reach_of(run_form(TrainedRun("c", task, part)), SAMPLED)
    model, losses, frames = task.trained.model.eval(), [], []
    with torch.no_grad():
        for batch in task.batches(part, seed=0).epoch(0):
            for row, label in enumerate(batch.labels):
                end = int(batch.source_mask[row].sum()) if batch.source_mask is not None else batch.source.shape[1]
                x, _ = model.front_end(batch.source[row : row + 1, :end], torch.ones(1, end, dtype=torch.bool))
                frames.append(x.shape[1])
                kept = [x[:, -int(k) :] for k in reach.used.at]
                prepared = [model.pooling.prepare(one, torch.ones(one.shape[:2], dtype=torch.bool)) for one in kept]
                logits = [model.head(model.pooling(model.encoder(*one), one[1])) for one in prepared]
                losses.append([torch.nn.functional.cross_entropy(one[0], label).item() for one in logits])
    assert len(losses) == 30
    np.testing.assert_allclose(reach.used.centre, np.mean(losses, 0), rtol=1e-4)
    assert reach.used.at[-1] == max(frames)
    assert (reach.input.at[0], reach.readers) == (0, 2)
