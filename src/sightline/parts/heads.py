"""Output layers: predictions from vectors of width D."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from torch import Tensor, nn

from sightline.parts.lazy_logits import LazyLogits


@final
class TokenHead(nn.Module):
    """Logits (…, vocabulary) of x (…, D); `tied` shares an embedding matrix (Press & Wolf 2017)."""

    def __init__(self, d_model: int, vocabulary: int, *, tied: nn.Parameter | None = None, bias: bool = True) -> None:
        super().__init__()
        self.lazy = False
        self.linear = nn.Linear(d_model, vocabulary, bias)
        if tied is None:
            nn.init.xavier_uniform_(self.linear.weight)
        elif tied.shape != (vocabulary, d_model):
            raise ValueError(f"cannot tie a head of shape {(vocabulary, d_model)} to weights of {tuple(tied.shape)}")
        else:
            self.linear.weight = tied
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return LazyLogits.of(x, self.linear) if self.lazy else self.linear(x)


@contextmanager
def lazy_heads(model: nn.Module) -> Iterator[None]:
    """Inside the block the logits of the model's heads are computed when somebody reads them; see `LazyLogits`."""
    before = [(head, head.lazy) for head in model.modules() if isinstance(head, TokenHead)]
    for head, _ in before:
        head.lazy = True
    try:
        yield
    finally:
        for head, lazy in before:  # another block around this one may need it still
            head.lazy = lazy
