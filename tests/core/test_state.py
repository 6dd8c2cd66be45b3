"""States are values, and a growing cache is one although its successors share memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from sightline.core.caches import Shared
from sightline.core.state import (
    Growing,
    detach,
    join,
    leaves,
    map_state,
    nbytes,
    retract,
    select,
    stored_leaves,
    unfolded,
)


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


# For branches: which earlier value, which of its rows, and how much is appended to them.
BRANCHING = st.lists(
    st.tuples(st.integers(0, 30), st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(0, 3)),
    min_size=1, max_size=15,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@given(program=BRANCHING)
def test_growing_and_shared_behave_like_tensors_for_any_branches(mode, program):
    with mode():
        start = torch.randn(3, 2, 4)
        states = [(Growing(torch.zeros(3, 2, 0), 2), Growing(start, 2), Shared(start))]
        expected = [(torch.zeros(3, 2, 0), start, start)]
        for number, (origin, rows, length) in enumerate(program):
            origin %= len(states)
            index = torch.tensor(rows) % len(expected[origin][0])
            empty, cache, shared = select(states[origin], index)
            known = [tensor[index] for tensor in expected[origin]]
            for step in range(length):
                new = torch.full((len(index), 2, 1), 10.0 * number + step) + torch.arange(len(index)).view(-1, 1, 1)
                empty, cache = empty.append(new), cache.append(new)
                known[:2] = [torch.cat([tensor, new], 2) for tensor in known[:2]]
                read_branches(cache, known[1])
            states.append((empty, cache, shared))
            expected.append(tuple(known))
        for state, tensors in zip(states, expected, strict=True):
            for leaf, tensor in zip(leaves(state), tensors, strict=True):
                assert torch.equal(leaf, tensor)


def read_branches(cache, expected):
    """What is read through the paths, where a cache has some, is the content."""
    if cache.branched is None:
        return
    stored, paths = cache.branched
    branches, seen = paths.branches, paths.visible()
    for row, content in enumerate(expected):
        at = branches.owner[row], branches.slot[row]
        assert sorted(paths.columns[row].tolist()) == seen[at].nonzero().squeeze(1).tolist()
        assert torch.equal(stored[at[0]][:, paths.columns[row]], content)
        assert torch.equal(branches.ungroup(branches.group(expected))[row], content)
        assert (paths.bias(torch.float32)[at] == 0).equal(seen[at])


def test_branches_store_what_they_share_once():
    with torch.no_grad():
        state = (Growing(torch.randn(2, 3, 10), 2), Shared(torch.randn(2, 5)))
        before = nbytes(state)
        chosen = select(state, torch.tensor([0, 0, 0, 1, 1, 1]))
        assert nbytes(chosen) == before
        cache = chosen[0].append(torch.randn(6, 3, 1))
    assert nbytes(cache) == 2 * 3 * (10 + 3) * 4


def test_the_rows_of_one_source_branch_before_their_first_item():
    with torch.no_grad():
        cache = select(Growing(torch.zeros(1, 3, 0), 2), torch.tensor([0, 0, 0, 0]))
        assert cache.branched is not None
        content = torch.zeros(4, 3, 0)
        for index in ([0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 2, 3], [1, 0, 3, 3]):
            new = torch.randn(4, 3, 1)
            cache, content = cache.append(new), torch.cat([content, new], 2)
            read_branches(cache, content)
            cache, content = select(cache, torch.tensor(index)), content[index]
            read_branches(cache, content)
    assert nbytes(cache) == 3 * (4 * 4) * 4
    assert torch.equal(cache.tensor, content)


def test_states_that_agree_in_what_is_around_their_leaves_differ_in_these_alone():
    class Pair(NamedTuple):
        one: Any
        other: Any

    x, cache = torch.zeros(2, 3), Growing(torch.zeros(2, 1, 3), 1)
    states = [
        (x, x, x),
        (x, (x, x)),
        ((x, x), x),
        Pair(x, x),
        (x, x),
        Pair(x, None),
        Pair(None, x),
        (x, cache),
        x,
        None,
    ]
    assert [unfolded(state)[0] == stored_leaves(state) for state in states] == [True] * len(states)
    seen = [unfolded(state)[1] for state in states]
    assert all(seen.count(one) == 1 for one in seen)
    assert unfolded((x + 1, cache.append(torch.ones(2, 1, 3))))[1] == seen[7]


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


def test_join_puts_selected_rows_together_again():
    state = example()
    parts = [select(state, torch.tensor(rows)) for rows in ([2], [0, 1])]
    again = select(join(parts), torch.tensor([1, 2, 0]))
    assert all(map(torch.equal, leaves(again), leaves(state)))
    assert join([state]) is not None


def test_a_state_that_cannot_have_padding_is_refused_by_its_name():
    shorter = example()._replace(inner=(Inner(Growing(torch.zeros(3, 2, 1), 2), None),))
    with pytest.raises(ValueError, match="states of Inner differ in the shapes"):
        join([example(), shorter])


@torch.no_grad()
def test_what_is_given_up_makes_room_without_a_copy():
    state = Inner(example().inner[0].cache.append(torch.zeros(3, 2, 1)), None)  # now with room
    place = state.cache.tensor.data_ptr()
    before = state.cache.tensor.clone()
    later = Inner(state.cache.append(torch.full((3, 2, 1), 7.0)), None)
    retract(state, later)
    after = state.cache.append(torch.full((3, 2, 1), 8.0))
    assert after.tensor.data_ptr() == place
    assert torch.equal(after.tensor, torch.cat([before, torch.full((3, 2, 1), 8.0)], 2))
    with pytest.raises(RuntimeError, match="this cache was retracted"):
        later.cache.tensor
    retract(state, Inner(example().inner[0].cache, None))  # of other buffers nothing is given up
    assert torch.equal(state.cache.tensor, before)
