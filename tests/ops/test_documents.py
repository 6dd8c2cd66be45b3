"""Rows split into documents: every real position in exactly one of them, in order."""

from __future__ import annotations

import hypothesis.strategies as st
import torch
from hypothesis import given

from sightline.ops.documents import label_documents, right_padded, split_documents


@given(st.integers(1, 3), st.integers(0, 8), st.integers(0, 999), st.sampled_from(["mask", "starts", "both"]))
def test_documents_are_those_of_a_loop(batch, steps, seed, given_flags):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(batch, steps, generator=generator) > 0.4 if given_flags != "starts" else None
    starts = torch.rand(batch, steps, generator=generator) > 0.6 if given_flags != "mask" else None
    expected = []
    for row in range(batch):
        expected.append((row, False, []))
        for t in range(steps):
            if starts is not None and starts[row, t]:
                expected.append((row, True, []))
            if mask is None or mask[row, t]:
                expected[-1][2].append(row * steps + t)
    actual = split_documents(mask, starts)
    listed = [
        (int(row), bool(begins), index[: int(length)].tolist())
        for row, begins, length, index in zip(actual.row, actual.begins, actual.length, actual.index, strict=True)
    ]
    assert listed == expected
    assert actual.valid.sum(1).tolist() == actual.length.tolist()
    assert actual.last.tolist() == [max(n for n, (row, *_) in enumerate(expected) if row == r) for r in range(batch)]


def test_labels_in_any_chunks():
    mask = torch.tensor([[True, False, True, True, False]])
    starts = torch.tensor([[False, True, False, True, False]])
    whole, last = label_documents(torch.tensor([3]), mask, starts, 5)
    assert whole.tolist() == [[3, -1, 4, 5, -1]]
    assert last.tolist() == [5]
    first, between = label_documents(torch.tensor([3]), mask[:, :2], starts[:, :2], 2)
    second, _ = label_documents(between, mask[:, 2:], starts[:, 2:], 3)
    assert torch.equal(torch.cat([first, second], 1), whole)


def test_padding_on_the_right():
    rows = [[True, True, True], [True, False, False], [False, False, False]]
    assert right_padded(torch.tensor(rows))
    assert not right_padded(torch.tensor([*rows, [False, True, True]]))
    assert right_padded(torch.zeros(2, 0, dtype=torch.bool))
