"""Means over trainings with intervals, as numbers, curves and words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

import numpy as np

from sightline.core.sourced import sourced, with_sources
from sightline.lab.bands import mean_band
from sightline.lab.claims.results import ClaimCurve, ClaimNumber
from sightline.lab.results import Estimate

P = ParamSpec("P")
T = TypeVar("T")


def mean_of(name: str, values: Sequence[float] | np.ndarray, unit: str = "") -> ClaimNumber:
    """The mean of one number per training, with Student's interval where there are two or more."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if not len(values):
        return ClaimNumber(name, None, unit=unit, n=0)
    band = mean_band([0], values[:, None])
    return ClaimNumber(name, band.centre[0], band.low[0], band.high[0], unit, len(values))


ValueLimits = tuple[float, float]
SHARE: ValueLimits = (0.0, 1.0)
CORRELATION: ValueLimits = (-1.0, 1.0)
POSITIVE: ValueLimits = (0.0, math.inf)


def mean_within(name: str, values: Sequence[float] | np.ndarray, limits: ValueLimits, unit: str = "") -> ClaimNumber:
    """The mean of a bounded quantity with its interval, of which no end is outside of the limits."""
    mean = mean_of(name, values, unit)
    low, high = (None if end is None else min(max(end, limits[0]), limits[1]) for end in (mean.low, mean.high))
    return replace(mean, low=low, high=high)


def mean_share(name: str, values: Sequence[float] | np.ndarray) -> ClaimNumber:
    """The mean of shares with its interval within 0 and 1."""
    return mean_within(name, values, SHARE)


def curve_of(
    label: str,
    x: Sequence[float] | Sequence[int],
    rows: Sequence[Sequence[float]] | np.ndarray,
    limits: ValueLimits = (-math.inf, math.inf),
) -> ClaimCurve:
    """The mean of rows (seeds, K) at each x, with Student's interval within the limits."""
    return points_of(label, list(np.asarray(rows, float).T), x, limits)


def placed(judge: Callable[P, T], *measured: P.args, **settings: P.kwargs) -> T:
    """What `judge` returns, where the numbers of its sentence carry their places (`core.sourced`)."""
    with with_sources():
        return judge(*measured, **settings)


def in_words(measured: ClaimNumber, digits: int = 2) -> str:
    """The number and its interval, such as "0.37 (0.35 to 0.39)"."""
    if measured.value is None:
        return "undefined"
    value, low, high = (
        None if end is None else of_number(measured.name, f"{end:.{digits}f}", field)
        for field, end in (("value", measured.value), ("low", measured.low), ("high", measured.high))
    )
    return f"{value} ({low} to {high})" if low and high else f"{value}"


def of_number(name: str, text: str, field: str = "value") -> str:
    """The text of a number of a claim, or of one in its name."""
    return sourced(text, ("numbers", name, field), how="text" if field == "name" else "")


def of_conditions(text: str) -> str:
    """The text of a number that is one of the conditions of a claim."""
    return sourced(text, ("conditions",), how="text")


def points_of(
    label: str,
    values: Sequence[Sequence[float] | np.ndarray],
    x: Sequence[float] | Sequence[int] | None = None,
    limits: ValueLimits = (-math.inf, math.inf),
) -> ClaimCurve:
    """The mean of each list of numbers with its interval, at each x; without x at 0, 1, …, for a chart over names."""
    return curve_through(label, [mean_within(label, each, limits) for each in values], x)


def curve_through(
    label: str, numbers: Sequence[ClaimNumber], x: Sequence[float] | Sequence[int] | None = None
) -> ClaimCurve:
    """The numbers with their intervals at each x; without x at 0, 1, …, for a chart over names."""
    places = list(map(float, range(len(numbers)) if x is None else x))
    columns = ([getattr(one, name) for one in numbers] for name in ("value", "low", "high"))
    return ClaimCurve(label, places, *columns)


def estimated(name: str, estimate: Estimate, unit: str = "", n: int | None = None) -> ClaimNumber:
    """An estimate as a number."""
    return ClaimNumber(name, estimate.mean, estimate.low, estimate.high, unit, n)
