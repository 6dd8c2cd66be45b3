"""Attention that sees only some positions, at lengths at which it is computed by many blocks."""

from __future__ import annotations

import pytest
import torch

import sightline.ops.plan as ops_plan
from sightline.core.state import leaves, nbytes
from sightline.mixers.block_sparse import BlockSparseConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.mixers.window import WindowConfig
from sightline.testing.subject import feed

D, B, T = 12, 2, 330
CAUSAL = [
    WindowConfig(window=40, heads=2, positions="rotary"),
    WindowConfig(window=17, sinks=3, heads=4, key_heads=2, positions="rotary"),
    WindowConfig(window=70, heads=2, positions="alibi"),
    BlockSparseConfig("bigbird", block=16, heads=2, positions="rotary"),
    BlockSparseConfig("longformer", block=12, local=2, globals=1, heads=2),
    BlockSparseConfig("strided", block=8, local=5, heads=2),
    BlockSparseConfig("fixed", block=8, local=5, globals=2, heads=2),
    SoftmaxConfig(heads=4, key_heads=2, positions="rotary"),
    SoftmaxConfig(heads=2, positions="alibi"),
    SoftmaxConfig(heads=2, softcap=2.0),
]
ENCODERS = [
    WindowConfig(window=40, heads=2, causal=False, positions="alibi"),
    WindowConfig(window=23, heads=2, causal=False, positions="rotary"),
    BlockSparseConfig("bigbird", block=16, heads=2, causal=False),
    BlockSparseConfig("longformer", block=10, heads=2, causal=False, global_projections="separate"),
    SoftmaxConfig(heads=2, causal=False, positions="alibi"),
]


@pytest.fixture(autouse=True)
def cut_up_already_at_these_lengths(monkeypatch):
    monkeypatch.setattr(ops_plan, "TRIM_FROM", 100)


def built(config):
    torch.manual_seed(0)
    return config.build(D).double()


def flags(kind: str) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(B, T, generator=generator) > 0.2 if "mask" in kind else None
    if kind == "mask on the right":
        mask = torch.arange(T) < torch.tensor([[T], [T // 3]])
    starts = torch.rand(B, T, generator=generator) > 0.98 if "starts" in kind else None
    return mask, starts


def outputs_and_gradient(module, x, mask, starts):
    y = module(x, mask=mask, starts=starts)
    y = y[0] if isinstance(y, tuple) else y
    return y.detach(), torch.autograd.grad(y.square().sum(), x)[0]


@pytest.mark.parametrize("config", [*CAUSAL, *ENCODERS], ids=str)
@pytest.mark.parametrize(
    "kind",
    [
        "",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mask", "mask on the right", "starts")),
        "mask and starts",
    ],
)
def test_blocks_equal_the_explicit_mask(config, kind):
    """With a probe on the weights the mask is explicit and whole."""
    module, x = built(config), torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    fast = outputs_and_gradient(module, x, *flags(kind))
    seen = []
    for name in ("weights", "global_weights"):
        if hasattr(module, name):
            getattr(module, name).register_forward_hook(lambda _module, _inputs, weights: seen.append(weights))
    torch.testing.assert_close(fast, outputs_and_gradient(module, x, *flags(kind)), rtol=1e-10, atol=1e-10)
    rows = sum(weights.sum(-1) for weights in seen)  # (B, H, T): every real position attends, padding does not
    mask, _ = flags(kind)
    real = torch.ones(B, T, dtype=torch.bool) if mask is None else mask
    torch.testing.assert_close(rows, real.unsqueeze(1).expand_as(rows).double())


@pytest.mark.parametrize("config", CAUSAL, ids=str)
@pytest.mark.parametrize("kind", ["", "mask and starts"])
def test_chunks_across_blocks(config, kind):
    module, x = built(config), torch.randn(B, T, D, dtype=torch.float64)
    mask, starts = flags(kind)
    with torch.no_grad():
        whole, final = module(x, mask=mask, starts=starts)
        for sizes in ((100, 1, 129, 100), (33,) * 10, (1, 329)):
            y, state = feed(module, x, module.initial_state(B), sizes, mask, starts)
            torch.testing.assert_close(y, whole, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(list(leaves(state)), list(leaves(final)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("config", CAUSAL[:3], ids=str)
def test_a_window_s_state_is_bounded(config):
    module, x = built(config), torch.randn(1, T, D, dtype=torch.float64)
    sizes = []
    for length in (config.sinks + config.window - 1, 200, T):
        _, state = module(x[:, :length])
        sizes.append(nbytes(state))
        assert state.keys.shape[2] == config.sinks + config.window - 1
        assert all(leaf.untyped_storage().nbytes() <= 2 * nbytes(state) for leaf in leaves(state))
    assert len(set(sizes)) == 1


@pytest.mark.parametrize(
    "config", [WindowConfig(window=T, heads=2), WindowConfig(window=999, heads=2, sinks=4)], ids=str
)
def test_a_window_over_everything_is_softmax_attention(config):
    window, whole = built(config), built(SoftmaxConfig(heads=2))
    whole.load_state_dict(window.state_dict())
    x = torch.randn(B, T, D, dtype=torch.float64)
    torch.testing.assert_close(window(x)[0], whole(x)[0], rtol=1e-10, atol=1e-10)


def test_layers_reach_windows_further():
    """n layers of a window w see n (w - 1) positions back and no further."""
    layers = [built(WindowConfig(window=4, heads=2)) for _ in range(3)]
    x = y = torch.randn(1, 30, D, dtype=torch.float64, requires_grad=True)
    for layer in layers:
        y = layer(y)[0]
    (gradient,) = torch.autograd.grad(y[0, 25].square().sum(), x)
    reached = gradient[0].abs().sum(1).nonzero().flatten().tolist()
    assert reached == list(range(25 - 3 * 3, 26))
