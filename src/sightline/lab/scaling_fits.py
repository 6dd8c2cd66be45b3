"""Laws of loss over size from the scores of trainings, with intervals over seeds and test items. Imports no torch.

All architectures and sizes were tested on the same items, so one draw of the bootstrap takes the same weights of the
items for all of them, and a t draw of its own for the seeds of each (see `lab.stats`, whose comparison of
architectures is made of the same draws). Every draw is fitted; the 95 % interval of an exponent, of a prediction or of
a difference of exponents is that of its percentiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple, final

import numpy as np

from sightline.core.metrics import Metric
from sightline.lab.draws import Ends, draw, estimate_of
from sightline.lab.panel_results import Band
from sightline.lab.power_law import FEWEST, FEWEST_WITH_FLOOR, Laws, fit_laws
from sightline.lab.results import Estimate
from sightline.lab.scaling_results import Along, ArchitectureLaw, ExponentPair, HeldOut, PowerLaw, Trend
from sightline.lab.stats import LEVEL, holm, spread_of_means

RESAMPLES = 2000
FREE = (-np.inf, np.inf)
BAND_POINTS = 33
VARIES = 1.5  # the largest FLOPs over the smallest from which there is a law along them
MOST_AT_EDGE = 0.025  # of the draws of a law with E
SAME = float(np.log10(1.01))  # a model ten times as large gains no more than 1 % of the loss


class SizeScores(NamedTuple):
    """The test scores of one architecture at one size.

    rows: (seeds, N, K) of the metric, see `core.metrics`; flops: of one training
    """

    arch: str
    parameters: int
    flops: float
    rows: np.ndarray
    held_out: bool = False


class ScaleFits(NamedTuple):
    """The laws, their checks at held-out sizes, and the pairs of architectures; and the loss of every size."""

    laws: list[ArchitectureLaw]
    held_out: list[HeldOut]
    pairs: list[ExponentPair]
    losses: dict[tuple[str, int], Estimate]


@final
@dataclass(frozen=True)
class _Series:
    """The sizes of one architecture, ascending: mean losses (K,), their draws (R, K), which of them a law may see.

    known: whether the spread of seeds is known, without which intervals are not computed
    """

    arch: str
    x: np.ndarray
    loss: np.ndarray
    draws: np.ndarray
    fitted: np.ndarray
    known: bool

    def laws(self, *, with_floor: bool) -> tuple[Laws, Laws]:
        """The law of the means, and those of the draws."""
        x, loss = self.x[self.fitted], self.loss[self.fitted]
        return (
            fit_laws(x, loss, with_floor=with_floor),
            fit_laws(x, self.draws[:, self.fitted], with_floor=with_floor),
        )


_Fits = Mapping[str, tuple[Laws, Laws, _Series]]  # by architecture: the law of the means, those of the draws


def fit_ladder(
    scores: Sequence[SizeScores], metric: Metric, *, margin: float = SAME, resamples: int = RESAMPLES, seed: int = 0
) -> ScaleFits:
    """The laws of every architecture along parameters, and along training FLOPs where these vary.

    Without E (Kaplan) unless the losses of every architecture identify it: at least four sizes, and an interval of E
    above 0. An exponent has an interval with at least three sizes and two seeds.
    """
    rows = {f"{one.arch} {one.parameters}": np.asarray(one.rows, float) for one in scores}
    per_seed = {name: metric.value(of) for name, of in rows.items()}
    spreads = spread_of_means(per_seed, FREE)
    drawn = draw(rows, spreads, metric, resamples, np.random.default_rng(seed))
    draws = {name: drawn.score(name, FREE).low for name in rows}
    known = all(freedom > 0 for _, freedom in spreads.values())

    def series(arch: str, along: Along) -> _Series:
        own = sorted((one for one in scores if one.arch == arch), key=lambda one: one.parameters)
        names = [f"{arch} {one.parameters}" for one in own]
        return _Series(
            arch,
            np.array([getattr(one, along) for one in own], float),
            np.array([per_seed[name].mean() for name in names]),
            np.stack([draws[name] for name in names], 1),
            np.array([not one.held_out for one in own]),
            known,
        )

    archs = list(dict.fromkeys(one.arch for one in scores))
    by_size = [series(arch, "parameters") for arch in archs]
    by_flops = [one for one in (series(arch, "flops") for arch in archs) if one.x.max() > VARIES * one.x.min()]
    losses = {
        (one.arch, int(x)): Estimate(float(mean)) if not known else _estimate(float(mean), of)
        for one in by_size
        for x, mean, of in zip(one.x, one.loss, one.draws.T, strict=True)
    }
    laws, of_sizes, without_floor = _laws(by_size, "parameters")
    laws_of_flops, _, _ = _laws(by_flops, "flops")
    checks = [check for one in by_size if one.arch in of_sizes for check in _checks(one, *of_sizes[one.arch])]
    bends = {one.arch: of for one in by_size if (of := _bends(one)) is not None}
    return ScaleFits([*laws, *laws_of_flops], checks, _pairs(without_floor, bends, known, margin), losses)


def _laws(series: Sequence[_Series], along: Along) -> tuple[list[ArchitectureLaw], _Fits, _Fits]:
    """The laws of all architectures in one form, the fits behind those that have one, and the fits without E.

    Exponents are compared without E: each law with E approaches an E of its own, so that a curve that is nearly flat
    has a large exponent.
    """
    plain = {one.arch: one.laws(with_floor=False) for one in series if _count(one) >= 2}
    floors = {one.arch: one.laws(with_floor=True) for one in series if _count(one) >= FEWEST_WITH_FLOOR and one.known}
    identified = {arch: _identified(of) for arch, (_, of) in floors.items()}
    use_floor = bool(plain) and all(identified.get(arch, False) for arch in plain)
    chosen, others = (floors, plain) if use_floor else (plain, floors)
    laws = []
    for one in series:
        interval = one.known and _count(one) >= FEWEST
        note = _note(one)
        if one.arch not in chosen:
            laws.append(ArchitectureLaw(one.arch, along, None, sizes=_count(one), note=note))
            continue
        law = _power_law(one, *chosen[one.arch], interval=interval)
        other = _power_law(one, *others[one.arch], interval=interval) if one.arch in others else None
        bends = _bends(one)
        laws.append(
            ArchitectureLaw(
                one.arch,
                along,
                law,
                other,
                sizes=_count(one),
                identified=identified.get(one.arch, False),
                decided=_excludes_zero(law.exponent),
                bend=None if bends is None else _estimate(*bends) if one.known else Estimate(bends[0]),
                band=_band(one, *chosen[one.arch], interval=interval),
                note=note,
            )
        )
    behind, without_floor = (
        {one.arch: (*of[one.arch], one) for one in series if one.arch in of} for of in (chosen, plain)
    )
    return laws, behind, without_floor


def _excludes_zero(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and not estimate.low <= 0 <= estimate.high


def _count(one: _Series) -> int:
    return len(np.unique(one.x[one.fitted]))


def _note(one: _Series) -> str:
    """The reason for a missing interval."""
    if _count(one) < 2:
        return "not decided: a law needs at least two sizes that finished"
    if _count(one) < FEWEST:
        return "not decided: with two sizes every law passes through both; add --sizes"
    return "" if one.known else "not decided: one seed leaves the spread between seeds unknown; add --seeds"


def _identified(laws: Laws) -> bool:
    """Whether the draws of E lie above 0, and those of the exponent inside what was searched."""
    return float(np.quantile(laws.floor, (1 - LEVEL) / 2)) > 0 and laws.at_edge <= MOST_AT_EDGE


def _power_law(one: _Series, law: Laws, draws: Laws, *, interval: bool) -> PowerLaw:
    exponent, floor = float(law.exponent[0]), float(law.floor[0])
    loss = one.loss[one.fitted]
    return PowerLaw(
        exponent=_estimate(exponent, draws.exponent) if interval else Estimate(exponent),
        coefficient=float(law.coefficient[0]),
        irreducible=None if not law.with_floor else _estimate(floor, draws.floor) if interval else Estimate(floor),
        worst=float(np.abs(law.at(one.x[one.fitted])[0] / loss - 1).max()),
    )


def _estimate(mean: float, draws: np.ndarray) -> Estimate:
    """The value with the percentiles of its draws; the interval always contains the value."""
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return estimate_of(mean, (min(low, mean), max(high, mean)))


def _band(one: _Series, law: Laws, draws: Laws, *, interval: bool) -> Band:
    at = np.geomspace(one.x.min(), one.x.max(), BAND_POINTS)
    centre = law.at(at)[0].tolist()
    if not interval:
        return Band(at.tolist(), centre, [None] * len(at), [None] * len(at))
    low, high = np.quantile(draws.at(at), ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return Band(at.tolist(), centre, low.tolist(), high.tolist())


def _checks(one: _Series, law: Laws, draws: Laws, _: _Series) -> list[HeldOut]:
    """The predictions at the sizes that were left out."""
    checks = []
    for place in np.flatnonzero(~one.fitted):
        x, measured, of_measured = one.x[place : place + 1], float(one.loss[place]), one.draws[:, place]
        predicted, of_predicted = float(law.at(x)[0, 0]), draws.at(x)[:, 0]
        # What the measured mean differs by from the prediction by chance: the fit, and its own seeds and items.
        chance = of_predicted - of_measured - (predicted - measured)
        error = predicted / measured - 1
        has_interval = one.known and _count(one) >= FEWEST
        expected, relative = Estimate(predicted), Estimate(error)
        if has_interval:
            expected, relative = _estimate(predicted, predicted + chance), _estimate(error, error + chance / measured)
        low, high = expected.low, expected.high
        checks.append(
            HeldOut(
                one.arch,
                int(x[0]),
                expected,
                _estimate(measured, of_measured) if one.known else Estimate(measured),
                relative,
                None if low is None or high is None else low <= measured <= high,
            )
        )
    return checks


def _bends(one: _Series) -> tuple[float, np.ndarray] | None:
    """The exponent over the larger half of the sizes minus that over the smaller half; the middle one is in both."""
    count = len(one.x)
    if len(np.unique(one.x)) < FEWEST:
        return None
    upper, lower = slice(count // 2, count), slice(0, (count + 1) // 2)

    def of(losses: np.ndarray) -> np.ndarray:
        large = fit_laws(one.x[upper], losses[:, upper], with_floor=False).exponent
        return large - fit_laws(one.x[lower], losses[:, lower], with_floor=False).exponent

    return float(of(one.loss[None])[0]), of(one.draws)


def _pairs(
    fits: _Fits,
    bends: Mapping[str, tuple[float, np.ndarray]],
    known: bool,
    margin: float,
) -> list[ExponentPair]:
    """All pairs, the larger exponent first, with p-values corrected by Holm."""
    order = sorted(fits, key=lambda arch: -float(fits[arch][0].exponent[0]))
    pairs, p_values, p_same = [], [], []
    for a, b in combinations(order, 2):
        mean = float(fits[a][0].exponent[0] - fits[b][0].exponent[0])
        delta = fits[a][1].exponent - fits[b][1].exponent
        enough = known and min(_count(fits[arch][2]) for arch in (a, b)) >= FEWEST
        pair = ExponentPair(a, b, _estimate(mean, delta) if enough else Estimate(mean), "not decided")
        if a in bends and b in bends and known:
            pair = replace(pair, bend=_estimate(bends[a][0] - bends[b][0], bends[a][1] - bends[b][1]))
        ends = Ends(delta, delta, FREE)
        pairs.append(pair)
        p_values.append(ends.p_zero() if enough else 1.0)
        p_same.append(ends.p_beyond(margin) if enough else 1.0)
    corrected = zip(pairs, holm(p_values), holm(p_same), strict=True)
    return [replace(pair, outcome=_outcome(p, q), p_holm=p, p_same=q) for pair, p, q in corrected]


def _outcome(p: float, p_same: float) -> Trend:
    if p_same <= 1 - LEVEL:
        return "practically the same"
    return "falls faster" if p <= 1 - LEVEL else "not decided"
