"""The graphs of each form of model, as modules over lists of tensors."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from sightline.core.state import leaves
from sightline.export.onnx_state import StateNames, filled


@final
class Start(nn.Module):
    """The encoder of an encoder-decoder: sources and masks in, the decoder's state before the first token out."""

    def __init__(self, model: Any, nest: Any) -> None:
        super().__init__()
        self.model, self.nest = model, nest

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        memory = self.model.encode(*self.nest(inputs))
        state = self.model.decoder.initial_state(memory.values.shape[0], memory)
        return [leaf.clone() for leaf in leaves(state)]


@final
class DecoderGraph(nn.Module):
    """One step of a decoder: tokens (B,) and the state in; logits (B, V) and the tensors that change out.

    chunk: whether it reads several positions at once: tokens (B, T), logits (B, T, V)
    """

    def __init__(self, decoder: Any, like: Any, state: StateNames, *, chunk: bool = False) -> None:
        super().__init__()
        self.decoder, self.like, self.state, self.chunk = decoder, like, state, chunk

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        tokens, *before = inputs
        read = self.decoder if self.chunk else self.decoder.step
        logits, after = read(tokens, filled(self.like, before))
        return [logits, *self.state.after(list(leaves(after)))]


@final
class Whole(nn.Module):
    """A model without a state: its inputs in, its one output out."""

    def __init__(self, model: Any, nest: Any) -> None:
        super().__init__()
        self.model, self.nest = model, nest

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        return [self.model(*self.nest(inputs))]
