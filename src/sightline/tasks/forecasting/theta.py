"""The Theta method (Assimakopoulos & Nikolopoulos 2000) as exponential smoothing with drift (Hyndman & Billah 2003).

    ŷ_{T+h} = ℓ_T + b/2 · (h - 1 + (1 - (1 - α)^T)/α),    ℓ_t = α y_t + (1 - α) ℓ_{t-1},  ℓ_0 = y_1

with b the slope of a straight line through y by least squares. α minimises the squared errors of the forecasts ℓ_{t-1}
of y_t. With a season the additive classical decomposition is taken off before and added after, as in statsmodels'
`ThetaModel(method="additive", use_test=False)`; α is one of `ALPHAS` here.
"""

from __future__ import annotations

import numpy as np

ALPHAS = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])


def theta(values: np.ndarray, horizon: int, season: int = 1) -> np.ndarray:
    """Forecasts (B, H, C) of the steps after series (B, T, C); `season` 1 = none, else at most half of T."""
    seasonal = seasonal_part(values, season) if season > 1 else np.zeros_like(values[:, :1])
    steps = values.shape[1]
    y = values - seasonal[:, np.arange(steps) % season]
    level = np.repeat(y[:, 0, None], len(ALPHAS), 1)  # (B, A, C)
    squares, alpha = np.zeros_like(level), ALPHAS[:, None]
    for t in range(steps):
        error = y[:, t, None] - level
        squares += error * error
        level = level + alpha * error
    best = squares.argmin(1)[:, None]  # (B, 1, C)
    level, alpha = np.take_along_axis(level, best, 1), ALPHAS[best]
    time = np.arange(steps) - (steps - 1) / 2
    slope = np.einsum("t,btc->bc", time, y)[:, None] / max((time * time).sum(), 1e-300)
    ahead = np.arange(horizon)[:, None] + (1 - (1 - alpha) ** steps) / alpha
    return level + slope / 2 * ahead + seasonal[:, (steps + np.arange(horizon)) % season]


def seasonal_part(values: np.ndarray, season: int) -> np.ndarray:
    """The means (B, m, C) of each phase of series (B, T, C), less a moving average over a season; their mean is zero.

    Over an even season the average has half weights at its ends.
    """
    half = season // 2
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0), (0, 0))), 1)
    middle = values.shape[1] - 2 * half
    whole = sums[:, 2 * half + 1 :] - sums[:, :middle]  # over 2·half + 1 steps
    if season % 2 == 0:
        whole = whole - (values[:, :middle] + values[:, 2 * half :]) / 2
    rest = values[:, half : half + middle] - whole / season
    phases = (np.arange(middle) + half) % season
    means = np.stack([rest[:, phases == phase].mean(1) for phase in range(season)], 1)
    return means - means.mean(1, keepdims=True)
