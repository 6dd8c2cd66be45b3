"""One token at a time over a long cache: nothing of the cache is copied, keys that heads share neither."""

from __future__ import annotations

import pytest
import torch

from sightline.core.mixer import Memory
from sightline.mixers.cross import CrossConfig
from sightline.mixers.softmax import SoftmaxConfig
from tests.written import Written

D, S = 64, 1000


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


def test_what_every_step_reads_of_a_memory_has_no_gaps():
    module, memory = CrossConfig(heads=2).build(D), Memory(torch.randn(3, 5, D))
    with torch.no_grad():
        state = module.initial_state(3, memory)
    for stored, expected in zip(state[:2], module.initial_state(3, memory)[:2], strict=True):
        assert stored.tensor.is_contiguous()
        assert torch.equal(stored.tensor, expected.tensor)
