"""Models compute the same with the kernels of large layers and without them, gradients too."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from sightline.models.language_model import LanguageModelConfig
from sightline.ops import affine, rms_norm
from sightline.parts.token_embedding import Tokens

VOCABULARY = 11


def results(model: nn.Module, tokens: Tensor, mask: Tensor | None, dtype: torch.dtype) -> list[Tensor]:
    """Logits, logits after a second chunk, and all gradients."""
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        first, state = model(tokens, None, mask)
        second, _ = model(tokens, state, mask)
    total = first.sin().sum() + second.square().sum()
    return [first, second, *torch.autograd.grad(total, list(model.parameters()))]


@pytest.mark.skipif(not affine.has_products(torch.float32), reason="oneDNN does not compute these here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
@pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
def test_small_models_are_the_same_with_the_kernels_of_large_ones(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, activation: str, padded: bool
) -> None:
    if dtype == torch.bfloat16 and not affine.has_products(dtype):
        pytest.skip("this processor does not multiply bfloat16")
    torch.manual_seed(0)
    config = LanguageModelConfig(d_model=12, layers=2, heads=2, activation=activation, dropout=0.0)
    model = config.build(Tokens(VOCABULARY))
    tokens = torch.randint(VOCABULARY, (3, 9))
    mask = torch.arange(9) < torch.tensor([[9], [5], [7]]) if padded else None
    exact = results(deepcopy(model).double(), tokens, mask, torch.float64)
    plain = results(model, tokens, mask, dtype)
    monkeypatch.setattr(affine, "FROM", 0)
    monkeypatch.setattr(rms_norm, "FROM", 0)
    most = 1e-2 if dtype == torch.bfloat16 else 1e-6
    for right, mine, theirs in zip(exact, results(model, tokens, mask, dtype), plain, strict=True):
        error, allowed = (
            float((one.detach() - right.detach()).norm() / right.detach().norm()) for one in (mine, theirs)
        )
        assert error <= max(2.0 * allowed, most)
