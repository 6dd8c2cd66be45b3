"""Recurrent and attention layers of `keras` on torch: `mask` hides either side, `initial_state` continues."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import torch
from torch import Tensor

os.environ["KERAS_BACKEND"] = "torch"
import keras
from keras import layers

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("keras==3.15.1",)
SIZE = 8


class Recurrent(Adapter):
    """Returns all outputs and its states."""

    package = "keras"
    offers: ClassVar[Offers] = Offers(size=SIZE, mask=("left", "right"), tolerance=1e-6)
    kind: ClassVar[Any]
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        layer = self.kind(6, return_sequences=True, return_state=True, dtype="float64", **self.options)
        layer(torch.zeros(1, 2, SIZE, dtype=torch.float64))
        return layer

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y, *state = model(x, mask=mask, initial_state=state)
        return y, state

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return [part[rows] for part in state]


class Simple(Recurrent):
    name = "SimpleRNN"
    kind = layers.SimpleRNN


class Gru(Recurrent):
    name = "GRU"
    kind = layers.GRU


class GruResetBefore(Recurrent):
    name = "GRU(reset_after=False)"
    kind = layers.GRU
    options: ClassVar[dict[str, Any]] = {"reset_after": False}


class Lstm(Recurrent):
    name = "LSTM"
    kind = layers.LSTM


class LstmUnrolled(Recurrent):
    name = "LSTM(unroll=True)"
    kind = layers.LSTM
    options: ClassVar[dict[str, Any]] = {"unroll": True}


class LstmZeros(Recurrent):
    name = "LSTM(zero_output_for_mask=True)"
    kind = layers.LSTM
    options: ClassVar[dict[str, Any]] = {"zero_output_for_mask": True}


class BidirectionalLstm(Adapter):
    name = "Bidirectional(LSTM)"
    package = "keras"
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none", mask=("left", "right"), tolerance=1e-6)

    def build(self, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        layer = layers.Bidirectional(layers.LSTM(6, return_sequences=True, dtype="float64"), dtype="float64")
        layer(torch.zeros(1, 2, SIZE, dtype=torch.float64))
        return layer

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, mask=mask), None


class Attention(Adapter):
    """`attention_mask` (B, T, S) is made of the mask of positions, as the documentation of the layer shows."""

    name = "MultiHeadAttention"
    package = "keras"
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none", mask=("left", "right"), tolerance=1e-6)
    causal: ClassVar[bool] = False

    def build(self, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        layer = layers.MultiHeadAttention(2, 4, dtype="float64")
        zeros = torch.zeros(1, 2, SIZE, dtype=torch.float64)
        layer(zeros, zeros)
        return layer

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        seen = None if mask is None else mask.unsqueeze(1).expand(-1, x.shape[1], -1)
        return model(x, x, attention_mask=seen, use_causal_mask=self.causal), None


class CausalAttention(Attention):
    name = "MultiHeadAttention(use_causal_mask=True)"
    offers: ClassVar[Offers] = Offers(size=SIZE, state="none", mask=("left", "right"), tolerance=1e-6)
    causal: ClassVar[bool] = True


class Grouped(Attention):
    name = "GroupQueryAttention"

    def build(self, seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        layer = layers.GroupQueryAttention(4, 4, 2, dtype="float64")
        zeros = torch.zeros(1, 2, SIZE, dtype=torch.float64)
        layer(zeros, zeros)
        return layer


SUBJECTS = (
    Simple,
    Gru,
    GruResetBefore,
    Lstm,
    LstmUnrolled,
    LstmZeros,
    BidirectionalLstm,
    Attention,
    CausalAttention,
    Grouped,
)
