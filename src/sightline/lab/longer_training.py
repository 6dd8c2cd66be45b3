"""What a longer training would reach, expected from two shorter ones that were trained to their ends.

On a scale g of the metric on which gains can be compared, with trainings of lengths T₁ < T₂ and one `times` as long as
the second:

    gain = (g₂ − g₁) · ln(times) / ln(T₂ / T₁)          what it would add at the pace from the first to the second
    g₃ = g₂ + kept · gain,   standard deviation √(floor² + (spread · gain)² + 1 / (n p (1 − p)))

The last part is that of a share p of n test items, on the log odds; a metric of another kind has none.

The numbers of `RULE` are those that make the trainings of the study of defaults most likely; docs/defaults.md says how
often the intervals contained what data sets reached that were left out. Imports no torch.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from sightline.core.metrics import Metric, defined

LEVEL = 0.8  # of an interval
LEAST_TIMES = 1.5  # from the first training to the second: what is shorter shows noise rather than a gain
EDGE = 1e-3  # the share of a metric's range within which values at its limits count as equal


class Interval(NamedTuple):
    """The ends of an interval that contains a value with the probability `LEVEL`."""

    low: float
    high: float


class ExpectedGain(NamedTuple):
    """What is expected on the scale g beyond the second training, and its standard deviation."""

    mean: float
    deviation: float

    @property
    def ends(self) -> tuple[float, float]:
        """Those of the interval that contains it with the probability `LEVEL`."""
        beside = NormalDist().inv_cdf((1 + LEVEL) / 2) * self.deviation
        return self.mean - beside, self.mean + beside


class LongerRule(NamedTuple):
    """What a training keeps of the pace of before, and how far two trainings are apart that differ in their luck.

    share_floor: of metrics between two limits; error_floor: of metrics above one
    """

    kept: float
    share_floor: float
    error_floor: float
    spread: float

    def gain(self, pace: float, *, share: bool, noise: float = 0.0) -> ExpectedGain:
        """The gain that is expected where the pace of before would give `pace`; `noise`: that of the test items."""
        floor = self.share_floor if share else self.error_floor
        return ExpectedGain(self.kept * pace, math.hypot(floor, self.spread * pace, noise))


RULE = LongerRule(kept=0.38, share_floor=0.0, error_floor=0.003, spread=0.26)


def expected(
    metric: Metric, shorter: float, longer: float, now: float, *, ratio: float, times: float, items: int
) -> Interval | None:
    """The interval of the metric of a training `times` as long as one that has `now`.

    None where no interval can be given: for a metric without a scale, undefined values, a small `ratio`, no items, or
    an interval without an end, as of a training that diverged.

    shorter, longer: the metric of two trainings on the same items, such as those of validation; ratio: the length of
        the second over that of the first
    now: the metric of the second one, on the `items` that the interval is about

    Raises:
        ValueError: "times must be more than 1, got 1".
    """
    if not times > 1:
        raise ValueError(f"times must be more than 1, got {times:g}")
    on_scale = [scaled(metric, value) for value in (shorter, longer, now)]
    if ratio < LEAST_TIMES or items < 1 or not all(map(defined, on_scale)):
        return None
    first, second, last = on_scale
    pace = (second - first) * math.log(times) / math.log(ratio)
    gain = RULE.gain(pace, share=is_share(metric), noise=item_noise(metric, now, items))
    ends = [unscaled(metric, last + end) for end in gain.ends]
    return Interval(min(ends), max(ends)) if all(map(defined, ends)) else None


def is_share(metric: Metric) -> bool:
    """Whether the metric has two limits."""
    return all(map(math.isfinite, metric.limits))


def item_noise(metric: Metric, value: float, items: int) -> float:
    """The standard deviation that a share of so many items has on the scale g; 0 for a metric of another kind."""
    if not is_share(metric):
        return 0.0
    low, high = metric.limits
    edge = max(EDGE, 0.5 / items)
    share = min(max((value - low) / (high - low), edge), 1 - edge)
    return (items * share * (1 - share)) ** -0.5


def scaled(metric: Metric, value: float | None) -> float:
    """The scale g, on which more is better: log odds between two limits, minus the logarithm above one; NaN without."""
    low, high = metric.limits
    if not defined(value) or not math.isfinite(low) or not metric.decides:
        return math.nan
    if is_share(metric):
        share = min(max((value - low) / (high - low), EDGE), 1 - EDGE)
        return _turned(metric, math.log(share / (1 - share)))
    return _turned(metric, math.log(value - low)) if value > low else math.nan


def unscaled(metric: Metric, on_scale: float) -> float:
    """The value of the metric at a place of the scale, infinite beyond the numbers of a float."""
    low, high = metric.limits
    place = _turned(metric, on_scale)
    if is_share(metric):
        return low + (high - low) / (1 + _exp(-place))
    return low + _exp(place)


def _exp(power: float) -> float:
    try:
        return math.exp(power)
    except OverflowError:
        return math.inf


def _turned(metric: Metric, place: float) -> float:
    return place if metric.higher_is_better else -place
