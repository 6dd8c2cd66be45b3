"""torch's own recurrent and attention modules."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS: tuple[str, ...] = ()  # beside torch
SIZE = 8


class Recurrent(Adapter):
    """`nn.RNN`, `nn.GRU` and `nn.LSTM` of two layers: the state is (layers, B, units), a pair of them for the LSTM."""

    offers: ClassVar[Offers] = Offers(size=SIZE)
    kind: ClassVar[type[nn.RNNBase]]
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.kind(SIZE, SIZE, 2, batch_first=True, **self.options).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return tuple(part[:, rows] for part in state) if isinstance(state, tuple) else state[:, rows]


class TorchRNN(Recurrent):
    name = "nn.RNN"
    kind = nn.RNN


class TorchGRU(Recurrent):
    name = "nn.GRU"
    kind = nn.GRU


class TorchLSTM(Recurrent):
    name = "nn.LSTM"
    kind = nn.LSTM


class ProjectedLSTM(Recurrent):
    name = "nn.LSTM(proj_size=3)"
    kind = nn.LSTM
    options: ClassVar[dict[str, Any]] = {"proj_size": 3}


class PackedLSTM(TorchLSTM):
    """With `pack_padded_sequence`, the documented way to leave out padding after a sequence."""

    name = "nn.LSTM, packed"
    offers: ClassVar[Offers] = Offers(size=SIZE, mask=("right",))

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        if mask is None:
            return model(x, state)
        packed = pack_padded_sequence(x, mask.sum(1), batch_first=True, enforce_sorted=False)
        y, state = model(packed, state)
        return pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], state


class BidirectionalLSTM(Recurrent):
    name = "nn.LSTM(bidirectional=True)"
    kind = nn.LSTM
    options: ClassVar[dict[str, Any]] = {"bidirectional": True}
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none")


class Encoder(Adapter):
    """`nn.TransformerEncoder` of two layers: `src_key_padding_mask` hides positions on either side."""

    name = "nn.TransformerEncoder"
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none", mask=("left", "right"))
    norm_first: ClassVar[bool] = False

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layer = nn.TransformerEncoderLayer(SIZE, 2, 16, batch_first=True, norm_first=self.norm_first)
        return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, src_key_padding_mask=None if mask is None else ~mask), None


class EncoderNormFirst(Encoder):
    name = "nn.TransformerEncoder(norm_first=True)"
    norm_first: ClassVar[bool] = True


class CausalEncoder(Encoder):
    """The same with a causal mask, as a decoder without cross-attention: it keeps no cache."""

    name = "nn.TransformerEncoder, causal"
    offers: ClassVar[Offers] = Offers(size=SIZE, state="none", mask=("right",))

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        return model(x, mask=future, src_key_padding_mask=None if mask is None else ~mask), None


class Attention(Adapter):
    """`nn.MultiheadAttention` over itself: `key_padding_mask` hides positions on either side."""

    name = "nn.MultiheadAttention"
    offers: ClassVar[Offers] = Offers(size=SIZE, causal=False, state="none", mask=("left", "right"))
    need_weights: ClassVar[bool] = False

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.MultiheadAttention(SIZE, 2, batch_first=True).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        hidden = None if mask is None else ~mask
        return model(x, x, x, key_padding_mask=hidden, need_weights=self.need_weights)[0], None


class AttentionWithWeights(Attention):
    name = "nn.MultiheadAttention(need_weights=True)"
    need_weights: ClassVar[bool] = True


SUBJECTS = (
    TorchRNN,
    TorchGRU,
    TorchLSTM,
    ProjectedLSTM,
    PackedLSTM,
    BidirectionalLSTM,
    Encoder,
    EncoderNormFirst,
    CausalEncoder,
    Attention,
    AttentionWithWeights,
)
