"""The verdict of a comparison, in one or two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final, get_args

from sightline.core.digits import and_joined
from sightline.core.metrics import Baseline, Metric, defined, find_metric
from sightline.core.sourced import Place, as_stored, sourced
from sightline.lab.results import Decision, Estimate, Pair, Results, Rounds


def verdict(
    metric: str,
    scores: Mapping[str, Estimate],
    pairs: Sequence[Pair],
    *,
    seeds: int,
    single: Sequence[str] = (),
    margin: float | None = None,
    rounds: Rounds | None = None,
    baselines: Sequence[Baseline] = (),
    unfinished: Sequence[str] = (),
) -> str:
    """The best architecture and its lead, or which others are practically the same or not decided against it.

    First, whether a baseline is as good.

    scores: best first; pairs: first minus second, the better one first, with their outcomes
    seeds, single: what `finished_seeds` returns; unfinished: architectures without a finished run
    margin: of practical equivalence; rounds: of seeds that were added
    pairs and baselines are those of the results, in their order, where the places of numbers are wanted
    """
    shown = [*(score.mean for score in scores.values()), *(baseline.metrics.get(metric) for baseline in baselines)]
    info = find_metric(metric).apart(shown, [score.spread for score in scores.values()])
    sentence = _ranking(info, list(scores.items()), _Pairs(info, pairs, margin), seeds, single)
    if rounds is not None and seeds >= 2 and len(scores) > 1:
        last = sourced(str(rounds.last), ("rounds", "last"))
        several = [arch for arch in scores if arch not in single]
        used = sourced(str(seeds), *(("architectures", arch, "finished") for arch in several), how="least")
        ended = f"{last} seeds, the most allowed, did not decide this."
        sentence += f" Decided with {used} seeds each, of at most {last}." if rounds.decided else f" {ended}"
    if scores and baselines:
        top = next(iter(scores.values()))
        sign = 1 if info.higher_is_better else -1
        values = {b.name: b.metrics.get(metric) for b in baselines if not b.bound}
        known = {name: value for name, value in values.items() if defined(value)}
        trivial = max(known, key=lambda name: sign * known[name], default=None)
        if trivial is not None and defined(top.mean) and sign * known[trivial] >= sign * top.mean:
            level = sourced(info.text(known[trivial]), ("baselines", trivial, "metrics", metric))
            sentence = f"No architecture beats the baseline “{trivial}” ({level}). {sentence}"
    if single and seeds >= 2:
        sentence += f" Of {and_joined(single)} a single run finished, which is not enough to decide."
    if unfinished:
        sentence += f" No run of {and_joined(unfinished)} finished."
    return sentence


def judgement_of(results: Results) -> str:
    """The verdict of a comparison without its warnings, written again from its results, so that its numbers can have
    their places; as it is stored where another version wrote it.
    """
    name, ranked = results.primary_metric, results.ranked
    seeds, single = finished_seeds({a.arch: a.finished for a in ranked if a.finished})
    written = verdict(
        name,
        {a.arch: a.metrics[name] for a in ranked if name in a.metrics},
        results.pairs,
        seeds=seeds,
        single=single,
        margin=results.margin,
        rounds=results.rounds,
        baselines=results.baselines,
        unfinished=[a.arch for a in results.architectures if not a.finished],
    )
    return as_stored(written, results.judgement)


def finished_seeds(finished: Mapping[str, int]) -> tuple[int, list[str]]:
    """The smallest number of finished seeds of the architectures that are compared, and those with a single one.

    finished: by architecture, at least 1; where fewer than two architectures have several seeds, the number is 1
    """
    several = [seeds for seeds in finished.values() if seeds > 1]
    enough = len(several) >= min(2, len(finished))
    return min(several if enough else finished.values(), default=0), [arch for arch, n in finished.items() if n == 1]


def all_decided(pairs: Sequence[Pair]) -> bool:
    """Whether the best architecture, `first` of the first pair, is decided against each other one."""
    return all(_outcome(pair) != "not decided" for pair in pairs if pair.first == pairs[0].first)


def _outcome(pair: Pair) -> Decision:
    """The outcome of a pair; results from before there was a margin tell only whether a difference was shown."""
    return pair.outcome or ("better" if pair.shown else "not decided")


def score(info: Metric, arch: str, value: float | None) -> str:
    """The mean of an architecture with its unit."""
    return sourced(info.text(value), ("architectures", arch, "metrics", info.name, "mean"))


@final
class _Pairs:
    """The pairs of a comparison in words: differences as leads, and where they are in its results."""

    def __init__(self, info: Metric, pairs: Sequence[Pair], margin: float | None) -> None:
        self.info = info
        self.pairs = pairs
        self.margin = margin

    def with_best(self, best: str) -> list[int]:
        """The places of the pairs of the best architecture with the others."""
        return [at for at, pair in enumerate(self.pairs) if pair.first == best]

    def second(self, at: int) -> str:
        """The other architecture of a pair."""
        return self.pairs[at].second

    def gap(self, at: int) -> str:
        """The lead of the first architecture with its unit."""
        return f"{self._end(at, 'mean')} {self.info.unit_of_difference}"

    def range(self, at: int) -> str:
        """The interval of the lead."""
        return _between(self._end(at, "low"), self._end(at, "high"))

    def interval(self, at: int) -> str:
        """The interval, with the reason if it excludes zero and yet no difference is shown, or if it is within the
        margin and yet the pair is not decided.
        """
        pair, interval = self.pairs[at], f"95 % interval {self.range(at)}"
        low, high, field = pair.difference.low, pair.difference.high, "p_holm"
        if pair.shown or low is None or high is None:
            return interval
        within = self.margin is not None and -self.margin < low <= high < self.margin
        if low <= 0 <= high:
            if not within or pair.outcome != "not decided" or pair.p_same is None:
                return interval
            interval, field = f"{interval} within the {self.named_margin()}", "p_same"
        p = sourced(f"{getattr(pair, field):.2g}", ("pairs", at, field))
        comparisons = sourced(str(len(self.pairs)), ("pairs",), how="count")
        return f"{interval} for this pair alone; p = {p} after correction for {comparisons} comparisons"

    def named_margin(self) -> str:
        """The margin of practical equivalence with its name."""
        return f"margin ±{sourced(self.info.amount(self.margin or 0.0), ('margin',))}"

    def _end(self, at: int, end: str) -> str:
        """The mean or an end of the lead, which is the difference with the other sign where less is better."""
        difference = self.pairs[at].difference
        if self.info.higher_is_better:
            return sourced(self.info.number(getattr(difference, end)), ("pairs", at, "difference", end))
        other = {"low": "high", "high": "low"}.get(end, end)
        number = self.info.number(getattr(difference.turned(), end))
        return sourced(number, ("pairs", at, "difference", other), how="minus")


def _ranking(info: Metric, scores: list[tuple[str, Estimate]], pairs: _Pairs, seeds: int, single: Sequence[str]) -> str:
    if not scores:
        return "No verdict: no run finished."
    best, top = scores[0]
    if len(scores) == 1:
        return f"Only {best} was measured: {info.label} {_with_interval(info, best, top)}."
    means = {arch: score(info, arch, estimate.mean) for arch, estimate in scores}
    rest = pairs.with_best(best)
    if seeds < 2 or not rest:
        listed = ", ".join(f"{name} {mean}" for name, mean in means.items())
        some = f" of {and_joined(single)}" if len(single) < len(scores) and single else ""
        one_each = seeds < 2 and not some
        why = f"with one seed{some} the spread between trainings is unknown" if seeds < 2 else "no pair was compared"
        means_of = "In this one training each" if one_each else "Means of the finished runs"
        return f"No verdict: {why}. {means_of}, {info.label}: {listed}."
    side = "above" if info.higher_is_better else "below"
    beaten, same, still_open = ([at for at in rest if _outcome(pairs.pairs[at]) == one] for one in get_args(Decision))
    if len(beaten) == len(rest):
        return (
            f"{best} is best: {info.label} {_with_interval(info, best, top)}, {pairs.gap(rest[0])} {side} "
            f"{pairs.second(rest[0])} (95 % interval {pairs.range(rest[0])})."
        )
    parts = []
    if still_open:
        names = [best, *map(pairs.second, still_open)]
        opening = "No difference shown" if pairs.margin is None else "Not decided"
        listed = f"{info.label} {and_joined([means[name] for name in names])}"
        parts.append(f"{opening} between {and_joined(names)}: {listed} ({_difference(names, still_open[0], pairs)})")
    if same:
        names = [best, *map(pairs.second, same)]
        alike = f"{and_joined(names)} are" if len(same) == 1 else f"{and_joined(names[1:])} are each"
        with_best = "" if len(same) == 1 else f" as {best}"
        listed = f"{info.label} {and_joined([means[name] for name in names])}"
        within = "" if pairs.margin is None else f", {pairs.named_margin()}"
        difference = _difference(names, same[0], pairs)
        parts.append(f"{alike} practically the same{with_best}: {listed} ({difference}{within})")
    if beaten:
        parts.append(f"{best} is {side} {and_joined([*map(pairs.second, beaten)])}")
    return "; ".join(parts) + "."


def _difference(names: Sequence[str], at: int, pairs: _Pairs) -> str:
    """The difference of the first two names, which are the pair at that place, with its interval."""
    two = "" if len(names) == 2 else " of the first two"
    return f"difference{two} {pairs.gap(at)}, {pairs.interval(at)}"


def _between(low: str, high: str) -> str:
    return f"{low} to {high}" if "−" in low + high else f"{low}–{high}"


def _with_interval(info: Metric, arch: str, estimate: Estimate) -> str:
    mean = score(info, arch, estimate.mean)
    if estimate.low is None:
        return mean
    of: Place = ("architectures", arch, "metrics", info.name)
    low, high = (sourced(info.number(getattr(estimate, end)), (*of, end)) for end in ("low", "high"))
    return f"{mean} [{_between(low, high)}]"
