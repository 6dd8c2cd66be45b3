"""Whether the reasons of a ladder's rungs hold, from test items, speeds and costs of layers. Imports no torch.

Claims about quality, speed and time are decided three ways, as the pairs of a comparison are (see `lab.stats`), and
those about numbers that were counted without doubt. Holm's procedure corrects the p-values over all claims of the
ladder, those of a difference and those of the margin separately.

"better", "faster" and "faster at length" hold where the difference is shown in the claimed direction and is not within
the margin; they do not hold where it is within the margin, or shown in the other direction. "kept" holds where the rung
is shown to be no worse than the margin; it does not hold where the rung is shown to be worse. A reason holds where all
its claims do, and does not hold where one does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, final, get_args

import numpy as np
from scipy import stats as distributions

from sightline.core.digits import number_of
from sightline.core.metrics import Metric, defined
from sightline.core.sourced import sourced
from sightline.lab.draws import Ends
from sightline.lab.effects import hedges_g, superiority
from sightline.lab.ladder import STATISTICAL, Lineage, Rung, RungClaim
from sightline.lab.ladder_results import JudgedClaim, LayerCosts, RungResult, Verdict
from sightline.lab.results import Decision, Estimate
from sightline.lab.stats import LEVEL, Sample, holm, sample, spread_of_means
from sightline.lab.summary import Bin, length_bins

SPEED_MARGIN = 0.05  # speeds and times that differ by less are practically the same
QUARTERS = 4
ONE_SEED = "one seed leaves the spread between trainings unknown"


@final
@dataclass(frozen=True)
class Evidence:
    """All measurements of a ladder, by the name of the rung.

    items: rows (seeds, N, K) of the deciding metric; lengths (N,): of the items, empty where they have none
    speeds (seeds,): tokens of training per second of the processor
    costs: of the rungs whose layers were measured; length, chain_length: as in `LadderResults`
    margin: of practical equivalence of quality, in the metric's own unit
    """

    metric: Metric
    margin: float | None
    items: Mapping[str, np.ndarray]
    lengths: Sequence[int] = ()
    length_of: str = "length"
    speeds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    counted: str = "tokens"
    costs: Mapping[str, LayerCosts] = field(default_factory=dict)
    length: int = 0
    chain_length: int = 0


class RungDifference(NamedTuple):
    """The quality of a rung minus that of the one before it: on all items, and on each quarter by length."""

    difference: Estimate
    outcome: Decision
    hedges_g: float | None
    superiority: float
    by_quarter: list[Estimate]


class ClaimMeasurement(NamedTuple):
    """A difference before correction: positive ends are gains, in the claimed direction."""

    shown: Estimate
    gain: float
    p: float
    p_margin: float
    hedges_g: float | None
    superiority: float


def reason_verdict(claims: Sequence[JudgedClaim]) -> Verdict:
    """Of a whole reason: what its claims have in common, or the worst of them."""
    verdicts = {claim.verdict for claim in claims}
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if verdicts == {"holds"} else "not decided"


def ladder_verdict(rungs: Sequence[RungResult]) -> str:
    """How many of the reasons hold, and which."""
    judged = [rung for rung in rungs if rung.verdict is not None]
    parts = []
    for verdict in get_args(Verdict):
        titles = [rung.title for rung in judged if rung.verdict == verdict]
        if titles:
            one = verdict if len(titles) == 1 else PLURAL[verdict]
            own = [("rungs", rung.name, "verdict") for rung in judged if rung.verdict == verdict]
            parts.append(f"{sourced(str(len(titles)), *own, how='count')} {one} ({', '.join(titles)})")
    every = [("rungs", rung.name, "verdict") for rung in judged]
    reasons = sourced(number_of(len(judged), "reason"), *every, how="count")
    return f"Of {reasons}, on this data and in this budget: {'; '.join(parts)}."


PLURAL: dict[Verdict, str] = {"holds": "hold", "does not hold": "do not hold", "not decided": "are not decided"}


def judge(ladder: Lineage, evidence: Evidence) -> dict[str, list[JudgedClaim]]:
    """The claims of every rung, decided."""
    samples = _Samples(evidence)
    judged: list[tuple[str, RungClaim, ClaimMeasurement | None, JudgedClaim]] = []
    for rung in ladder.rungs:
        for claim in rung.claims:
            judged.append((rung.name, claim, *_measured(rung, claim, evidence, samples)))
    tested = [place for place, (_, claim, measured, _) in enumerate(judged) if measured and claim.kind in STATISTICAL]
    unequal = holm([measured.p for place in tested if (measured := judged[place][2])])
    within = holm([measured.p_margin for place in tested if (measured := judged[place][2])])
    corrected = {place: (p, q) for place, p, q in zip(tested, unequal, within, strict=True)}
    claims: dict[str, list[JudgedClaim]] = {rung.name: [] for rung in ladder.rungs}
    for place, (name, claim, measured, result) in enumerate(judged):
        if measured is not None and place in corrected:
            p, p_margin = corrected[place]
            verdict = _decided(claim, measured.gain, p, p_margin) if not result.missing else "not decided"
            result = replace(result, verdict=verdict, p=p, p_margin=p_margin)
        claims[name].append(result)
    return claims


def changes(ladder: Lineage, evidence: Evidence) -> dict[str, RungDifference]:
    """The quality of every rung minus that of the rung before it, where both have finished runs."""
    samples = _Samples(evidence)
    pairs = [rung for rung in ladder.rungs if rung.over and {rung.name, rung.over} <= samples.known]
    measured = {rung.name: samples.difference(rung.name, rung.over, "all", KEPT_EQUAL) for rung in pairs}
    unequal, same = holm([of.p for of in measured.values()]), holm([of.p_margin for of in measured.values()])
    quarters = samples.bins if len(samples.bins) > 1 else []
    result = {}
    for rung, p, p_same in zip(pairs, unequal, same, strict=True):
        outcome: Decision = "not decided"
        if samples.several(rung.name, rung.over):
            outcome = "practically the same" if p_same <= 1 - LEVEL else "better" if p <= 1 - LEVEL else "not decided"
        each = [samples.difference(rung.name, rung.over, place, KEPT_EQUAL).shown for place in range(len(quarters))]
        one = measured[rung.name]
        result[rung.name] = RungDifference(one.shown, outcome, one.hedges_g, one.superiority, each)
    return result


KEPT_EQUAL = RungClaim("better")  # compared by whether both are the same within the margin


def _decided(claim: RungClaim, gain: float, p: float, p_margin: float) -> Verdict:
    shown, within = p <= 1 - LEVEL, p_margin <= 1 - LEVEL
    if claim.kind == "kept":
        return "holds" if within else "does not hold" if shown and gain < 0 else "not decided"
    if within:
        return "does not hold"
    return "not decided" if not shown else "holds" if gain > 0 else "does not hold"


def _measured(
    rung: Rung, claim: RungClaim, evidence: Evidence, samples: _Samples
) -> tuple[ClaimMeasurement | None, JudgedClaim]:
    """One claim, measured, and how it is told before it is corrected for the others; counted ones are decided."""
    of, over = claim.of or rung.name, claim.over or rung.over
    where = samples.where(claim)
    judged = JudgedClaim(claim.kind, _statement(claim, of, over, where, evidence), "not decided", of, over)
    if claim.kind in ("shorter chain", "smaller state"):
        return None, _counted(judged, evidence)
    if claim.kind == "faster at length":
        rounds = {name: evidence.costs[name].step_s for name in (of, over) if name in evidence.costs}
        if len(rounds) < 2:
            return None, replace(judged, missing="the layers were not measured")
        measured = _by_rounds(rounds[of], rounds[over])
        return measured, replace(judged, difference=measured.shown)
    known = samples.known if claim.kind != "faster" else {name for name, each in evidence.speeds.items() if len(each)}
    missing = [name for name in (of, over) if name not in known]
    if missing:
        return None, replace(judged, missing=f"no run of {' and none of '.join(missing)} finished")
    if claim.kind == "faster":
        measured, several = _by_speed(evidence.speeds, of, over)
        on = None
    else:
        measured, several = samples.difference(of, over, claim.items, claim), samples.several(of, over)
        on = len(samples.chosen(claim.items))
    judged = replace(
        judged, difference=measured.shown, on=on, hedges_g=measured.hedges_g, superiority=measured.superiority
    )
    return measured, judged if several else replace(judged, missing=ONE_SEED)


def _counted(judged: JudgedClaim, evidence: Evidence) -> JudgedClaim:
    """A claim about numbers that were counted: without chance, and without a margin."""
    costs = [evidence.costs.get(name) for name in (judged.of, judged.over)]
    if any(one is None for one in costs):
        return replace(judged, missing="the layers were not measured")
    values = [one.chain if judged.kind == "shorter chain" else one.state_bytes for one in costs if one is not None]
    return replace(judged, counted=values, verdict="holds" if values[0] < values[1] else "does not hold")


def _statement(claim: RungClaim, of: str, over: str, where: str, evidence: Evidence) -> str:
    label = evidence.metric.label
    at = f"a training step of the layers on {evidence.length:,} positions"
    return {
        "better": f"{of} is better than {over}: {label}{where}",
        "kept": f"{of} is no worse than {over}: {label}{where}",
        "faster": f"{of} trains faster than {over}: {evidence.counted} per second",
        "shorter chain": f"the chain of dependent operations of {of} is shorter than that of {over}: a training step "
        f"of the layers on {evidence.chain_length:,} positions",
        "faster at length": f"{of} takes less time than {over}: {at}",
        "smaller state": f"the state of {of} is smaller than that of {over}: the layers after {evidence.length:,} "
        "positions",
    }[claim.kind]


@final
class _Samples:
    """Draws of the rungs' scores on sets of items; each set is drawn once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.items = {name: rows for name, rows in evidence.items.items() if len(rows)}
        self.known = set(self.items)
        self.count = next(iter(self.items.values())).shape[1] if self.items else 0
        self.bins: list[Bin] = length_bins(evidence.lengths, QUARTERS) if len(evidence.lengths) else []
        self._drawn: dict[tuple[int, ...], Sample] = {}

    def where(self, claim: RungClaim) -> str:
        """The items of a claim in words; nothing for all of them."""
        if claim.items == "all" or claim.kind not in ("better", "kept"):
            return ""
        if len(self.bins) < 2:
            return " on all items, whose lengths do not differ or are not known"
        low, high, chosen = self.bins[-1]
        name, _, unit = self.evidence.length_of.partition(" (")
        unit = f" {unit.rstrip(')')}" if unit else ""
        return f" on the longest quarter ({name} {low:,} to {high:,}{unit}, {len(chosen):,} items)"

    def chosen(self, items: str | int) -> list[int]:
        """The indices of a set of items: "all", "longest", or the number of a quarter."""
        if isinstance(items, int):
            return self.bins[items][2]
        if items == "all" or len(self.bins) < 2:
            return list(range(self.count))
        return self.bins[-1][2]

    def several(self, *names: str) -> bool:
        """Whether each of them has at least two trainings."""
        return min(len(self.items[name]) for name in names) > 1

    def difference(self, of: str, over: str, items: str | int, claim: RungClaim) -> ClaimMeasurement:
        """The score of `of` minus that of `over` on a set of items."""
        metric, chosen = self.evidence.metric, self.chosen(items)
        key = tuple(chosen)
        if key not in self._drawn:
            self._drawn[key] = sample({name: rows[:, chosen] for name, rows in self.items.items()}, metric)
        per_seed, draws = self._drawn[key]
        ends = draws.difference(of, over, metric.limits)
        a, b = per_seed[of], per_seed[over]
        sign = 1 if metric.higher_is_better else -1
        delta = float(a.mean() - b.mean())
        margin = np.inf if self.evidence.margin is None else self.evidence.margin
        p_margin = _no_worse(ends, margin, sign) if claim.kind == "kept" else ends.p_beyond(margin)
        return ClaimMeasurement(
            ends.estimate(delta, 1 - LEVEL), sign * delta, ends.p_zero(), p_margin,
            hedges_g(sign * a, sign * b), superiority(sign * a, sign * b),
        )  # fmt: skip


def _no_worse(ends: Ends, margin: float, sign: int) -> float:
    """Twice the p-value of the one-sided test of a loss beyond the margin, so that it agrees with the 95 % interval."""
    draws = ends.low if sign > 0 else -ends.high
    draws = draws[~np.isnan(draws)]
    return min(1.0, 2 * (int((draws <= -margin).sum()) + 1) / (len(draws) + 1)) if np.isfinite(margin) else 1.0


def _by_speed(speeds: Mapping[str, Sequence[float]], of: str, over: str) -> tuple[ClaimMeasurement, bool]:
    """The ratio of two speeds less one, over seeds; the spreads are moderated over all rungs, on a log scale."""
    logs = {name: np.log(np.asarray(each, float)) for name, each in speeds.items() if len(each)}
    spreads = spread_of_means(logs, (-np.inf, np.inf))
    (error_a, freedom_a), (error_b, freedom_b) = spreads[of], spreads[over]
    a, b = logs[of], logs[over]
    error, freedom = float(np.hypot(error_a, error_b)), float(min(freedom_a, freedom_b))
    several = min(len(a), len(b)) > 1
    return _ratio(float(a.mean() - b.mean()), error, freedom, 1, hedges_g(a, b), superiority(a, b)), several


def _by_rounds(of: Sequence[float], over: Sequence[float]) -> ClaimMeasurement:
    """The ratio of two times less one, over rounds in which both were measured."""
    logs = np.log(np.asarray(of, float)) - np.log(np.asarray(over, float))
    error = float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else np.nan
    return _ratio(float(logs.mean()), error, float(len(logs) - 1), -1, None, float((logs < 0).mean()))


def _ratio(log: float, error: float, freedom: float, sign: int, effect: float | None, above: float) -> ClaimMeasurement:
    """From the logarithm of a ratio with its standard error; `sign` is that of a gain."""
    if not freedom or not defined(error):
        return ClaimMeasurement(Estimate(float(np.expm1(log))), sign * log, 1.0, 1.0, effect, above)
    t, half, margin = distributions.t(freedom), distributions.t.ppf((1 + LEVEL) / 2, freedom) * error, _LOG_MARGIN
    error = max(error, 1e-12)
    p = float(2 * t.sf(abs(log) / error))
    p_margin = float(min(1.0, 2 * max(t.sf((margin - log) / error), t.sf((margin + log) / error))))
    ends = (float(np.expm1(log - half)), float(np.expm1(log + half)))
    return ClaimMeasurement(Estimate(float(np.expm1(log)), *ends), sign * log, p, p_margin, effect, above)


_LOG_MARGIN = float(np.log1p(SPEED_MARGIN))
