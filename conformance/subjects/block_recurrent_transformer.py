"""`BlockRecurrentTransformer` of `block-recurrent-transformer-pytorch`: memories and states go in and come back.

It computes block by block, so calls come in multiples of `block_width`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from block_recurrent_transformer_pytorch import BlockRecurrentTransformer
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("block-recurrent-transformer-pytorch==0.4.4",)
SIZE = 40


class Blocks(Adapter):
    package = "block-recurrent-transformer-pytorch"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, chunk=4, empty=False, gradients=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"num_tokens": SIZE, "dim": 16, "depth": 3, "heads": 2, "dim_head": 8}
        places = {"max_seq_len": 64, "block_width": 4, "num_state_vectors": 4, "recurrent_layers": (2,)}
        return BlockRecurrentTransformer(**sizes, **places, **self.options).eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return [], []

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        memories, states = state
        y, *state = model(x, xl_memories=memories, states=states, return_memories_and_states=True)
        return y, tuple(state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        memories, states = state
        return [part[:, rows] for part in memories], [part[rows] for part in states]


class Plain(Blocks):
    name = "BlockRecurrentTransformer"


class QkNorm(Blocks):
    name = "BlockRecurrentTransformer(all_layers_qk_rmsnorm=True)"
    options: ClassVar[dict[str, Any]] = {"all_layers_qk_rmsnorm": True}


class Compressed(Blocks):
    name = "BlockRecurrentTransformer(use_compressed_mem=True)"
    options: ClassVar[dict[str, Any]] = {"use_compressed_mem": True, "compressed_mem_factor": 2}


class Flash(Blocks):
    name = "BlockRecurrentTransformer(use_flash_attn=True)"
    options: ClassVar[dict[str, Any]] = {"use_flash_attn": True}


SUBJECTS = (Plain, QkNorm, Compressed, Flash)
