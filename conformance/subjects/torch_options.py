"""torch's modules under their options: cells, packed and bidirectional recurrences, fast paths, caches of keys."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from conformance.subjects.torch_modules import SIZE, Attention, BidirectionalLSTM, Encoder, Recurrent
from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS: tuple[str, ...] = ()  # beside torch


class ReluRNN(Recurrent):
    name = "nn.RNN(nonlinearity='relu')"
    kind = nn.RNN
    options: ClassVar[dict[str, Any]] = {"nonlinearity": "relu"}


class UnbiasedGRU(Recurrent):
    name = "nn.GRU(bias=False)"
    kind = nn.GRU
    options: ClassVar[dict[str, Any]] = {"bias": False}


class PackedBidirectionalLSTM(BidirectionalLSTM):
    name = "nn.LSTM(bidirectional=True), packed"
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none", mask=("right",))

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        if mask is None:
            return model(x)
        packed = pack_padded_sequence(x, mask.sum(1), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(model(packed)[0], batch_first=True, total_length=x.shape[1])[0], None


class Cell(Adapter):
    """`nn.RNNCell`, `nn.GRUCell` and `nn.LSTMCell`, one position after the other."""

    offers: ClassVar[Offers] = Offers(size=SIZE, empty=False)
    kind: ClassVar[type[nn.RNNCellBase]]

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.kind(SIZE, SIZE).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        outputs = []
        for place in range(x.shape[1]):
            state = model(x[:, place], state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1), state

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return tuple(part[rows] for part in state) if isinstance(state, tuple) else state[rows]


class TorchRNNCell(Cell):
    name = "nn.RNNCell"
    kind = nn.RNNCell


class TorchGRUCell(Cell):
    name = "nn.GRUCell"
    kind = nn.GRUCell


class TorchLSTMCell(Cell):
    name = "nn.LSTMCell"
    kind = nn.LSTMCell


class NestedEncoder(Encoder):
    """With the conversion to nested tensors, which a mask of padding brings about in evaluation without gradients."""

    name = "nn.TransformerEncoder(enable_nested_tensor=True)"

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layer = nn.TransformerEncoderLayer(SIZE, 2, 16, batch_first=True)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).double().eval()


class BiasedEncoder(Encoder):
    """A float mask is added to the scores: a bias by distance, as the documentation of `attn_mask` has it."""

    name = "nn.TransformerEncoder, float mask"
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none")

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        places = torch.arange(x.shape[1], dtype=torch.float64)
        return model(x, mask=-0.5 * (places.unsqueeze(0) - places.unsqueeze(1)).abs()), None


class CausalDecoder(Adapter):
    """`nn.TransformerDecoder` of two layers with a causal mask and a memory of 4 vectors: it keeps no cache."""

    name = "nn.TransformerDecoder, causal"
    offers: ClassVar[Offers] = Offers(size=SIZE, state="none", mask=("right",))
    norm_first: ClassVar[bool] = False

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layer = nn.TransformerDecoderLayer(SIZE, 2, 16, batch_first=True, norm_first=self.norm_first)
        return nn.TransformerDecoder(layer, 2).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        memory = torch.linspace(-1, 1, 4 * SIZE, dtype=torch.float64).view(1, 4, SIZE).expand(len(x), -1, -1)
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        hidden = None if mask is None else ~mask
        return model(x, memory, tgt_mask=future, tgt_key_padding_mask=hidden, tgt_is_causal=True), None


class CausalDecoderNormFirst(CausalDecoder):
    name = "nn.TransformerDecoder(norm_first=True), causal"
    norm_first: ClassVar[bool] = True


class OptionalAttention(Attention):
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.MultiheadAttention(SIZE, 2, batch_first=True, **self.options).double().eval()


class BiasAttention(OptionalAttention):
    name = "nn.MultiheadAttention(add_bias_kv=True)"
    options: ClassVar[dict[str, Any]] = {"add_bias_kv": True}


class ZeroAttention(OptionalAttention):
    name = "nn.MultiheadAttention(add_zero_attn=True)"
    options: ClassVar[dict[str, Any]] = {"add_zero_attn": True}


class CachedAttention(Adapter):
    """`nn.MultiheadAttention` whose keys and values are all inputs so far, kept by the caller."""

    name = "nn.MultiheadAttention, causal, inputs kept"
    offers: ClassVar[Offers] = Offers(size=SIZE, empty=False)

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.MultiheadAttention(SIZE, 2, batch_first=True).double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        return torch.zeros(batch, 0, SIZE, dtype=torch.float64)

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        seen = torch.cat([state, x], 1)
        future = torch.ones(x.shape[1], seen.shape[1], dtype=torch.bool).triu(1 + state.shape[1])
        return model(x, seen, seen, attn_mask=future, need_weights=False)[0], seen

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return state[rows]


class Projected(nn.Module):
    """Queries, keys and values of two heads, for the functions of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.projected = nn.Linear(SIZE, 3 * SIZE)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        heads = self.projected(x).view(*x.shape[:2], 3, 2, SIZE // 2)
        return tuple(part.transpose(1, 2) for part in heads.unbind(2))  # each (B, H, T, K)


class CachedProduct(Adapter):
    """`scaled_dot_product_attention` with keys and values kept by the caller and a causal mask at the lower right."""

    name = "scaled_dot_product_attention, causal_lower_right"
    offers: ClassVar[Offers] = Offers(size=SIZE)

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Projected().double().eval()

    def initial_state(self, model: Any, batch: int) -> Any:
        nothing = torch.zeros(batch, 2, 0, SIZE // 2, dtype=torch.float64)
        return nothing, nothing

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        query, *new = model(x)
        keys, values = (torch.cat(pair, 2) for pair in zip(state, new, strict=True))
        future = causal_lower_right(query.shape[2], keys.shape[2])
        y = functional.scaled_dot_product_attention(query, keys, values, attn_mask=future)
        return y.transpose(1, 2).flatten(2), (keys, values)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return tuple(part[rows] for part in state)


class Flex(CachedProduct):
    """`flex_attention`, not compiled, with a `score_mod` that hides later positions and other documents.

    Its state has the number of each position's document, which `score_mod` reads.
    """

    name = "flex_attention"
    offers: ClassVar[Offers] = Offers(size=SIZE, documents=True)

    def initial_state(self, model: Any, batch: int) -> Any:
        return (*super().initial_state(model, batch), torch.zeros(batch, 0, dtype=torch.long))

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        query, *new = model(x)
        before = state[2]
        last = before[:, -1:] if before.shape[1] else torch.zeros(len(x), 1, dtype=torch.long)
        number = last + (torch.zeros(x.shape[:2], dtype=torch.long) if starts is None else starts.cumsum(1))
        keys, values = (torch.cat(pair, 2) for pair in zip(state[:2], new, strict=True))
        numbers = torch.cat([before, number], 1)
        earlier = before.shape[1]

        def visible(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
            return torch.where((k <= q + earlier) & (numbers[b, k] == numbers[b, q + earlier]), score, -float("inf"))

        y = flex_attention(query, keys, values, score_mod=visible)
        return y.transpose(1, 2).flatten(2), (keys, values, numbers)


SUBJECTS = (
    ReluRNN,
    UnbiasedGRU,
    PackedBidirectionalLSTM,
    TorchRNNCell,
    TorchGRUCell,
    TorchLSTMCell,
    NestedEncoder,
    BiasedEncoder,
    CausalDecoder,
    CausalDecoderNormFirst,
    BiasAttention,
    ZeroAttention,
    CachedAttention,
    CachedProduct,
    Flex,
)
