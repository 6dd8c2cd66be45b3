"""The protocols of models' configs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import nn

from sightline.models.sequence_model import SequenceModel
from sightline.parts.front_ends import Source


@runtime_checkable
class ModelConfig(Protocol):
    """A preset of `ARCHITECTURES`: an encoder-decoder that can be resized."""

    @property
    def d_model(self) -> int: ...

    def resized(self, d_model: int) -> Any: ...

    def build(self, source: Source, outputs: int) -> SequenceModel: ...


@runtime_checkable
class SizedConfig(Protocol):
    """A preset of any form: `build(source, outputs)` makes the model."""

    @property
    def d_model(self) -> int: ...

    def resized(self, d_model: int) -> Any: ...

    @property
    def build(self) -> Callable[..., nn.Module]: ...
