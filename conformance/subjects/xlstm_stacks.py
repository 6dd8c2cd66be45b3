"""Stacks of `xlstm` with its backends for the CPU: `forward` over a sequence, `step` with a state over a position.

`forward` of a block stack returns no state, so the state after a call is that of steps. `xLSTMLarge` in the mode
"inference", which is not for training, takes tokens and a state, and updates it in place.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from xlstm import (
    FeedForwardConfig,
    mLSTMBlockConfig,
    mLSTMLayerConfig,
    sLSTMBlockConfig,
    sLSTMLayerConfig,
    xLSTMBlockStack,
    xLSTMBlockStackConfig,
)
from xlstm.xlstm_large.model import xLSTMLarge, xLSTMLargeConfig

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("xlstm==2.0.6",)
SIZE = 16


class Stack(Adapter):
    package = "xlstm"
    offers: ClassVar[Offers] = Offers(size=SIZE, state="in place", several=False, tolerance=2e-5)
    slstm_at: ClassVar[list[int]] = []

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        matrix = mLSTMBlockConfig(mlstm=mLSTMLayerConfig(conv1d_kernel_size=4, qkv_proj_blocksize=4, num_heads=2))
        scalar = sLSTMBlockConfig(
            slstm=sLSTMLayerConfig(backend="vanilla", num_heads=2, conv1d_kernel_size=4),
            feedforward=FeedForwardConfig(proj_factor=1.3, act_fn="gelu"),
        )
        config = xLSTMBlockStackConfig(
            mlstm_block=matrix,
            slstm_block=scalar if self.slstm_at else None,
            context_length=64,
            num_blocks=2,
            embedding_dim=SIZE,
            slstm_at=self.slstm_at,
        )
        return xLSTMBlockStack(config).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y = model(x.float())
        for place in range(x.shape[1]):
            _, state = model.step(x[:, place : place + 1].float(), state)
        return y, state

    def step(self, model: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        return model.step(x.float(), state)


class MatrixMemory(Stack):
    name = "xLSTMBlockStack, mLSTM"


class BothMemories(Stack):
    name = "xLSTMBlockStack, sLSTM and mLSTM"
    slstm_at: ClassVar[list[int]] = [1]


class Large(Adapter):
    name = "xLSTMLarge"
    package = "xlstm"
    offers: ClassVar[Offers] = Offers("tokens", 40, state="in place", gradients=False, empty=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        config = xLSTMLargeConfig(
            embedding_dim=32,
            num_heads=2,
            num_blocks=2,
            vocab_size=40,
            return_last_states=True,
            mode="inference",
            chunkwise_kernel="chunkwise--native_autograd",
            sequence_kernel="native_sequence__native",
            step_kernel="native",
            chunk_size=8,
            autocast_kernel_dtype="float32",
            **self.options,
        )
        return xLSTMLarge(config).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return {layer: tuple(part[rows] for part in parts) for layer, parts in state.items()}


class LargeFused(Large):
    name = "xLSTMLarge(weight_mode='fused')"
    options: ClassVar[dict[str, Any]] = {"weight_mode": "fused"}


SUBJECTS = (MatrixMemory, BothMemories, Large, LargeFused)
