"""Closed-form continuous-time and liquid time-constant recurrences of `ncps`: the state is handed in and comes back."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP
from torch import Tensor, nn

from sightline.testing.foreign import Adapter, Offers

REQUIREMENTS = ("ncps==1.0.1",)
SIZE = 8


class Liquid(Adapter):
    """`CfC` and `LTC`: `model(x, hx)` gives outputs and the state, a pair of them with `mixed_memory`."""

    package = "ncps"
    offers: ClassVar[Offers] = Offers(size=SIZE)
    kind: ClassVar[type[nn.Module]] = CfC
    options: ClassVar[dict[str, Any]] = {}

    def build(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return self.kind(SIZE, self.units(), **self.options).double().eval()

    def units(self) -> Any:
        return 6

    def initial_state(self, model: Any, batch: int) -> Any:
        zeros = torch.zeros(batch, model.state_size, dtype=torch.float64)
        return (zeros, zeros) if model.use_mixed else zeros

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state)

    def select(self, model: Any, state: Any, rows: Tensor) -> Any:
        return tuple(part[rows] for part in state) if isinstance(state, tuple) else state[rows]


class PlainCfC(Liquid):
    name = "CfC"


class CfCPure(Liquid):
    name = "CfC(mode='pure')"
    options: ClassVar[dict[str, Any]] = {"mode": "pure"}


class CfCNoGate(Liquid):
    name = "CfC(mode='no_gate')"
    options: ClassVar[dict[str, Any]] = {"mode": "no_gate"}


class CfCMixed(Liquid):
    name = "CfC(mixed_memory=True)"
    options: ClassVar[dict[str, Any]] = {"mixed_memory": True}


class CfCProjected(Liquid):
    name = "CfC(proj_size=3)"
    options: ClassVar[dict[str, Any]] = {"proj_size": 3}


class CfCWired(Liquid):
    name = "CfC, AutoNCP wiring"

    def units(self) -> Any:
        return AutoNCP(12, 3)


class PlainLTC(Liquid):
    name = "LTC"
    kind = LTC


class LTCMixed(Liquid):
    name = "LTC(mixed_memory=True)"
    kind = LTC
    options: ClassVar[dict[str, Any]] = {"mixed_memory": True}


class LTCWired(Liquid):
    name = "LTC, AutoNCP wiring"
    kind = LTC

    def units(self) -> Any:
        return AutoNCP(12, 3)


class CfCTimes(Liquid):
    """With the time since the position before as (B, T); here it follows from the inputs. As many units as rows."""

    name = "CfC, timespans, units=3"

    def units(self) -> Any:
        return 3

    def forward(
        self, model: Any, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return model(x, state, timespans=0.5 + x[:, :, 0].sigmoid())


SUBJECTS = (PlainCfC, CfCPure, CfCNoGate, CfCMixed, CfCProjected, CfCWired, CfCTimes, PlainLTC, LTCMixed, LTCWired)
