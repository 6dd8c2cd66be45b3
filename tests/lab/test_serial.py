"""The longest chain of dependent operations, against chains that are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sightline.lab.exponents import fit_exponent
from sightline.lab.mechanism import find_mechanisms
from sightline.lab.serial import ChainCounter, count_chain, mechanism_chains
from sightline.mixers import MIXERS


def counted(run):
    with ChainCounter() as counter:
        run()
    return counter.longest, counter.total


def test_a_loop_of_products_is_as_long_as_it_runs():
    x, w = torch.ones(2, 3), torch.ones(3, 3)

    def run():
        y = x
        for _ in range(7):
            y = torch.tanh(y @ w)
        return y

    assert counted(run) == (14, 14)


def test_independent_operations_do_not_lengthen_the_chain():
    x = torch.ones(5)
    assert counted(lambda: [torch.sin(x) for _ in range(9)] and torch.cos(x)) == (1, 10)


def test_the_slots_of_one_buffer_are_independent_of_each_other():
    x, buffer = torch.ones(9, 4), torch.empty(9, 4)

    def run():
        for t in range(9):
            torch.sin(x[t], out=buffer[t])
        return buffer.sum()

    assert counted(run) == (2, 10)


def test_a_loop_over_slots_that_reads_the_slot_before_is_serial():
    buffer = torch.ones(9, 4)

    def run():
        for t in range(1, 9):
            torch.sin(buffer[t - 1], out=buffer[t])

    assert counted(run) == (8, 8)


def test_an_operation_in_place_reads_what_it_changes_and_a_copy_does_not():
    def run():
        x = torch.zeros(3)
        x.add_(1.0).mul_(2.0)  # a chain of 2
        x.copy_(torch.sin(torch.ones(3)))  # of 1 + 1, whatever was there before
        return x

    assert counted(run) == (2, 3 + 1)


def test_real_and_imaginary_parts_have_chains_of_their_own():
    z = torch.zeros(4, dtype=torch.complex64)

    def run():
        parts = torch.view_as_real(z)
        for _ in range(5):
            parts[:, 1].add_(1.0)
        return torch.sin(parts[:, 0])

    assert counted(run) == (5, 6)


def test_views_allocations_and_constants_count_nothing():
    x = torch.ones(4, 6)
    assert counted(lambda: torch.zeros_like(x).view(6, 4).T.unsqueeze(0)) == (0, 0)


@pytest.mark.parametrize(("length", "rounds"), [(8, 3), (9, 4), (64, 6)])
def test_a_prefix_scan_counts_its_rounds(length, rounds):
    x = torch.ones(2, length)
    assert counted(lambda: x.cumsum(1)) == (rounds, 1)


def test_the_backward_pass_is_counted_too():
    x = torch.ones(3, requires_grad=True)
    forwards, _ = counted(lambda: x.sin().cos().tan())
    both, _ = counted(lambda: x.sin().cos().tan().sum().backward())
    assert (forwards, both >= forwards + 3) == (3, True)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
def test_a_kernel_that_hides_a_recurrence_is_refused():
    lstm = nn.LSTM(4, 4, batch_first=True)
    with torch.no_grad(), pytest.raises(ValueError, match=r"mkldnn_rnn_layer hides a recurrence: count it in float64"):
        counted(lambda: lstm(torch.ones(1, 8, 4)))


def test_torchs_recurrence_is_counted_step_by_step():
    """h = tanh(W x + U h + b): W x in one product; at each step U h, the sum and tanh."""
    rnn = nn.RNN(4, 4, batch_first=True).double()
    short, long = torch.ones(1, 8, 4, dtype=torch.float64), torch.ones(1, 16, 4, dtype=torch.float64)
    with torch.no_grad():
        assert counted(lambda: rnn(long))[0] - counted(lambda: rnn(short))[0] == 8 * 3


@pytest.mark.parametrize(("name", "per_position"), [("rnn", 2), ("softmax", 0), ("cross", 0)])
def test_a_recurrence_needs_operations_for_every_position_and_attention_does_not(name, per_position):
    """An Elman step is a product added to W x, and tanh."""
    (mechanism,) = find_mechanisms([name], 8)
    (short, _), (long, _) = (count_chain(mechanism, "forward", n) for n in (12, 24))
    assert long - short == 12 * per_position


def test_an_encoder_has_no_decode():
    (mechanism,) = find_mechanisms(["bidirectional"], 8)
    assert count_chain(mechanism, "decode", 8) is None
    assert {chain.phase for chain in mechanism_chains(mechanism, (4, 8, 16))} == {"forward", "training"}


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXERS)
def test_every_mechanism_is_counted(name):
    (mechanism,) = find_mechanisms([name], 8)
    for chain in mechanism_chains(mechanism, (8, 16, 32)):
        assert all(0 < longest <= total for longest, total in zip(chain.operations, chain.total))


def test_the_exponent_of_a_power_is_found_where_fixed_costs_are_left_behind():
    lengths = [2**i for i in range(4, 14)]
    growth = fit_exponent(lengths, [[1e6 + 3.0 * n**2] for n in lengths])
    assert growth.exponent == pytest.approx(2.0, abs=0.15)
    assert growth.low <= growth.exponent <= growth.high <= 2.0
    assert growth.settled
    assert growth.lengths == [1024, 2048, 4096, 8192]


def test_a_count_that_follows_one_power_is_settled_and_times_that_do_not_grow_are_not():
    growth = fit_exponent([16, 32, 64, 128], [[7.0]] * 4)
    assert (growth.exponent, growth.low, growth.high, growth.settled) == (0.0, 0.0, 0.0, True)
    assert growth.lengths == [32, 64, 128]
    assert not fit_exponent([16, 32, 64, 128], [[7.0, 7.1]] * 4).settled
    assert not fit_exponent([16, 32, 64, 128], [[100.0 + n] for n in (16, 32, 64, 128)]).settled


def test_fewer_than_three_lengths_have_no_exponent():
    assert fit_exponent([16, 32], [[1.0], [2.0]]) is None


def test_the_interval_of_noisy_rounds_contains_the_exponent():
    random, covered = np.random.default_rng(0), 0
    lengths = [64, 128, 256, 512, 1024]
    for trial in range(40):
        rounds = [(n * random.lognormal(0, 0.1, 9)).tolist() for n in lengths]
        growth = fit_exponent(lengths, rounds, seed=trial)
        covered += growth.low <= 1.0 <= growth.high
    assert covered >= 33
