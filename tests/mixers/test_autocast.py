"""Every mechanism runs forwards, backwards and step by step where autocast narrows its products."""

from __future__ import annotations

import pytest
import torch

from sightline.core.mixer import Memory, SequenceMixer
from sightline.mixers import MIXERS

WEIGHED = ("softmax", "window", "block_sparse", "cross", "linear")
EXAMPLES = [(name, example) for name, config in MIXERS.items() for example in config.examples()]


@pytest.mark.parametrize(("name", "config"), EXAMPLES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(EXAMPLES)])
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
def test_autocast(name, config):
    torch.manual_seed(0)
    mixer, x = config.build(12), torch.randn(2, 4, 12)
    with torch.autocast("cpu", torch.bfloat16):
        if isinstance(mixer, SequenceMixer):
            summary = None if mixer.d_summary is None else torch.randn(2, mixer.d_summary)
            state = mixer.initial_state(2, Memory(torch.randn(2, 5, mixer.d_memory or 1), None, summary))
            y, state = mixer(x, state)
            step, _ = mixer.step(x[:, 0], state)
            assert step.isfinite().all()
        else:
            y = mixer(x)
    y.float().sum().backward()
    assert y.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in mixer.parameters())


@pytest.mark.parametrize(
    ("name", "config"),
    [pytest.param(*one, id=f"{one[0]}-{i}") for i, one in enumerate(EXAMPLES) if one[0] in WEIGHED],
)
def test_weights_sum_to_one(name, config):
    """To the precision of float32: the softmax and normalisers are not narrowed."""
    torch.manual_seed(0)
    mixer, x, seen = config.build(12), 3 * torch.randn(2, 30, 12), []
    mixer.weights.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.autocast("cpu", torch.bfloat16):
        memory = Memory(torch.randn(2, 5, getattr(mixer, "d_memory", None) or 1), None)
        mixer(*((x, mixer.initial_state(2, memory)) if isinstance(mixer, SequenceMixer) else (x,)))
    (weights,) = seen
    assert weights.dtype == torch.float32
    sums = weights.sum(-1)
    assert ((sums - 1.0).abs() < 1e-5).logical_or(sums == 0.0).all()  # 0: queries of other projections
    assert sums.any()
