"""Errors and their statuses, seed streams, probes, and the checks of inputs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.core import errors
from sightline.core.mixer import Memory, check_inputs, check_memory, keep
from sightline.core.probe import Probe
from sightline.core.seeds import derive


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InputError("x"), 2),
        (errors.EnvironmentFault("x"), 3),
        (errors.Diverged("x"), 4),
        (errors.CheckFailed("x"), 5),
        (errors.Interrupted("x", signal_number=2), 130),
        (errors.Interrupted("x", signal_number=15), 143),
        (errors.SightlineError("x"), 1),
        (ValueError("x"), 1),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else "",
)
def test_each_error_has_its_status(error, status):
    assert errors.exit_status(error) == status


def test_an_input_error_is_a_value_error_that_begins_with_its_place():
    error = errors.InputError("expected 2 columns, found 3", where="pairs.tsv:17")
    assert isinstance(error, ValueError)
    assert str(error) == "pairs.tsv:17: expected 2 columns, found 3"


def test_a_stream_is_the_same_in_every_process():
    code = "from sightline.core.seeds import derive; print(derive(7, 'dropout', 3))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{derive(7, 'dropout', 3)}\n"}


seeds, names = st.integers(-(2**70), 2**70), st.lists(st.sampled_from(["a", "b", "order", 0, 1]), max_size=3).map(tuple)


@given(st.lists(st.tuples(seeds, names), min_size=2, max_size=2, unique=True))
def test_streams_of_different_names_differ_and_fit_torch(pair):
    first, second = (derive(seed, *path) for seed, path in pair)
    assert first != second
    assert 0 <= first < 2**63
    torch.Generator().manual_seed(first)


def test_a_probe_shows_what_passes_and_lets_it_be_replaced():
    probe, x = Probe("B T D"), torch.ones(1, 2, 3)
    assert probe(x) is x
    assert not probe.attached
    hook = probe.register_forward_hook(lambda module, inputs, output: output * 2)
    assert probe.attached
    assert torch.equal(probe(x), 2 * x)
    hook.remove()
    assert not probe.attached


@pytest.mark.parametrize(
    ("x", "mask", "starts", "message"),
    [
        (torch.zeros(2, 3), None, None, r"expected x of shape \(B, T, 4\), got \(2, 3\)"),
        (torch.zeros(2, 3, 5), None, None, r"expected x of shape \(B, T, 4\), got \(2, 3, 5\)"),
        (torch.zeros(2, 3, 4), torch.ones(2, 3), None, "mask must be bool with True = real, got torch.float32"),
        (torch.zeros(2, 3, 4), torch.ones(3, 2).bool(), None, r"expected mask of shape \(2, 3\), got \(3, 2\)"),
        (torch.zeros(2, 3, 4), None, torch.ones(2, 3).long(), "starts must be bool with True = a new document"),
    ],
    ids=["two-axes", "wrong-width", "float-mask", "transposed-mask", "integer-starts"],
)
def test_inputs_of_the_wrong_shape_or_type_are_refused(x, mask, starts, message):
    with pytest.raises(ValueError, match=message):
        check_inputs(x, 4, mask, starts)


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        (None, "Foo reads a memory"),
        (Memory(torch.zeros(2, 3, 9)), r"expects memory values of shape \(2, M, 4\), got \(2, 3, 9\)"),
        (Memory(torch.zeros(1, 3, 4)), r"expects memory values of shape \(2, M, 4\), got \(1, 3, 4\)"),
        (Memory(torch.zeros(2, 3, 4), torch.ones(2, 3)), r"memory mask must be bool of shape \(2, 3\)"),
        (Memory(torch.zeros(2, 3, 4)), "reads the memory's summary of width 5, and this memory has none"),
        (Memory(torch.zeros(2, 3, 4), None, torch.zeros(2, 6)), r"expects a summary of shape \(2, 5\), got \(2, 6\)"),
    ],
    ids=["none", "width", "batch", "mask", "no-summary", "summary-width"],
)
def test_a_memory_that_does_not_fit_is_refused(memory, message):
    with pytest.raises(ValueError, match=message):
        check_memory(memory, 2, 4, 5, "Foo")


def test_what_is_not_kept_is_gone_gradients_included():
    x = torch.full((1, 2, 3), float("nan"), requires_grad=True)
    kept = keep(x, torch.tensor([[False, False]]))
    kept.sum().backward()
    assert not kept.any()
    assert not x.grad.any()
