"""States are values, and a growing cache is one although its successors share memory."""

from __future__ import annotations

from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from sightline.core.state import Growing, detach, leaves, map_state, nbytes, select


class Inner(NamedTuple):
    cache: Growing
    absent: torch.Tensor | None


class Outer(NamedTuple):
    hidden: torch.Tensor
    inner: tuple[Inner, ...]


def example(batch: int = 3) -> Outer:
    cache = Growing(torch.arange(batch * 4.0).view(batch, 2, 2), 2)
    return Outer(torch.arange(batch * 1.0).unsqueeze(1), (Inner(cache, None),))


# A program for caches: which earlier value to append to, and how much.
PROGRAMS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=30)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@given(program=PROGRAMS)
def test_growing_behaves_like_concatenation_for_any_forks(mode, program):
    with mode():
        values = [Growing(torch.zeros(2, 0, 3), 1)]
        expected = [torch.zeros(2, 0, 3)]
        for number, (origin, length) in enumerate(program):
            origin %= len(values)
            new = torch.full((2, length, 3), float(number + 1))
            values.append(values[origin].append(new))
            expected.append(torch.cat([expected[origin], new], 1))
        for value, tensor in zip(values, expected, strict=True):
            assert torch.equal(value.tensor, tensor)


def test_appending_is_amortised_and_in_place():
    with torch.no_grad():
        cache, buffers = Growing(torch.zeros(1, 0, 1), 1), set()
        for _ in range(1000):
            cache = cache.append(torch.ones(1, 1, 1))
            buffers.add(cache.tensor.data_ptr())
    assert cache.length == 1000
    assert len(buffers) <= 12  # one for each doubling
    assert cache.capacity <= 2048


def test_what_was_given_to_append_may_be_changed_afterwards():
    with torch.no_grad():
        new = torch.ones(1, 2, 1)
        cache = Growing(torch.zeros(1, 0, 1), 1).append(new)
        new.zero_()
        assert cache.tensor.sum() == 2


def test_a_batch_axis_does_not_grow():
    with pytest.raises(ValueError, match="axis must be positive"):
        Growing(torch.zeros(2, 3), 0)


def test_select_reorders_repeats_and_drops_every_leaf():
    state = example()
    chosen = select(state, torch.tensor([2, 0, 0]))
    for before, after in zip(leaves(state), leaves(chosen), strict=True):
        assert torch.equal(after, before[[2, 0, 0]])
    assert chosen.inner[0].absent is None
    assert type(chosen) is Outer


def test_a_selected_cache_shares_nothing():
    with torch.no_grad():
        cache = example().inner[0].cache.append(torch.ones(3, 2, 1))
        chosen = select(cache, torch.tensor([0, 1, 2]))
        chosen.tensor.zero_()
        assert cache.tensor[:, :, -1].sum() == 6


def test_bytes_are_of_the_content_and_not_of_spare_room():
    with torch.no_grad():
        cache = Growing(torch.zeros(1, 4, 2), 1).append(torch.zeros(1, 1, 2))
    assert cache.capacity == 8
    assert nbytes((cache, torch.zeros(3, dtype=torch.bool), None)) == 5 * 2 * 4 + 3


def test_detach_cuts_every_leaf():
    x = torch.ones(2, 1, requires_grad=True)
    state = (x * 2, Growing(x.unsqueeze(2) * 3, 2), None)
    assert all(leaf.requires_grad for leaf in leaves(state))
    assert not any(leaf.requires_grad for leaf in leaves(detach(state)))


@pytest.mark.parametrize("wrong", [[torch.ones(1)], {"h": torch.ones(1)}, (torch.ones(1), 3)])
def test_what_is_no_state_is_refused(wrong):
    with pytest.raises(TypeError, match="a state consists of tensors"):
        list(leaves(wrong))
    with pytest.raises(TypeError, match="a state consists of tensors"):
        map_state(torch.clone, wrong)
