"""`RecurrentMemoryTransformer` of `recurrent-memory-transformer-pytorch`, whose wrapper reads by segments.

Calls come in multiples of a segment; the memories that come back are handed to the next call.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

import torch
from recurrent_memory_transformer_pytorch import RecurrentMemoryTransformer, RecurrentMemoryTransformerWrapper
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("recurrent-memory-transformer-pytorch==0.7.0", "packaging==26.4")
SIZE = 40


class Memories(Adapter):
    package = "recurrent-memory-transformer-pytorch"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, chunk=4, empty=False, tolerance=2e-5)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        random.seed(seed)  # the order of its residual streams
        sizes = {"num_tokens": SIZE, "num_memory_tokens": 3, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8}
        model = RecurrentMemoryTransformer(seq_len=4, **sizes, **self.options)
        return RecurrentMemoryTransformerWrapper(model).eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state[rows]


class Plain(Memories):
    name = "RecurrentMemoryTransformerWrapper"


class Rotary(Memories):
    name = "RecurrentMemoryTransformerWrapper, rotary"
    options: ClassVar[dict[str, Any]] = {"rotary_pos_emb": True, "abs_pos_emb": False}


class Flash(Memories):
    name = "RecurrentMemoryTransformerWrapper, use_flash_attn"
    options: ClassVar[dict[str, Any]] = {"use_flash_attn": True}


class WrittenAgain(Memories):
    name = "RecurrentMemoryTransformerWrapper, add_write_to_next_write_mem"
    options: ClassVar[dict[str, Any]] = {"add_write_to_next_write_mem": True, "next_write_mem_stop_grad": False}


class Generated(Memories):
    """Continued as its `generate` continues: by the transformer, with its memories and those of Transformer-XL."""

    name = "RecurrentMemoryTransformerWrapper, continued as by generate"

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        memories, old = (None, None) if state is None else state
        outputs = []
        for segment in x.split(model.seq_len, 1):
            y, memories, old = model.transformer(segment, memories, xl_memories=old)
            outputs.append(y)
        return model(x)[0] if state is None else torch.cat(outputs, 1), (memories, old)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        memories, old = state
        return memories[rows], [part[:, rows] for part in old or ()]


class GeneratedWithout(Generated):
    name = "RecurrentMemoryTransformerWrapper(use_xl_memories=False), continued as by generate"
    options: ClassVar[dict[str, Any]] = {"use_xl_memories": False}


SUBJECTS = (Plain, Rotary, Flash, WrittenAgain, Generated, GeneratedWithout)
