"""Recurrent layers of `torchrecurrent`, called as `nn.LSTM` is."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torchrecurrent
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("torchrecurrent==0.2.5",)
SIZE = 8


class Layers(Adapter):
    """Two layers; the state is (layers, B, units), or a pair of them."""

    package = "torchrecurrent"
    offers: ClassVar[Offers] = Offers(size=SIZE, tolerance=1e-6)

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return getattr(torchrecurrent, self.name)(SIZE, SIZE, num_layers=2, batch_first=True).double().eval()

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return tuple(part[:, rows] for part in state) if isinstance(state, tuple) else state[:, rows]


NAMES = (
    "AntisymmetricRNN", "CFN", "coRNN", "FastGRNN", "IndRNN", "JANET", "LEM", "LiGRU", "MCLSTM", "MGU", "MinimalRNN",
    "MultiplicativeLSTM", "NAS", "OriginalLSTM", "PeepholeLSTM", "RAN", "SCRN", "UGRNN", "UnICORNN",
)  # fmt: skip
SUBJECTS = tuple(type(name, (Layers,), {"name": name}) for name in NAMES)
