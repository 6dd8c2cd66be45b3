"""The verdict of a comparison, in one or two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from sightline.core.digits import and_joined
from sightline.core.metrics import Baseline, Metric, defined, find_metric
from sightline.lab.results import Decision, Estimate, Pair, Rounds


def verdict(
    metric: str,
    scores: Mapping[str, Estimate],
    pairs: Sequence[Pair],
    *,
    seeds: int,
    margin: float | None = None,
    rounds: Rounds | None = None,
    baselines: Sequence[Baseline] = (),
    unfinished: Sequence[str] = (),
) -> str:
    """The best architecture and its lead, or which others are practically the same or not decided against it.

    First, whether a baseline is as good.

    scores: best first; pairs: first minus second, the better one first, with their outcomes
    seeds: the smallest number of finished seeds of an architecture; unfinished: architectures without a finished run
    margin: of practical equivalence; rounds: of seeds that were added
    """
    shown = [*(score.mean for score in scores.values()), *(baseline.metrics.get(metric) for baseline in baselines)]
    info = find_metric(metric).apart(shown, [score.spread for score in scores.values()])
    if not info.higher_is_better:
        pairs = [replace(pair, difference=pair.difference.turned()) for pair in pairs]  # as leads
    sentence = _ranking(info, list(scores.items()), pairs, seeds, margin)
    if rounds is not None and seeds >= 2 and len(scores) > 1:
        ended = f"{rounds.last} seeds, the most allowed, did not decide this."
        sentence += f" Decided with {seeds} seeds each, of at most {rounds.last}." if rounds.decided else f" {ended}"
    if scores and baselines:
        top = next(iter(scores.values()))
        sign = 1 if info.higher_is_better else -1
        values = {b.name: b.metrics.get(metric) for b in baselines if not b.bound}
        known = {name: value for name, value in values.items() if defined(value)}
        trivial = max(known, key=lambda name: sign * known[name], default=None)
        if trivial is not None and defined(top.mean) and sign * known[trivial] >= sign * top.mean:
            sentence = f"No architecture beats the baseline “{trivial}” ({info.text(known[trivial])}). {sentence}"
    if unfinished:
        sentence += f" No run of {and_joined(unfinished)} finished."
    return sentence


def all_decided(pairs: Sequence[Pair]) -> bool:
    """Whether the best architecture, `first` of the first pair, is decided against each other one."""
    return all(_outcome(pair) != "not decided" for pair in pairs if pair.first == pairs[0].first)


def _outcome(pair: Pair) -> Decision:
    """The outcome of a pair; results from before there was a margin tell only whether a difference was shown."""
    return pair.outcome or ("better" if pair.shown else "not decided")


def _ranking(
    info: Metric, scores: list[tuple[str, Estimate]], pairs: Sequence[Pair], seeds: int, margin: float | None
) -> str:
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
    beaten, same, still_open = ([pair for pair in rest if _outcome(pair) == one] for one in get_args(Decision))
    if len(beaten) == len(rest):
        nearest = rest[0]
        return (
            f"{best} is best: {info.label} {_with_interval(info, top)}, {_gap(info, nearest)} {side} {nearest.second} "
            f"(95 % interval {_range(info, nearest.difference)})."
        )
    parts, values = [], dict(scores)
    if still_open:
        names = [best, *(pair.second for pair in still_open)]
        opening = "No difference shown" if margin is None else "Not decided"
        listed = f"{info.label} {and_joined([info.text(values[name].mean) for name in names])}"
        parts.append(f"{opening} between {and_joined(names)}: {listed} ({_difference(info, names, still_open, pairs)})")
    if same:
        names = [best, *(pair.second for pair in same)]
        alike = f"{and_joined(names)} are" if len(same) == 1 else f"{and_joined(names[1:])} are each"
        with_best = "" if len(same) == 1 else f" as {best}"
        listed = f"{info.label} {and_joined([info.text(values[name].mean) for name in names])}"
        within = "" if margin is None else f", margin ±{info.amount(margin)}"
        difference = _difference(info, names, same, pairs)
        parts.append(f"{alike} practically the same{with_best}: {listed} ({difference}{within})")
    if beaten:
        parts.append(f"{best} is {side} {and_joined([pair.second for pair in beaten])}")
    return "; ".join(parts) + "."


def _difference(info: Metric, names: Sequence[str], of: Sequence[Pair], pairs: Sequence[Pair]) -> str:
    """The difference of the first two names, which are the pair `of[0]`, with its interval."""
    two = "" if len(names) == 2 else " of the first two"
    return f"difference{two} {_gap(info, of[0])}, {_interval(info, of[0], pairs)}"


def _interval(info: Metric, pair: Pair, pairs: Sequence[Pair]) -> str:
    """The interval of a difference, with the reason if it excludes zero and yet no difference is shown."""
    low, high, interval = pair.difference.low, pair.difference.high, f"95 % interval {_range(info, pair.difference)}"
    if pair.shown or low is None or high is None or low <= 0 <= high:
        return interval
    return f"{interval} for this pair alone; p = {pair.p_holm:.2g} after correction for {len(pairs)} comparisons"


def _gap(info: Metric, pair: Pair) -> str:
    return f"{info.number(pair.difference.mean)} {info.unit_of_difference}"


def _range(info: Metric, estimate: Estimate) -> str:
    low, high = info.number(estimate.low), info.number(estimate.high)
    return f"{low} to {high}" if "−" in low + high else f"{low}–{high}"


def _with_interval(info: Metric, estimate: Estimate) -> str:
    if estimate.low is None:
        return info.text(estimate.mean)
    return f"{info.text(estimate.mean)} [{_range(info, estimate)}]"
