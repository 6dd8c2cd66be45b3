"""What stands above a pooling, alone: tests that try many weights need not read the text for each of them again."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from sightline.core.mixer import keep
from sightline.core.modes import evaluating
from sightline.core.probe import Probe
from sightline.inspect.alternatives import pooled_attention
from sightline.inspect.record import recorded_inputs
from sightline.models.encoder_model import EncoderModel


@final
class PooledReadout(nn.Module):
    """head(Σ α_t h_t) of x (B, T, D + 1): the vectors h_t (B, T, D) that were pooled, and the weights α_t behind them.

    It has the probe of the weights that its model has, so that `permuted_attention` and `adversarial_attention` give
    for it what they give for the model, in a small part of the time.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.weights = Probe("B T")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.head(torch.einsum("bt,btd->bd", self.weights(x[..., -1]), keep(x[..., :-1], mask)))


@torch.no_grad()
def pooled_readout(model: EncoderModel, tokens: Tensor, mask: Tensor) -> tuple[PooledReadout, Tensor]:
    """The readout of a model, and its input (B, T, D + 1) for these tokens.

    Raises:
        ValueError: "expected one probe of pooled attention, found 0".
    """
    weights = pooled_attention(model, tokens, mask).weights
    if model.pooling is None:
        raise ValueError("expected a pooled model")
    with evaluating(model), recorded_inputs({"pooled": model.pooling}) as inputs:
        model(tokens, mask)
    vectors = inputs["pooled"]
    return PooledReadout(model.head), torch.cat([vectors, weights.to(vectors.dtype).unsqueeze(2)], 2)
