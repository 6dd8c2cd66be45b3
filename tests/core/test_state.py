"""States are values, whatever is done with them and in whatever order."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sightline.core.state import Growing, detach, leaves, map_state, nbytes, select


class Inner(NamedTuple):
    cache: Growing | None
    hidden: Tensor


class Outer(NamedTuple):
    inner: Inner
    layers: tuple[Tensor, ...]
    absent: None = None


def items(batch: int, count: int, start: float = 0.0) -> Tensor:
    return torch.arange(start, start + batch * count * 2).reshape(batch, count, 2)


def state() -> Outer:
    with torch.no_grad():
        cache = Growing(items(3, 2), axis=1).append(items(3, 1, 100.0))
    return Outer(Inner(cache, torch.arange(3.0)[:, None]), (torch.arange(6.0).reshape(3, 2),))


forks = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=25)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@given(first=st.integers(0, 3), program=forks)
def test_any_tree_of_appends_leaves_every_value_as_it_was(mode, first, program):
    with mode():
        began = items(2, first)
        values, expected = [Growing(began.clone(), axis=1)], [began]
        for step, (parent, count) in enumerate(program):
            parent %= len(values)
            new = items(2, count, 1000.0 * (step + 1))
            values.append(values[parent].append(new))
            expected.append(torch.cat([expected[parent], new], 1))
        for value, content in zip(values, expected, strict=True):
            assert torch.equal(value.tensor, content)
            assert value.length == content.shape[1] <= value.capacity


def test_appending_copies_a_logarithmic_number_of_times():
    with torch.no_grad():
        cache, moves = Growing(torch.zeros(1, 1, 4), axis=1), 0
        for _ in range(1000):
            place = cache.tensor.data_ptr()
            cache = cache.append(torch.zeros(1, 1, 4))
            moves += cache.tensor.data_ptr() != place
    assert moves <= 11


def test_the_first_append_to_an_empty_cache_does_not_keep_the_caller_s_tensor():
    with torch.no_grad():
        new = torch.ones(1, 2, 3)
        cache = Growing(torch.zeros(1, 0, 3), axis=1).append(new)
        new.zero_()
    assert cache.tensor.sum() == 6


def test_a_cache_made_in_inference_mode_can_be_appended_to_outside_of_it():
    with torch.inference_mode():
        cache = Growing(items(1, 2), axis=1).append(items(1, 1))
    with torch.no_grad():
        longer = cache.append(items(1, 1))
    assert longer.length == 4


def test_gradients_flow_through_appended_items():
    x = torch.ones(1, 2, 3, requires_grad=True)
    Growing(torch.zeros(1, 1, 3), axis=1).append(x).append(2 * x).tensor.sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 3.0))


@given(st.lists(st.integers(0, 2), max_size=6))
def test_select_takes_rows_of_every_leaf_in_the_order_asked_for(rows):
    before, index = state(), torch.tensor(rows, dtype=torch.long)
    taken = select(before, index)
    for leaf, source in zip(leaves(taken), leaves(before), strict=True):
        assert torch.equal(leaf, source[index])
    assert type(taken) is Outer
    assert taken.absent is None


def test_a_selected_cache_and_its_source_grow_apart():
    before = state()
    with torch.no_grad():
        taken = select(before, torch.tensor([0, 1, 2]))
        grown = taken.inner.cache.append(items(3, 1, 500.0))
        other = before.inner.cache.append(items(3, 1, 900.0))
    assert torch.equal(grown.tensor[:, -1], items(3, 1, 500.0)[:, 0])
    assert torch.equal(other.tensor[:, -1], items(3, 1, 900.0)[:, 0])


def test_detach_cuts_every_leaf_off_its_graph():
    x = torch.ones(2, 1, requires_grad=True)
    after = detach(Inner(Growing(x[:, None] * 2, axis=1), x * 3))
    assert not any(leaf.requires_grad for leaf in leaves(after))


def test_bytes_are_those_of_the_content():
    with torch.no_grad():
        cache = Growing(torch.zeros(2, 3, 5), axis=1).append(torch.zeros(2, 1, 5))  # capacity 6, content 4
    assert cache.capacity > cache.length
    assert nbytes(Inner(cache, torch.zeros(2, 7, dtype=torch.bfloat16))) == 2 * 4 * 5 * 4 + 2 * 7 * 2
    assert nbytes(None) == 0


@pytest.mark.parametrize("wrong", [[torch.zeros(1)], {"hidden": torch.zeros(1)}, 3, "state"], ids=repr)
def test_anything_else_in_a_state_is_refused(wrong):
    with pytest.raises(TypeError, match="a state holds tensors"):
        map_state(torch.clone, (torch.zeros(1), wrong))
    with pytest.raises(TypeError, match="a state holds tensors"):
        nbytes((torch.zeros(1), wrong))


def test_a_cache_cannot_grow_along_the_batch():
    with pytest.raises(ValueError, match="axis must be positive"):
        Growing(torch.zeros(1, 2), axis=0)
