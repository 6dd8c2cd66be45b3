"""Forecasters: the linear ones against their formulas; the inputs that each of the others may depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from sightline.core.errors import InputError
from sightline.models import FORECASTERS, ForecasterConfig, match_parameters
from sightline.models.forecaster import AutoregressiveForecaster, at_levels
from sightline.models.linear_forecasters import DLinearConfig, NLinearConfig
from sightline.models.stack import Pointwise
from sightline.parts.instance_norm import InstanceNorm
from sightline.parts.series_patches import SeriesWindows

LAYERED = [name for name in FORECASTERS if name not in ("dlinear", "nlinear")]
DECODINGS = ("direct", "autoregressive")


def small(name: str = "transformer", **changes: object) -> ForecasterConfig:
    return replace(FORECASTERS[name], d_model=16, layers=1, heads=2, patch=4, dropout=0.0, **changes)


def batch(source: SeriesWindows, rows: int = 3, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    torch.manual_seed(1)
    whole = source.lookback + source.horizon
    shapes = [(source.lookback, source.channels), (source.lookback, source.past), (whole, source.known),
              (source.horizon, source.channels)]  # fmt: skip
    return [torch.randn(rows, *shape, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("window", [1, 4, 5, 25])
def test_dlinear_is_its_formula(window: int) -> None:
    torch.manual_seed(0)
    source = SeriesWindows(12, 5, 2)
    model = DLinearConfig(moving_average=window).build(source, 1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, 12, 2)
    before, after = (window - 1) // 2, window // 2
    expected = np.zeros((3, 5, 2))
    for b, c in np.ndindex(3, 2):
        row = x[b, :, c].numpy()
        padded = np.concatenate([np.full(before, row[0]), row, np.full(after, row[-1])])
        trend = np.array([padded[t : t + window].mean() for t in range(12)])
        for part, rest in ((model.season, row - trend), (model.trend, trend)):
            expected[b, :, c] += part.weight[0].detach().numpy().T @ rest + part.bias[0, 0].detach().numpy()
    np.testing.assert_allclose(model(x)[..., 0].detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_nlinear_follows_the_level() -> None:
    model = NLinearConfig().build(SeriesWindows(12, 5, 2), 1).double()
    x = torch.randn(3, 12, 2, dtype=torch.float64)
    torch.testing.assert_close(model(x + 100.0), model(x) + 100.0)
    assert model(x).shape == (3, 5, 2, 1)


@pytest.mark.parametrize("config", [DLinearConfig, NLinearConfig])
def test_linear_maps_of_each_column_are_its_own(config: type) -> None:
    source = SeriesWindows(8, 3, 4)
    shared, own = config().build(source, 2), config(individual=True).build(source, 2)
    count = [sum(p.numel() for p in model.parameters()) for model in (shared, own)]
    assert count[1] == 4 * count[0]
    state = {name: value.repeat(4, 1, 1) for name, value in shared.state_dict().items()}
    own.load_state_dict(state)
    x = torch.randn(2, 8, 4)
    torch.testing.assert_close(own(x), shared(x))


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("channels", ["independent", "mixed"])
@pytest.mark.parametrize("name", LAYERED)
def test_every_mechanism_forecasts(name: str, channels: str, decoding: str) -> None:
    source = SeriesWindows(16, 7, 3, 2, 1)
    model = small(name, channels=channels, decoding=decoding).build(source, 3).eval()
    values, past, known, future = batch(source, dtype=torch.float32)
    forecast = model(values, past, known)
    assert forecast.shape == (3, 7, 3, 3)
    assert forecast.isfinite().all()
    model.train()(values, past, known, future).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("decoding", DECODINGS)
def test_independent_columns_know_nothing_of_each_other_and_mixed_ones_do(decoding: str) -> None:
    source = SeriesWindows(16, 6, 3)
    values, *_ = batch(source)
    other = values.clone()
    other[:, :, 1] += torch.randn(3, 16, dtype=torch.float64)
    for channels in ("independent", "mixed"):
        model = small(channels=channels, decoding=decoding).build(source, 1).double().eval()
        same = torch.isclose(model(values), model(other), rtol=0, atol=1e-12).flatten(3)[..., 0]
        assert not same[:, :, 1].any()
        assert bool(same[:, :, [0, 2]].all()) == (channels == "independent")


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("kind", ["standard", "revin"])
def test_forecasts_follow_level_and_spread(decoding: str, kind: str) -> None:
    """f(a x + b) = a f(x) + b, which is what instance normalisation is for."""
    source = SeriesWindows(16, 6, 2)
    model = small(decoding=decoding, instance_norm=kind).build(source, 1).double().eval()
    values, *_ = batch(source)
    torch.testing.assert_close(model(50 * values + 7), 50 * model(values) + 7, rtol=1e-3, atol=1e-3)


def test_a_direct_forecast_does_not_read_what_it_should_say() -> None:
    source = SeriesWindows(16, 6, 2, 1, 1)
    model = small().build(source, 1).double().eval()
    values, past, known, future = batch(source)
    torch.testing.assert_close(model(values, past, known, future), model(values, past, known), rtol=0, atol=0)


@pytest.mark.parametrize("name", LAYERED)
def test_a_patch_given_those_before_it_sees_none_after_it(name: str) -> None:
    source = SeriesWindows(8, 12, 2)
    model = small(name, decoding="autoregressive").build(source, 1).double().eval()
    values, past, known, future = batch(source)
    forecast = model(values, past, known, future)  # (B, 8 - 4 + 12, C, Q): steps 4 … 19
    changed = future.clone()
    changed[:, 4:] = torch.randn_like(changed[:, 4:])
    after = model(values, past, known, changed)
    # Steps 4 … 15 read steps up to 11.
    torch.testing.assert_close(after[:, :12], forecast[:, :12], rtol=0, atol=1e-12)
    assert not torch.allclose(after[:, 12:], forecast[:, 12:])


@pytest.mark.parametrize("name", LAYERED)
def test_writing_patch_by_patch_equals_reading_the_patches(name: str) -> None:
    """A free-running forecast equals the output for its own values, all at once, without a state."""
    source = SeriesWindows(8, 10, 2, 1, 2)
    model = small(name, decoding="autoregressive").build(source, 3).double().eval()
    values, past, known, _ = batch(source)
    forecast = model(values, past, known)
    again = model(values, past, known, forecast[..., 1])[:, -10:]
    torch.testing.assert_close(again, forecast, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_what_is_known_ahead_is_read_and_what_is_not_has_no_future(decoding: str) -> None:
    source = SeriesWindows(8, 8, 1, 1, 1)
    model = small(decoding=decoding).build(source, 1).double().eval()
    values, past, known, _ = batch(source)
    changed = known.clone()
    changed[:, -1] += 1.0  # the last step of the horizon
    assert not torch.allclose(model(values, past, changed)[:, -1], model(values, past, known)[:, -1])
    with pytest.raises(ValueError, match="give `known`"):
        model(values, past)


def test_a_linear_forecaster_cannot_be_scaled() -> None:
    with pytest.raises(InputError, match="--match: the size of a linear forecaster follows from its windows"):
        match_parameters(DLinearConfig(), 10_000, SeriesWindows(96, 24), 1)
    matched = match_parameters(FORECASTERS["gru"], 200_000, SeriesWindows(96, 24), 1)
    count = sum(p.numel() for p in matched.build(SeriesWindows(96, 24), 1).parameters())
    assert 0.6 < count / 200_000 < 1.5


def test_patches_that_cannot_be() -> None:
    with pytest.raises(InputError, match="stride: must be the patch of 16"):
        ForecasterConfig(decoding="autoregressive", stride=8)
    with pytest.raises(InputError, match="patch: must divide the look-back of 20 steps, found 16"):
        ForecasterConfig(decoding="autoregressive").build(SeriesWindows(20, 4), 1)
    with pytest.raises(ValueError, match="a forecaster reads windows of series, got"):
        ForecasterConfig().build(100, 1)


def test_drawn_futures_have_the_spread_that_theory_gives() -> None:
    """Patches of one step that say y_{t+1} ~ N(φ y_t, 1): h steps ahead the variance is (1 - φ^{2h}) / (1 - φ²)."""
    phi, horizon = 0.8, 6
    levels = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
    source = SeriesWindows(3, horizon, 1)
    model = AutoregressiveForecaster(source, 25, 1, Pointwise(nn.Identity(), 1), InstanceNorm(1, "none"), "independent")
    model = model.double()
    with torch.no_grad():
        model.front_end.weight.fill_(1.0)
        model.front_end.bias.zero_()
        model.head.weight.fill_(phi)
        model.head.bias.copy_(torch.from_numpy(norm.ppf(levels.numpy())))
        values = torch.tensor([[[9.0], [9.0], [2.0]], [[9.0], [9.0], [-1.0]]], dtype=torch.float64)
        generator = torch.Generator().manual_seed(0)
        forecast = model.sample(values, None, None, levels=levels, paths=3000, generator=generator)
        forecast = forecast[:, :, 0]  # (2, H, 25)
        fed_back = model(values)[:, :, 0]
    for row, last in enumerate((2.0, -1.0)):
        for h in range(1, horizon + 1):
            spread = ((1 - phi ** (2 * h)) / (1 - phi**2)) ** 0.5
            expected = phi**h * last + spread * norm.ppf(levels.numpy())
            np.testing.assert_allclose(forecast[row, h - 1].numpy(), expected, atol=0.2)
    width = (fed_back[0, -1, -1] - fed_back[0, -1, 0]) / (forecast[0, -1, -1] - forecast[0, -1, 0])
    assert width < 0.7  # reading the middle again, which is why futures are drawn


def test_values_at_levels_lie_on_straight_lines() -> None:
    quantiles = torch.tensor([[1.0, 2.0, 4.0]])
    result = at_levels(quantiles, torch.tensor([0.25, 0.5, 0.75]), torch.tensor([[0.0, 0.25, 0.375, 0.5, 0.6, 1.0]]))
    np.testing.assert_allclose(result[0].numpy(), [0.0, 1.0, 1.5, 2.0, 2.8, 6.0], rtol=1e-6)


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize("channels", ["independent", "mixed"])
def test_every_mechanism_draws_futures(name: str, channels: str) -> None:
    source = SeriesWindows(8, 10, 2, 1, 2)
    model = small(name, decoding="autoregressive", channels=channels).build(source, 3).double().eval()
    values, past, known, _ = batch(source)
    levels = torch.tensor([0.1, 0.5, 0.9])

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return model.sample(values, past, known, levels=levels, paths=4, generator=generator)

    with torch.no_grad():
        forecast = draw(0)
    assert forecast.shape == (3, 10, 2, 3)
    assert (forecast.diff(dim=3) >= 0).all()
    assert torch.equal(forecast, draw(0))
    torch.testing.assert_close(forecast[:, :4], model(values, past, known)[:, :4].sort(3).values)
    assert not torch.equal(forecast[:, 4:], draw(1)[:, 4:])
