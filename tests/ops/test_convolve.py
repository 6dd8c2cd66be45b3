"""The short convolution against its sum, with padding, documents and any number of calls."""

from __future__ import annotations

import hypothesis.strategies as st
import torch
from hypothesis import given

from sightline.ops.convolve import convolve
from sightline.parts.positions import advance


@given(
    length=st.integers(0, 9),
    width=st.integers(2, 4),
    cut=st.integers(0, 9),
    flags=st.sampled_from(["neither", "mask", "starts", "both"]),
    seed=st.integers(0, 99),
)
def test_equals_the_sum_over_the_document(length, width, cut, flags, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, length, 3, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, width, generator=generator, dtype=torch.float64)
    mask = torch.rand(2, length, generator=generator) > 0.3 if flags in ("mask", "both") else None
    starts = torch.rand(2, length, generator=generator) > 0.7 if flags in ("starts", "both") else None
    if mask is not None:
        x = x.masked_fill(~mask.unsqueeze(2), 0.0)

    expected = torch.zeros_like(x)
    for row in range(2):
        document: list[torch.Tensor] = []
        for t in range(length):
            if starts is not None and starts[row, t]:
                document = []
            if mask is None or mask[row, t]:
                document.append(x[row, t])
                for lag, past in enumerate(reversed(document[-width:])):
                    expected[row, t] += weight[:, -1 - lag] * past

    tail, position = torch.zeros(2, width - 1, 3, dtype=torch.float64), torch.zeros(2, dtype=torch.long)
    outputs = []
    for part in (slice(0, min(cut, length)), slice(min(cut, length), length)):
        own = [None if flag is None else flag[:, part] for flag in (mask, starts)]
        positions, position = advance(position, x[:, part].shape[1], *own)
        y, tail = convolve(x[:, part], weight, tail, positions, *own)
        outputs.append(y)
    actual = torch.cat(outputs, 1)
    if mask is not None:
        actual = actual.masked_fill(~mask.unsqueeze(2), 0.0)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
