"""From what the workers left to `Results`: means, intervals, pairs, verdict, examples. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sightline.lab import stats
from sightline.lab.details import details_of
from sightline.lab.jobs import Failure, Job, Measured, Prepared
from sightline.lab.plan import CompareConfig
from sightline.lab.results import (
    Architecture,
    AttentionExample,
    BudgetPlan,
    Data,
    Estimate,
    Example,
    LengthBin,
    Pair,
    Rate,
    Results,
    Run,
    metric_info,
)
from sightline.lab.verdict import verdict
from sightline.tasks.texts_out.scores import bleu_of

BLEU_RESAMPLES = 2000  # each costs a BLEU for every run
MOST_BINS = 5
MOST_EXAMPLES = 12


@dataclass(frozen=True)
class Outcome:
    """A job that is over: what it measured, or how it failed."""

    job: Job
    measured: Measured | None
    failure: Failure | None


def summarise(
    config: CompareConfig,
    plan: BudgetPlan,
    prepared: Prepared,
    outcomes: Sequence[Outcome],
    trials: Mapping[str, Sequence[Outcome]],
    command: str,
) -> Results:
    """The results of all finished jobs."""
    done = {
        arch: sorted((o for o in outcomes if o.job.arch == arch and o.measured), key=lambda o: o.job.seed)
        for arch in config.archs
    }
    found = {arch: [o.measured for o in mine if o.measured] for arch, mine in done.items()}
    found = {arch: measured for arch, measured in found.items() if measured}
    comparison = _compare(prepared.metric, found)
    pairs = [Pair(p.first, p.second, _estimate(p.difference), p.p, p.p_holm, p.shown) for p in comparison.pairs]
    scores = {arch: _estimate(interval) for arch, interval in comparison.scores.items()}
    bins = length_bins(prepared.lengths) if prepared.lengths else []
    others = _other_metrics(found)
    architectures = [
        _architecture(arch, found.get(arch, []), prepared, scores, others, bins, trials.get(arch, []), config)
        for arch in config.archs
    ]
    said = verdict(
        prepared.metric,
        scores,
        pairs,
        seeds=min(map(len, found.values()), default=0),
        baselines=prepared.baselines,
        unfinished=[arch for arch in config.archs if arch not in found],
    )
    lengths = [LengthBin(low, high, len(items)) for low, high, items in bins]
    return Results(
        command=command,
        environment=prepared.environment,
        data=_data(prepared),
        budget=plan,
        verdict=said,
        architectures=architectures,
        runs=[
            _run(outcome) for outcome in sorted(outcomes, key=lambda o: (config.archs.index(o.job.arch), o.job.seed))
        ],
        primary_metric=prepared.metric,
        pairs=pairs,
        baselines=prepared.baselines,
        lengths=lengths,
        attention=_attention(prepared, found),
        examples=_examples(prepared, found, scores),
        warnings=prepared.warnings,
    )


def _items(measured: Sequence[Measured]) -> np.ndarray:
    """Per seed and test item what the metric is made of, (seeds, N, K)."""
    return np.array([m.items for m in measured], float)


def _compare(metric: str, found: Mapping[str, Sequence[Measured]]) -> stats.Comparison:
    items = {arch: _items(measured) for arch, measured in found.items()}
    info = metric_info(metric)
    if metric == "bleu":
        return stats.compare_items(items, bleu_of, limits=info.limits, resamples=BLEU_RESAMPLES)
    return stats.compare_items(items, limits=info.limits, higher=info.higher)


def _estimate(interval: stats.Interval) -> Estimate:
    low, high = (None if np.isnan(end) else float(end) for end in (interval.low, interval.high))
    return Estimate(interval.mean, low, high)


def _other_metrics(found: Mapping[str, Sequence[Measured]]) -> dict[str, dict[str, Estimate]]:
    """All metrics with t intervals over seeds, by metric and architecture."""
    names = dict.fromkeys(name for measured in found.values() for m in measured for name in m.metrics)
    return {
        name: {
            arch: _estimate(interval)
            for arch, interval in stats.seed_intervals(
                {arch: [m.metrics[name] for m in measured if name in m.metrics] for arch, measured in found.items()},
                metric_info(name).limits,
            ).items()
        }
        for name in names
    }


Bin = tuple[int, int, list[int]]


def length_bins(lengths: Sequence[int]) -> list[Bin]:
    """Test items in at most `MOST_BINS` bins of about as many each, by length: shortest, longest, indices."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, MOST_BINS + 1)[1:], method="higher"))
    places = np.searchsorted(edges, lengths)  # the first edge that is not below
    bins = []
    for place in range(len(edges)):
        items = np.flatnonzero(places == place).tolist()
        if items:
            bins.append((min(lengths[i] for i in items), max(lengths[i] for i in items), items))
    return bins


def _by_length(metric: str, measured: Sequence[Measured], bins: Sequence[Bin]) -> list[float | None]:
    if not measured:
        return []
    items, score = _items(measured), bleu_of if metric == "bleu" else stats.mean_score
    return [float(score(items[:, chosen].sum(1)).mean()) for *_, chosen in bins]


def _architecture(
    arch: str,
    measured: Sequence[Measured],
    prepared: Prepared,
    scores: Mapping[str, Estimate],
    others: Mapping[str, Mapping[str, Estimate]],
    bins: Sequence[Bin],
    trials: Sequence[Outcome],
    config: CompareConfig,
) -> Architecture:
    metrics = {name: by_arch[arch] for name, by_arch in others.items() if arch in by_arch}
    if arch in scores:
        metrics[prepared.metric] = scores[arch]  # over test items too
    preset = prepared.learning_rates[arch]
    rates = sorted((_rate(trial, preset) for trial in trials), key=lambda rate: rate.lr)
    if not measured:
        return Architecture(arch, metrics, rates=rates, started=config.seeds)
    times = [m.ms for m in measured if m.ms is not None]
    return Architecture(
        arch=arch,
        metrics=metrics,
        train_s=float(np.mean([m.train_s for m in measured])),
        tokens_per_s=float(np.mean([m.tokens / max(m.train_s, 1e-9) for m in measured])),
        parameters=measured[0].parameters,
        peak_memory_bytes=max(m.peak_memory_bytes for m in measured),
        ms=float(np.mean(times)) if times else None,
        ms_per=measured[0].ms_per,
        state_bytes=measured[0].state_bytes,
        state_of=measured[0].state_of,
        learning_rate=measured[0].learning_rate,
        rates=rates,
        by_length=_by_length(prepared.metric, measured, bins),
        details=details_of(measured[0].details, prepared.metric),
        finished=len(measured),
        started=config.seeds,
    )


def _rate(trial: Outcome, preset: float) -> Rate:
    lr = preset * trial.job.lr_factor
    if trial.measured is None:
        return Rate(lr, None, trial.failure.kind if trial.failure else "failed")
    return Rate(lr, trial.measured.loss, "done")


def _run(outcome: Outcome) -> Run:
    job, measured, failure = outcome.job, outcome.measured, outcome.failure
    if measured is None:
        assert failure is not None
        return Run(job.arch, job.seed, failure.kind, error=failure.message)
    return Run(
        arch=job.arch,
        seed=job.seed,
        status="done",
        metrics=measured.metrics,
        history=measured.history,
        train_s=measured.train_s,
        steps=measured.steps,
        tokens=measured.tokens,
        flops=measured.flops,
    )


def _data(prepared: Prepared) -> Data:
    return Data(
        name=prepared.data_name,
        sha256=prepared.sha256,
        train=prepared.train,
        valid=prepared.valid,
        test=prepared.test,
        tested=prepared.tested,
        notes=prepared.notes,
        unit=prepared.unit,
        facts=prepared.facts,
        loss_unit=prepared.loss_unit,
        counted=prepared.counted,
        length_of=prepared.length_of,
    )


def _attention(prepared: Prepared, found: Mapping[str, Sequence[Measured]]) -> list[AttentionExample]:
    examples = []
    references = next((m.references for measured in found.values() for m in measured), [])
    for number, (item, pieces) in enumerate(zip(prepared.attended, prepared.attended_pieces, strict=True)):
        maps = [m.maps[number] for measured in found.values() for m in measured[:1] if len(m.maps) > number]
        maps = [one for one in maps if one.maps]
        if maps:
            examples.append(AttentionExample(prepared.sources[item], references[item], pieces, maps))
    return examples


def _examples(
    prepared: Prepared, found: Mapping[str, Sequence[Measured]], scores: Mapping[str, Estimate]
) -> list[Example]:
    """Test items to read: some that the best architecture gets wrong, some that it gets right and others do not."""
    first = {arch: found[arch][0] for arch in scores}
    if not first or not prepared.sources or not all(m.outputs for m in first.values()):
        return []
    references = next(iter(first.values())).references
    right = np.array([np.equal(m.outputs, references) for m in first.values()], bool)  # best architecture first
    wrong = np.flatnonzero(~right[0])
    split = np.flatnonzero(right[0] & ~right.all(0))
    rest = np.flatnonzero(right.all(0))
    share = MOST_EXAMPLES // 3
    kept = [*_spread(wrong, share), *_spread(split, MOST_EXAMPLES - share - min(len(rest), 2)), *_spread(rest, 2)]
    order = list(found)
    return [Example(prepared.sources[i], references[i], {arch: first[arch].outputs[i] for arch in order}) for i in kept]


def _spread(indices: np.ndarray, most: int) -> list[int]:
    """At most `most` of the indices, evenly spread."""
    if len(indices) <= most:
        return indices.tolist()
    return [int(indices[i * len(indices) // most]) for i in range(most)]
