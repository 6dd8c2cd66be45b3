"""Forecasters under measurement: what each step of the look-back does to the forecast."""

from __future__ import annotations

import copy
import math
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.seeds import derive
from sightline.data.series.windows import WindowBatch
from sightline.inspect.record import recorded_inputs
from sightline.lab.bands import median_band, ratio_band
from sightline.lab.forms.form import Past, RunForm, Sampled
from sightline.lab.forms.layers import whole_forecaster
from sightline.lab.forms.states import NO_STATE, reading_reach
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import LossAlong, Reach
from sightline.lab.reach import (
    EXACT,
    PROBES,
    StateReach,
    cotangents,
    distances,
    input_reach,
    recurrent_matrices,
    state_bands,
)
from sightline.tasks.forecasting.loss import forecast_errors


@final
class ForecasterForm(RunForm):
    """A forecaster; lags count from the last step of the look-back, and errors are in the scaled units of training.

    A window with its last k steps alone repeats the oldest of them in the place of those before, past covariates too:
    every forecaster reads windows of one length.
    """

    def mechanisms(self) -> list[Mechanism]:
        return whole_forecaster(self.run)

    def reach(self, model: Any, sampled: Sampled, *, used: bool = True) -> list[Reach]:
        lookback = self.task.config.lookback
        lags = distances(lookback)
        reads = [*lags, lookback]
        band = None
        if used:
            batches = self._batches(sampled.labels)
            losses = [np.concatenate([self._errors(model, _cut(b, k)).mean((1, 2)) for b in batches]) for k in reads]
            band = ratio_band(reads, *self._by_stretch(np.stack(losses, 1), sampled.labels))
        wide = copy.deepcopy(model).double()
        generator = torch.Generator().manual_seed(derive(sampled.seed, "cotangents"))
        gradients: list[Tensor] = []
        states: list[StateReach | None] = []
        read = 0
        for batch in self._batches(sampled.sequences, one=True):
            batch = _wide(batch)
            gradients.append(_forecast_reach(wide, batch, generator).flip(0)[[0, *lags]])
            read = _positions(wide, batch)
            if read > 1:
                states.append(reading_reach(wide, lambda b=batch: _forecast(wide, b), distances(read), generator))
        known = [one for one in states if one is not None]
        if not known:
            reasons = {0: "the model has no layers with a state", 1: "the layers read one position"}
            self.lacks("gain from state to state", reasons.get(read, NO_STATE))
        return [
            Reach(
                self.name,
                trained=True,
                input=median_band([0, *lags], torch.stack(gradients).cpu().numpy()),
                over="look-back",
                used=band,
                loss_unit=self._unit if used else "",
                matrices=recurrent_matrices(model),
                **state_bands(distances(max(read, 1)), known),
            )
        ]

    def past(self, most: int) -> Past:
        errors = [self._errors(self.model, batch).mean(2) for batch in self._batches(most)]
        sums, counts = self._by_stretch(np.concatenate(errors), most)
        at = list(range(1, sums.shape[1] + 1))
        return Past([LossAlong(self.name, "step ahead", self._unit, len(sums), ratio_band(at, sums, counts))])

    def _by_stretch(self, errors: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums and numbers (I, K) of errors (N, K) of windows, over stretches of series as long as a horizon.

        Windows of one stretch share steps: they are no independent trials.
        """
        windows = self._windows(most)
        stretch = np.stack([windows.record, windows.origin // windows.horizon], 1)
        _, item = np.unique(stretch, axis=0, return_inverse=True)
        sums, counts = np.zeros((2, int(item.max()) + 1, errors.shape[1]))
        np.add.at(sums, item.ravel(), errors)
        np.add.at(counts, item.ravel(), 1.0)
        return sums, counts

    @property
    def _unit(self) -> str:
        return f"scaled {self.task.config.metric_name}"

    def _windows(self, most: int) -> Any:
        return self.task.spaced(self.task.sized(self.part), most)

    def _batches(self, most: int, *, one: bool = False) -> list[WindowBatch]:
        """Evenly spaced windows in order; `one` in each batch."""
        windows = self._windows(most)
        parts = [windows.select([row]) for row in range(len(windows))] if one else [windows]
        return [batch.to(self.task.device) for part in parts for batch in self.task.fitted.in_order(part)]

    @torch.no_grad()
    def _errors(self, model: nn.Module, batch: WindowBatch) -> np.ndarray:
        """(B, H, C), as the training loss counts them; quantiles that cross are put in order."""
        config, predicted = self.task.config, _forecast(model, batch)
        predicted = predicted.sort(3).values if config.levels else predicted
        return forecast_errors(predicted, batch.future, config).double().cpu().numpy()


def _forecast(model: nn.Module, batch: WindowBatch) -> Tensor:
    """(B, H, C, Q)"""
    return model(batch.values, batch.past, batch.known)


def _wide(batch: WindowBatch) -> WindowBatch:
    values, past, known, future = (part.double() for part in batch[:4])
    return batch._replace(values=values, past=past, known=known, future=future)


def _cut(batch: WindowBatch, k: int) -> WindowBatch:
    """The windows with the oldest of their last k steps in the place of all before them."""
    values, past = batch.values.clone(), batch.past.clone()
    for part in (values, past):
        part[:, :-k] = part[:, -k:][:, :1]
    return batch._replace(values=values, past=past)


def _forecast_reach(model: nn.Module, batch: WindowBatch, generator: torch.Generator) -> Tensor:
    """‖∂ forecast/∂x_s‖_F / √(numbers of the forecast) for every step s of one window; of quantiles the middle one."""
    with torch.no_grad():
        count = _forecast(model, batch)[..., 0].numel()
    copies = count if count <= EXACT else PROBES
    with torch.enable_grad():
        values = batch.values.expand(copies, -1, -1).clone().requires_grad_()
        past, known = (part.expand(copies, -1, -1) for part in (batch.past, batch.known))
        y = model(values, past, known)
        y = y[..., y.shape[3] // 2].flatten(1)
    vectors = cotangents(copies, count, y, generator, complete=count <= EXACT)
    return input_reach(y, values, vectors) / math.sqrt(count)


def _positions(model: nn.Module, batch: WindowBatch) -> int:
    """The number of vectors that the layers read of one window; 0 without layers."""
    layers = getattr(model, "encoder", getattr(model, "mixer", None))
    if layers is None:
        return 0
    with torch.no_grad(), recorded_inputs({"layers": layers}) as inputs:
        _forecast(model, batch)
    return inputs["layers"].shape[1]
