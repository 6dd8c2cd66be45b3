"""Linear layers as the compiler reads them: the outputs of the layers that they replace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.parts.packed_linear import KINDS
from sightline.parts.stored_linear import StoredLinear


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_a_stored_layer_is_as_near_as_its_precision_allows(precision, bias):
    torch.manual_seed(0)
    for size_in, size_out in ((7, 13), (64, 48), (100, 257)):
        linear = nn.Linear(size_in, size_out, bias)
        # The last has more rows than are written as sums: for 8 bits x is rounded too.
        for shape, share in (((1,), 0.01), ((5,), 0.01), ((2, 3), 0.01), ((3, 7), 0.02)):
            x = torch.randn(*shape, size_in) * 3
            with torch.inference_mode():
                expected, y = linear(x), StoredLinear(KINDS[precision](linear), precision)(x)
            assert (y.shape, y.dtype) == (expected.shape, torch.float32)
            error = (y - expected).square().mean().sqrt() / expected.square().mean().sqrt()
            assert error < share
