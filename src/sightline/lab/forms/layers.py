"""Layers of trained runs as mechanisms whose time, memory and serial work are measured at any length."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, final

from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer
from sightline.lab.forms.form import TrainedRun, as_mechanism
from sightline.lab.mechanism import Mechanism
from sightline.models.encoder import Encoder
from sightline.models.sequence_model import SequenceModel


@final
class AsVectors(nn.Module):
    """In the place of a front end: the source is vectors already."""

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return inputs, mask


@final
class ReadAndWritten(SequenceMixer[Any]):
    """The layers of an encoder-decoder as one mixer: its memory are vectors that the encoder has yet to read."""

    def __init__(self, encoder: Encoder, mixer: SequenceMixer, d_source: int) -> None:
        super().__init__()
        self.encoder, self.mixer = encoder, mixer
        self.d_model, self.d_out, self.d_memory = mixer.d_model, mixer.d_out, d_source

    def initial_state(self, batch: int, memory: Memory | None = None) -> Any:
        if memory is None:
            raise ValueError("an encoder-decoder reads a source: call initial_state(batch, memory)")
        return self.mixer.initial_state(batch, self.encoder(memory.values, memory.mask))

    def forward(
        self, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        return self.mixer(x, state, mask, starts)

    def step(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.mixer.step(x_t, state)


def read_and_written(run: TrainedRun, model: SequenceModel) -> list[Mechanism]:
    """The layers of both sides, whose lengths grow together, then each alone."""
    encoder: Any = copy.deepcopy(model.encoder)
    width = encoder.front_end.d_model
    encoder.front_end = AsVectors()
    (whole,) = as_mechanism(run, ReadAndWritten(encoder, copy.deepcopy(model.decoder.mixer), width))
    return [whole, replace(whole, along="source"), replace(whole, along="target")]


@final
class WholeForecaster(SequenceEncoder):
    """A forecaster with its covariates at zero, in training: each patch after those that came true."""

    def __init__(self, model: nn.Module, source: Any, lookback: int) -> None:
        super().__init__()
        self.model, self.source, self.lookback = model, source, lookback
        self.d_model = self.d_out = source.channels

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        """Numbers (B, H, ·) of the forecasts from values x (B, L, C), padded in front to whole patches."""
        x = nn.functional.pad(x, (0, 0, self.lookback - x.shape[1], 0))
        source, rows = self.source, len(x)
        past, known = (
            x.new_zeros(rows, self.lookback, source.past),
            x.new_zeros(rows, self.lookback + source.horizon, source.known),
        )
        return self.model(x, past, known, x.new_zeros(rows, source.horizon, source.channels)).flatten(2)


@final
@dataclass(frozen=True)
class ForecasterOfSteps:
    """The config of a forecaster: a new model of the same sizes for each look-back."""

    config: Any
    source: Any
    outputs: int

    def build_for(self, length: int) -> WholeForecaster:
        """The model of the shortest look-back of whole patches with `length` steps."""
        patch = getattr(self.config, "patch", 1)
        lookback = -(-length // patch) * patch
        source = replace(self.source, lookback=lookback)
        return WholeForecaster(self.config.build(source, self.outputs), source, lookback)


def whole_forecaster(run: TrainedRun) -> list[Mechanism]:
    """The whole model of a forecasting run, whose length is that of its look-back, in steps."""
    task = run.task
    return [Mechanism(run.name, ForecasterOfSteps(task.config.model, task.source, task.outputs), task.source.channels)]
