"""One token at a time over a long cache: nothing of the cache is copied, keys that heads share neither."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sightline.mixers.softmax import SoftmaxConfig

D, S = 64, 1000


class Written(TorchDispatchMode):
    """The most numbers that one operation wrote to memory of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, operation, types, given=(), named=None):
        result = operation(*given, **(named or {}))
        lent = {x.untyped_storage().data_ptr() for x in given if isinstance(x, torch.Tensor)}
        for x in result if isinstance(result, tuple) else (result,):
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in lent:
                self.most = max(self.most, x.numel())
        return result


@pytest.mark.parametrize(
    "config",
    [
        SoftmaxConfig(heads=2),
        SoftmaxConfig(heads=4, key_heads=2, positions="rotary"),
        SoftmaxConfig(heads=4, key_heads=1),
        SoftmaxConfig(heads=4, key_heads=2, positions="alibi"),
        SoftmaxConfig(heads=4, softcap=1.0),
        SoftmaxConfig(heads=4, key_heads=2, softcap=1.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("padded", [False, True], ids=["", "padded"])
def test_a_step_copies_no_cache(config, padded):
    module = config.build(D)
    mask = None
    if padded:
        mask = torch.ones(1, S, dtype=torch.bool)
        mask[:, :2] = False
    with torch.no_grad():
        _, state = module(torch.randn(1, S, D), mask=mask)
        _, state = module.step(torch.randn(1, D), state)  # into a buffer with room
        with Written() as written:
            _, later = module.step(torch.randn(1, D), state)
    assert later.keys.tensor.data_ptr() == state.keys.tensor.data_ptr()
    assert written.most < later.keys.tensor.numel()
