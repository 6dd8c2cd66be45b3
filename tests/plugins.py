"""Plugins for tests: a file with one, and tables that are afterwards as before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.mixers import MIXERS
from sightline.models import FORMS
from sightline.models.layers import SELF_MIXERS
from sightline.models.plugins import LOADED

# The mechanism of a GRU under another name: what it computes is known.
ECHO = """
from dataclasses import dataclass

from sightline.mixers.gru import GRUConfig


@dataclass(frozen=True)
class EchoConfig:
    def build(self, d_model):
        return GRUConfig().build(d_model)


MIXERS = {"echo": EchoConfig}
"""

# Not a mechanism but a whole model: mean embedding and a linear map (Joulin et al. 2017, fastText).
BAG = """
from dataclasses import dataclass, replace

from torch import nn

from sightline.parts.front_ends import build_front_end


@dataclass(frozen=True)
class BagConfig:
    d_model: int = 8

    def resized(self, d_model):
        return replace(self, d_model=d_model)

    def build(self, source, outputs):
        return Bag(build_front_end(source, self.d_model), outputs)


class Bag(nn.Module):
    def __init__(self, front_end, outputs):
        super().__init__()
        self.front_end, self.head = front_end, nn.Linear(front_end.d_model, outputs)

    def forward(self, source, mask=None):
        x, mask = self.front_end(source, mask)
        return self.head(x.mean(1) if mask is None else (x * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True))


FORMS = {"encoder": {"bag": BagConfig()}}
"""


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """Afterwards no plugin of the folder is loaded or imported."""
    tables = (MIXERS, LOADED, *FORMS.values())
    before, layers, path = [dict(table) for table in tables], list(SELF_MIXERS), list(sys.path)
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
        SELF_MIXERS[:], sys.path[:] = layers, path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(f"{folder}/"):
                del sys.modules[name]
