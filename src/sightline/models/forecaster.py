"""Forecasters of any mechanisms of the table: all steps at once, or patch by patch.

Both take a window of series (B, L, C) with its covariates and give Q numbers for every step and channel, (B, H, C, Q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.core.settings import key
from sightline.core.state import select
from sightline.models.layers import LayersConfig, ModelHalf
from sightline.models.linear_forecasters import as_windows
from sightline.parts.front_end_choice import decode_choice
from sightline.parts.front_ends import Source
from sightline.parts.instance_norm import InstanceNorm, InstanceNormKind
from sightline.parts.series_patches import SeriesWindows

Channels = Literal["independent", "mixed"]


@final
class DirectForecaster(nn.Module):
    """Patches of the window through an encoder that sees all of it; one linear map of all patches gives all steps.

    Nie et al. 2023 (PatchTST, arXiv:2211.14730) with independent channels: each is a row of its own, weights shared;
    mixed channels are patches of all columns together. Covariates known ahead extend the window over the horizon,
    where the values are zero and a column says so. The columns of covariates go beside every channel.
    """

    def __init__(
        self,
        source: SeriesWindows,
        outputs: int,
        front_end: FrontEnd,
        positions: int,
        encoder: SequenceEncoder,
        norm: InstanceNorm,
        channels: Channels,
        dropout: float,
    ) -> None:
        super().__init__()
        self.source, self.outputs, self.channels = source, outputs, channels
        self.norm, self.front_end, self.encoder = norm, front_end, encoder
        columns = source.channels if channels == "mixed" else 1
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(positions * encoder.d_out, source.horizon * columns * outputs)

    def forward(
        self, values: Tensor, past: Tensor | None = None, known: Tensor | None = None, future: Tensor | None = None
    ) -> Tensor:
        """Forecasts (B, H, C, Q) of values (B, L, C), past (B, L, P), known (B, L + H, K); `future` is not read."""
        source = self.source
        x, statistics = self.norm(values)
        horizon = source.horizon if source.known else 0
        columns = [nn.functional.pad(_rows(x, self.channels), (0, 0, 0, horizon))]
        if source.past:
            columns.append(nn.functional.pad(_beside(_required(past, "past"), x, self.channels), (0, 0, 0, horizon)))
        if source.known:
            ahead = torch.ones_like(columns[0][:, :, :1])
            ahead[:, : source.lookback] = 0.0
            columns += [_beside(_required(known, "known"), x, self.channels), ahead]
        positions, _ = self.front_end(torch.cat(columns, 2))
        y = self.head(self.dropout(self.encoder(positions).flatten(1)))
        y = y.unflatten(1, (source.horizon, -1, self.outputs))  # (B·C, H, 1, Q) or (B, H, C, Q)
        if self.channels == "independent":
            y = y.squeeze(2).unflatten(0, (values.shape[0], source.channels)).transpose(1, 2)
        return self.norm.undo(y, statistics)


@final
class AutoregressiveForecaster(nn.Module):
    """A causal stack over patches: each predicts the next one, and predictions are fed back.

    It is a language model over stretches of numbers (Das et al. 2024, TimesFM, arXiv:2310.10688). The middle one of the
    Q numbers is fed back, so that intervals of later patches assume that it came true, and are too narrow. Every patch
    also carries the covariates that are known of the next one; covariates known only up to now are zero
    from the horizon on, where a column says so.
    """

    def __init__(
        self,
        source: SeriesWindows,
        outputs: int,
        patch: int,
        mixer: SequenceMixer,
        norm: InstanceNorm,
        channels: Channels,
    ) -> None:
        super().__init__()
        self.source, self.outputs, self.patch, self.channels = source, outputs, patch, channels
        if source.lookback % patch:
            raise InputError(f"must divide the look-back of {source.lookback} steps, found {patch}", where="patch")
        self.norm, self.mixer = norm, mixer
        self.columns = source.channels if channels == "mixed" else 1
        read = self.columns + source.past + bool(source.past) + 2 * source.known
        self.front_end = nn.Linear(patch * read, mixer.d_model)
        self.head = nn.Linear(mixer.d_out, patch * self.columns * outputs)

    def forward(
        self, values: Tensor, past: Tensor | None = None, known: Tensor | None = None, future: Tensor | None = None
    ) -> Tensor:
        """Forecasts (B, H, C, Q); with `future` (B, H, C), every step after the first patch given those before it.

        The latter, for training, is (B, L - P + H, C, Q): step P of the look-back first.
        """
        x, statistics = self.norm(values)
        rows = _rows(x, self.channels)
        covariates = self._covariates(x, past, known)
        if future is None:
            y = self._rollout(rows, covariates)
        else:
            ahead = _rows(self.norm.normalise(future, statistics), self.channels)
            whole = self._whole_patches(torch.cat([rows, ahead], 1))
            y, _ = self._predict(whole[:, : -self.patch], covariates, 0, None)
            y = y[:, : rows.shape[1] - self.patch + self.source.horizon]
        if self.channels == "independent":
            y = y.squeeze(2).unflatten(0, (values.shape[0], self.source.channels)).transpose(1, 2)
        return self.norm.undo(y, statistics)

    @torch.no_grad()
    def sample(
        self,
        values: Tensor,
        past: Tensor | None,
        known: Tensor | None,
        *,
        levels: Tensor,
        paths: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Forecasts (B, H, C, Q) whose numbers are quantiles of the rising `levels` (Q,), each given the past alone.

        Every patch is drawn `paths` times, each step from its predicted quantiles, joined by straight lines that extend
        beyond the outer ones; the model reads the drawn values. A step's quantiles are those of all its paths'
        distributions together. The first patch needs no draw. Steps of one patch are drawn independently: the model
        does not predict how they depend on each other.
        """
        x, statistics = self.norm(values)
        rows, covariates = _rows(x, self.channels), self._covariates(x, past, known)
        y, state = self._predict(rows, covariates, 0, None)
        patches = [y[:, -self.patch :].sort(3).values]  # (B', P, C', Q)
        start, steps = rows.shape[1], self.source.horizon - self.patch
        each = torch.arange(len(rows), device=rows.device).repeat_interleave(paths)
        state, predicted = select(state, each), patches[0][each]
        covariates = None if covariates is None else covariates[each]
        middle = (torch.arange(19, device=rows.device, dtype=rows.dtype) + 0.5) / 19
        while steps > 0:
            shares = torch.rand(predicted.shape[:3], generator=generator, device=rows.device, dtype=rows.dtype)
            drawn = at_levels(predicted, levels, shares.unsqueeze(3)).squeeze(3)
            y, state = self._predict(drawn, covariates, start, state)
            predicted = y.sort(3).values
            spread = at_levels(predicted, levels, middle.expand(*predicted.shape[:3], -1))  # (B'·N, P, C', 19)
            spread = spread.unflatten(0, (len(rows), paths)).movedim(1, 3).flatten(3)  # (B', P, C', N·19)
            patches.append(torch.quantile(spread, levels.to(spread.dtype), dim=3).movedim(0, 3))
            start, steps = start + self.patch, steps - self.patch
        y = torch.cat(patches, 1)[:, : self.source.horizon]
        if self.channels == "independent":
            y = y.squeeze(2).unflatten(0, (values.shape[0], self.source.channels)).transpose(1, 2)
        return self.norm.undo(y, statistics)

    def _rollout(self, rows: Tensor, covariates: Tensor | None) -> Tensor:
        """The horizon (B', H, C', Q), patch by patch; the stack's state carries what was read."""
        patches, state, start = [], None, 0
        steps = self.source.horizon
        while steps > 0:
            y, state = self._predict(rows, covariates, start, state)
            patches.append(y[:, -self.patch :])
            start += rows.shape[1]
            rows = patches[-1][..., self.outputs // 2]
            steps -= self.patch
        return torch.cat(patches, 1)[:, : self.source.horizon]

    def _predict(self, rows: Tensor, covariates: Tensor | None, start: int, state: Any) -> tuple[Tensor, Any]:
        """The next patch (B', T, C', Q) after each of rows (B', T, C') that begin at step `start`, and the state."""
        if covariates is not None:
            rows = torch.cat([rows, covariates[:, start : start + rows.shape[1]]], 2)
        patches = rows.unflatten(1, (-1, self.patch)).flatten(2)
        y, state = self.mixer(self.front_end(patches), state)
        return self.head(y).unflatten(2, (self.patch, self.columns, self.outputs)).flatten(1, 2), state

    def _covariates(self, x: Tensor, past: Tensor | None, known: Tensor | None) -> Tensor | None:
        """The covariates over look-back and horizon, in whole patches; None without any."""
        source, columns = self.source, []
        if source.past:
            read = _beside(_required(past, "past"), x, self.channels)
            read = torch.cat([read, torch.ones_like(read[:, :, :1])], 2)
            columns.append(nn.functional.pad(read, (0, 0, 0, source.horizon)))
        if source.known:
            now = _beside(_required(known, "known"), x, self.channels)
            then = nn.functional.pad(now[:, self.patch :], (0, 0, 0, self.patch))  # of the next patch
            columns += [now, then]
        return self._whole_patches(torch.cat(columns, 2)) if columns else None

    def _whole_patches(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 0, 0, -x.shape[1] % self.patch))


def at_levels(quantiles: Tensor, levels: Tensor, shares: Tensor) -> Tensor:
    """The values (…, N) at `shares` (…, N) of distributions whose quantiles (…, Q) of rising `levels` (Q,) are known.

    Straight lines join the quantiles and extend beyond the outer ones.
    """
    levels = levels.to(quantiles.dtype)
    if len(levels) == 1:
        return quantiles.expand(shares.shape)
    upper = torch.searchsorted(levels, shares.contiguous()).clamp(1, len(levels) - 1)
    low, high = quantiles.gather(-1, upper - 1), quantiles.gather(-1, upper)
    return low + (high - low) * (shares - levels[upper - 1]) / (levels[upper] - levels[upper - 1])


def _rows(x: Tensor, channels: Channels) -> Tensor:
    """Values (B, T, C) as rows: (B·C, T, 1) where channels are independent."""
    return x.transpose(1, 2).flatten(0, 1).unsqueeze(2) if channels == "independent" else x


def _beside(covariates: Tensor, x: Tensor, channels: Channels) -> Tensor:
    """Covariates (B, T, K) for each of the rows of x (B, ·, C)."""
    return covariates.repeat_interleave(x.shape[2], 0) if channels == "independent" else covariates


def _required(covariates: Tensor | None, name: str) -> Tensor:
    if covariates is None:
        raise ValueError(f"this forecaster reads covariates: give `{name}`")
    return covariates


@final
@dataclass(frozen=True)
class ForecasterConfig(LayersConfig):
    """Layers of (mixer, feed-forward) over patches of `patch` steps.

    decoding: "direct": an encoder that sees the whole window and a head for all steps at once, a patch every `stride`
        steps; "autoregressive": a causal stack, patch after patch without overlap
    stride: None = half a patch where patches may overlap, a whole one where they do not
    channels: "independent" reads each alone with the same weights, "mixed" all together
    instance_norm: see `InstanceNorm`
    head_dropout: on what the direct head reads
    paths: futures drawn for the quantiles of an autoregressive forecast; 0 reads the middle one again and again
    """

    decoding: Literal["direct", "autoregressive"] = key("direct", "Forecast all steps at once, or patch after patch.")
    patch: int = key(16, "Steps of a patch.", at_least=1)
    stride: int | None = key(None, "Steps between patches; null: half a patch if they may overlap, else a whole one.")
    channels: Channels = key("independent", "Read each channel alone with the same weights, or all together.")
    instance_norm: InstanceNormKind = key("revin", "How a window is normalised.")
    head_dropout: float = key(0.0, "Dropout before the direct head.")
    paths: int = key(20, "Futures drawn for autoregressive quantiles; 0: feed back the middle one.", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride is not None and not 1 <= self.stride <= self.patch:
            raise InputError(
                f"must be between 1 and the patch of {self.patch} steps, found {self.stride}", where="stride"
            )
        if self.decoding == "autoregressive" and self.stride not in (None, self.patch):
            raise InputError(
                f"must be the patch of {self.patch} steps: autoregressive patches do not overlap", where="stride"
            )

    @property
    def halves(self) -> dict[str, ModelHalf]:
        name, path = ("decoder", "mixer") if self.decoding == "autoregressive" else ("encoder", "encoder")
        return {name: ModelHalf(path, self)}

    def build(self, source: Source, outputs: int = 1) -> DirectForecaster | AutoregressiveForecaster:
        """A model of `outputs` numbers for every step and channel of `SeriesWindows`."""
        fed_back = self.decoding == "autoregressive"
        windows = as_windows(source, "autoregressive decoding cuts patches of its own" if fed_back else "")
        norm = InstanceNorm(windows.channels, self.instance_norm)
        if fed_back:
            return AutoregressiveForecaster(windows, outputs, self.patch, self.causal_layers(), norm, self.channels)
        columns = windows.channels if self.channels == "mixed" else 1
        columns += windows.past + windows.known + bool(windows.known)
        sizes = {"channels": columns, "patch": self.patch, "stride": self.stride or max(1, self.patch // 2)}
        embed = decode_choice(windows.front_end).fit("series_patches", {"series": sizes})
        steps = windows.lookback + (windows.horizon if windows.known else 0)
        front_end, positions = embed.build(self.d_model), embed.length_out(steps)
        read = front_end, positions, self.full_layers()
        return DirectForecaster(windows, outputs, *read, norm, self.channels, self.head_dropout)
