"""When machine code of a step takes the leaves of a state, and when it need not look at them again."""

from __future__ import annotations

import sys

import torch

from sightline.core.caches import Growing
from sightline.core.state import select
from sightline.models import step_code


def test_code_for_longer_sizes_takes_a_size_of_one_where_that_is_allowed():
    sizes, ranges = [["a", 1, 2, 4], [1, "b"]], {"a": (2, sys.maxsize), "b": (2, 9)}
    code = step_code.StepCode(lambda *_: [], sizes, ranges, [], [None, None])

    def leaves(past, width, rows=1):
        return [Growing(torch.zeros(rows, 2, past, 4), 2), torch.zeros(1, width)]

    assert [code.ones(leaves(*size)) for size in ((1, 2), (0, 2), (0, 1), (0, 10), (0, 0), (0, 2, 3))] == [
        set(), {"a"}, {"a", "b"}, None, None, None
    ]  # fmt: skip
    assert code.takes(leaves(1, 2))
    assert not code.takes(leaves(0, 2))
    code.allow(frozenset({"a"}))
    assert code.takes(leaves(0, 2))
    assert not code.takes(leaves(0, 1))


def test_code_lasts_where_nothing_but_the_lengths_of_caches_can_change():
    ranges = {"a": (2, sys.maxsize), "b": (2, sys.maxsize), "c": (2, sys.maxsize), "d": (2, 9), "e": (3, sys.maxsize)}

    def lasts(*sizes, tracks=(0, 0, None)):
        with torch.inference_mode():
            rows = 2 if tracks[0] is None else 1
            caches = [Growing(torch.zeros(rows, 5, 4), 1) for _ in range(2)]
            leaves = [*(caches if rows == 2 else select(tuple(caches), torch.tensor([0, 0]))), torch.zeros(2)]
        return step_code.StepCode(lambda *_: [], sizes, ranges, [], tracks).lasts(leaves)

    alone = {"tracks": (None, None, None)}
    assert lasts(["a", 1, 4], ["b", 1, 4], [2], [2, "c"])
    assert lasts(["a", 2, 4], ["a", 2, 4], [2], **alone)
    assert not lasts(["a", 1, 4], ["a", 1, 4], [2], [2, "c"])  # a buffer may be compacted before the other
    assert not lasts(["a", 1, 4], ["b", 1, 4], [2], [2, "b"])
    for name in ("d", "e", 7):  # up to 9, from 3, and 7 alone
        assert not lasts(["a", 1, 4], ["b", 1, 4], [2], [2, name])
        assert not lasts([name, 1, 4], ["b", 1, 4], [2], [2, "c"])
        assert not lasts([name, 2, 4], ["b", 2, 4], [2], **alone)
    assert not lasts(["a", 1, 4], ["b", 1, 4], ["c"], [2, "c"])


def test_code_does_not_continue_where_caches_along_one_path_part():
    sizes = [["a", 1, 4], ["b", 1, 4], [2, "c"]]
    code = step_code.StepCode(lambda *_: [], sizes, {}, [], [0, 0])
    with torch.inference_mode():
        buffers = [torch.zeros(5, 1, 4).movedim(0, 1) for _ in range(2)]
        one, other = select(tuple(Growing(buffer, 1) for buffer in buffers), torch.tensor([0, 0]))
        assert code.continues([one, other])
        alone = select(one, torch.tensor([0, 1]))  # its paths are of its own
        assert not code.continues([alone, other])
