"""`FeedbackTransformer` of `feedback-transformer-pytorch`: calls are multiples of `seq_len`, the memory comes back."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from feedback_transformer_pytorch import FeedbackTransformer
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("feedback-transformer-pytorch==0.0.11",)
SIZE = 40


class Feedback(Adapter):
    package = "feedback-transformer-pytorch"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, chunk=2, empty=False)
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        sizes = {"num_tokens": SIZE, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8}
        options = {"mem_len": 8, "seq_len": self.offers.chunk, **self.options}
        return FeedbackTransformer(**sizes, **options).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state, return_memory=True)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return type(state)(*(part[rows] for part in state))


class Pairs(Feedback):
    name = "FeedbackTransformer, seq_len=2"


class Singles(Feedback):
    name = "FeedbackTransformer, seq_len=1"
    offers: ClassVar[Offers] = Offers("tokens", SIZE, empty=False)


class LastHidden(Feedback):
    name = "FeedbackTransformer(keep_last_hidden=True)"
    options: ClassVar[dict[str, Any]] = {"keep_last_hidden": True}


SUBJECTS = (Pairs, Singles, LastHidden)
