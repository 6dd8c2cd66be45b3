"""The verdict of a comparison, in one or two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sightline.core.metrics import Baseline, Metric, defined, find_metric
from sightline.lab.results import Estimate, Pair

FEW_SEEDS = 3


def verdict(
    metric: str,
    scores: Mapping[str, Estimate],
    pairs: Sequence[Pair],
    *,
    seeds: int,
    baselines: Sequence[Baseline] = (),
    unfinished: Sequence[str] = (),
) -> str:
    """The best architecture and its lead, or that no difference is significant; first, whether a baseline is as good.

    scores: best first; pairs: first minus second, the better one first, `shown` with Holm's correction
    seeds: the smallest number of finished seeds of an architecture; unfinished: architectures without a finished run
    """
    shown = [*(score.mean for score in scores.values()), *(baseline.metrics.get(metric) for baseline in baselines)]
    info = find_metric(metric).apart(shown)
    pairs = pairs if info.higher_is_better else [_turned(pair) for pair in pairs]
    sentence = _ranking(info, list(scores.items()), pairs, seeds)
    if 2 <= seeds <= FEW_SEEDS and any(not pair.shown for pair in pairs if pair.first == next(iter(scores))):
        sentence += f" With {seeds} seeds only large differences can be shown."
    if scores and baselines:
        top = next(iter(scores.values()))
        sign = 1 if info.higher_is_better else -1
        values = {b.name: b.metrics.get(metric) for b in baselines if not b.bound}
        known = {name: value for name, value in values.items() if defined(value)}
        trivial = max(known, key=lambda name: sign * known[name], default=None)
        if trivial is not None and defined(top.mean) and sign * known[trivial] >= sign * top.mean:
            sentence = f"No architecture beats the baseline “{trivial}” ({info.text(known[trivial])}). {sentence}"
    if unfinished:
        sentence += f" No run of {_join(unfinished)} finished."
    return sentence


def _turned(pair: Pair) -> Pair:
    """The pair with its difference as a lead, for a metric that is better when smaller."""
    lead = pair.difference
    low, high = (None if end is None else -end for end in (lead.high, lead.low))
    return replace(pair, difference=Estimate(None if lead.mean is None else -lead.mean, low, high))


def _ranking(info: Metric, scores: list[tuple[str, Estimate]], pairs: Sequence[Pair], seeds: int) -> str:
    if not scores:
        return "No verdict: no run finished."
    best, top = scores[0]
    if len(scores) == 1:
        return f"Only {best} was measured: {info.label} {_with_interval(info, top)}."
    if seeds < 2:
        listed = ", ".join(f"{name} {info.text(score.mean)}" for name, score in scores)
        return (
            f"No verdict: with one seed the spread between trainings is unknown. In this one training each, "
            f"{info.label}: {listed}."
        )
    side = "above" if info.higher_is_better else "below"
    rest = [pair for pair in pairs if pair.first == best]
    ties = [pair for pair in rest if not pair.shown]
    beaten = [pair.second for pair in rest if pair.shown]
    if not ties:
        nearest = rest[0]
        return (
            f"{best} is best: {info.label} {_with_interval(info, top)}, {_gap(info, nearest)} {side} {nearest.second} "
            f"(95 % interval {_range(info, nearest.difference)})."
        )
    if not beaten:
        others = _join([name for name, _ in scores])
        nearest = rest[0]
        return (
            f"No difference shown between {others}: {info.label} from {info.text(scores[-1][1].mean)} to "
            f"{info.text(top.mean)}; {best} and {nearest.second} differ by {_gap(info, nearest)} "
            f"({_uncorrected(info, nearest, pairs)})."
        )
    leaders = [best, *(pair.second for pair in ties)]
    values = _join([info.text(dict(scores)[name].mean) for name in leaders])
    nearest = ties[0]
    return (
        f"No difference shown between {_join(leaders)}: {info.label} {values} (difference of the first two "
        f"{_gap(info, nearest)}, {_uncorrected(info, nearest, pairs)}); {best} is {side} {_join(beaten)}."
    )


def _uncorrected(info: Metric, pair: Pair, pairs: Sequence[Pair]) -> str:
    """The interval of a difference that is not shown, with the reason if the interval excludes zero."""
    low, high, interval = pair.difference.low, pair.difference.high, f"95 % interval {_range(info, pair.difference)}"
    if low is None or high is None or low <= 0 <= high:
        return interval
    return f"{interval} for this pair alone; p = {pair.p_holm:.2g} after correction for {len(pairs)} comparisons"


def _unit(info: Metric) -> str:
    return "points" if info.unit == "%" else info.unit or info.label


def _gap(info: Metric, pair: Pair) -> str:
    return f"{info.number(pair.difference.mean)} {_unit(info)}"


def _range(info: Metric, estimate: Estimate) -> str:
    low, high = info.number(estimate.low), info.number(estimate.high)
    return f"{low} to {high}" if "−" in low + high else f"{low}–{high}"


def _with_interval(info: Metric, estimate: Estimate) -> str:
    if estimate.low is None:
        return info.text(estimate.mean)
    return f"{info.text(estimate.mean)} [{_range(info, estimate)}]"


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
