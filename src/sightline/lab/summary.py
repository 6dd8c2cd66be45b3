"""`Results` of the workers' results: means, intervals, pairs, verdict, examples. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from sightline.core.config import encode
from sightline.core.metrics import defined, find_metric, undefined_notes
from sightline.data.spaced import spaced
from sightline.lab.cautions import cautions, marks
from sightline.lab.details import details_of
from sightline.lab.halving import length
from sightline.lab.jobs import Failure, Job, JobResult, Prepared
from sightline.lab.map_results import AttentionExample
from sightline.lab.plan import CompareConfig
from sightline.lab.power import power_of
from sightline.lab.results import (
    Architecture,
    BudgetPlan,
    Estimate,
    Example,
    LengthBin,
    LengthScores,
    Rate,
    Results,
    Rounds,
    Run,
    best_validation,
    on_gpu,
)
from sightline.lab.sequential import Look
from sightline.lab.stats import LEVEL, Comparison, compare_items, seed_intervals
from sightline.lab.verdict import all_decided, finished_seeds, verdict

MOST_BINS = 5
MOST_EXAMPLES = 12


@final
@dataclass(frozen=True)
class Outcome:
    """A job that has ended: its result, or how it failed."""

    job: Job
    result: JobResult | None
    failure: Failure | None


def summarise(
    config: CompareConfig,
    plan: BudgetPlan,
    prepared: Prepared,
    outcomes: Sequence[Outcome],
    trials: Mapping[str, Sequence[Outcome]],
    command: str,
    others_cores: float | None = None,
) -> Results:
    """The results of all finished jobs. `others_cores`: the cores that other programs kept busy meanwhile."""
    results = _by_arch(config, outcomes)

    def place(outcome: Outcome) -> tuple[int, int]:
        return config.archs.index(outcome.job.arch), outcome.job.seed

    finished = {arch: runs for arch, runs in results.items() if runs}
    scores, pairs, margin = judge(config, prepared, outcomes, seeds=len(plan.seeds))
    bins = length_bins(prepared.lengths) if prepared.lengths else []
    others = _other_metrics(prepared.metrics, finished, prepared.data.tested)
    trained = [_run(outcome, plan) for outcome in sorted(outcomes, key=place)]
    architectures = [
        _architecture(arch, runs, prepared, scores, others, bins, trials.get(arch, []), len(plan.seeds))
        for arch, runs in results.items()
    ]
    everything = [*outcomes, *(trial for tried in trials.values() for trial in tried)]
    deaths = Counter({arch: sum(o.job.deaths for o in everything if o.job.arch == arch) for arch in config.archs})
    load = _load(config, prepared, others_cores)
    cautious = cautions(trained, plan, architectures, **load, deaths=+deaths)
    architectures = [replace(a, cautions=marks(cautious, a.arch)) for a in architectures]
    seeds, single = finished_seeds({arch: len(runs) for arch, runs in finished.items()})
    power = power_of(pairs, margin, seeds=seeds, level=1 - LEVEL)
    rounds = Rounds(config.seeds, config.max_seeds, all_decided(pairs)) if config.until_decided else None
    sentence = verdict(
        prepared.metric,
        scores,
        pairs,
        seeds=seeds,
        single=single,
        margin=margin,
        rounds=rounds,
        baselines=prepared.baselines,
        unfinished=[arch for arch in config.archs if arch not in finished],
    )
    undefined = [note for runs in finished.values() for run in runs for note in undefined_notes(run.metrics)]
    return Results(
        command=command,
        environment=prepared.environment,
        data=prepared.data,
        budget=plan,
        verdict=" ".join([sentence, *(caution.sentence for caution in cautious)]),
        architectures=architectures,
        runs=trained,
        primary_metric=prepared.metric,
        pairs=pairs,
        baselines=prepared.baselines,
        lengths=[LengthBin(low, high, len(chosen)) for low, high, chosen in bins],
        attention=_attention(prepared, finished),
        examples=_examples(prepared, finished, scores),
        warnings=[*(caution.sentence for caution in cautious), *prepared.warnings, *dict.fromkeys(undefined)],
        others_cores=others_cores,
        prefer=config.prefer,
        settings=encode(config),
        margin=margin,
        power=power,
        rounds=rounds,
    )


def _load(config: CompareConfig, prepared: Prepared, others_cores: float | None) -> dict[str, Any]:
    """The facts of the machine's load that `cautions` takes."""
    on_cpu = not on_gpu(prepared.environment, config.device)
    return {"on_cpu": on_cpu, "others_cores": others_cores, "cores": int(prepared.environment.get("cores", 1))}


def judge(config: CompareConfig, prepared: Prepared, outcomes: Sequence[Outcome], *, seeds: int) -> Comparison:
    """Scores and pairs of the runs that have finished, of `seeds` that were trained of each architecture."""
    metric = find_metric(prepared.metric)
    look = Look(seeds, config.seeds, config.max_seeds) if config.until_decided else None
    margin = None if config.margin is None else config.margin / metric.factor
    items = {arch: _items(runs) for arch, runs in _by_arch(config, outcomes).items() if runs}
    return compare_items(items, metric, margin=margin, look=look)


def _by_arch(config: CompareConfig, outcomes: Sequence[Outcome]) -> dict[str, list[JobResult]]:
    """The results of the finished runs of each architecture, in the order of their seeds."""
    results: dict[str, list[JobResult]] = {arch: [] for arch in config.archs}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.job.seed):
        if outcome.result is not None:
            results[outcome.job.arch].append(outcome.result)
    return results


def _items(runs: Sequence[JobResult]) -> np.ndarray:
    """The rows (seeds, N, K) of the tested items."""
    return np.array([run.items for run in runs], float)


def _other_metrics(
    order: Sequence[str], finished: Mapping[str, Sequence[JobResult]], items: int
) -> dict[str, dict[str, Estimate]]:
    """All metrics with t intervals over seeds, by metric and architecture."""
    measured = {name for runs in finished.values() for run in runs for name in run.metrics}
    estimates: dict[str, dict[str, Estimate]] = {}
    for name in [*(name for name in order if name in measured), *sorted(measured.difference(order))]:
        known = {
            arch: [value for run in runs if defined(value := run.metrics.get(name))] for arch, runs in finished.items()
        }
        undefined = {arch: Estimate(None) for arch, values in known.items() if not values}
        estimates[name] = seed_intervals(known, find_metric(name).limits, items) | undefined
    return estimates


Bin = tuple[int, int, list[int]]


def length_bins(lengths: Sequence[int], most: int = MOST_BINS) -> list[Bin]:
    """Test items in at most `most` bins of about as many each, by length: shortest, longest, indices."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, most + 1)[1:], method="higher"))
    places = np.searchsorted(edges, lengths)  # the first edge that is not below
    bins = []
    for place in range(len(edges)):
        items = np.flatnonzero(places == place).tolist()
        if items:
            bins.append((min(lengths[i] for i in items), max(lengths[i] for i in items), items))
    return bins


def _by_length(metric: str, runs: Sequence[JobResult], bins: Sequence[Bin]) -> LengthScores:
    """The metric of the items in each bin, None where it is undefined there."""
    items = _items(runs)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = [float(find_metric(metric).value(items[:, chosen]).mean()) for *_, chosen in bins]
    return [score if np.isfinite(score) else None for score in scores]


def _architecture(
    arch: str,
    runs: Sequence[JobResult],
    prepared: Prepared,
    scores: Mapping[str, Estimate],
    others: Mapping[str, Mapping[str, Estimate]],
    bins: Sequence[Bin],
    trials: Sequence[Outcome],
    started: int,
) -> Architecture:
    metrics = {name: by_arch[arch] for name, by_arch in others.items() if arch in by_arch}
    if arch in scores:
        metrics[prepared.metric] = scores[arch]  # over test items too
    preset = prepared.learning_rates[arch]
    rates = sorted(
        (_rate(trial, preset, prepared.metric) for trial in trials),
        key=lambda rate: (rate.parameters or 0, rate.lr, rate.share),
    )
    if not runs:
        return Architecture(arch, metrics, rates=rates, started=started)
    times = [run.ms for run in runs if run.ms is not None]
    return Architecture(
        arch=arch,
        metrics=metrics,
        train_s=float(np.mean([run.train_s for run in runs])),
        tokens_per_s=float(np.mean([run.tokens / max(run.train_s, 1e-9) for run in runs])),
        parameters=runs[0].parameters,
        peak_memory_bytes=max(run.peak_memory_bytes for run in runs),
        ms=float(np.mean(times)) if times else None,
        ms_per=runs[0].ms_per,
        state_bytes=runs[0].state_bytes,
        state_of=runs[0].state_of,
        learning_rate=runs[0].learning_rate,
        rates=rates,
        by_length=_by_length(prepared.metric, runs, bins),
        details=details_of(runs[0].details, prepared.metric),
        finished=len(runs),
        started=started,
    )


def _rate(trial: Outcome, preset: float, metric: str) -> Rate:
    job, result = trial.job, trial.result
    rate = Rate(preset * job.lr_factor, None, "failed", job.parameters, float(length(job.stage)))
    if result is not None:
        ended = replace(rate, loss=result.loss, status="done", train_s=result.train_s, cpu_s=result.cpu_s)
        best = best_validation(result.history)
        return ended if best is None else replace(ended, valid=result.history[best].get(metric))
    return rate if trial.failure is None else replace(rate, status=trial.failure.kind)


def _run(outcome: Outcome, plan: BudgetPlan) -> Run:
    job, result, failure = outcome.job, outcome.result, outcome.failure
    if result is None:
        assert failure is not None
        return Run(job.arch, job.seed, failure.kind, error=failure.message)
    planned = plan.steps_of(job.arch, job.parameters)
    return Run(
        arch=job.arch,
        seed=job.seed,
        status="done",
        metrics=result.metrics,
        history=result.history,
        train_s=result.train_s,
        planned_s=planned and planned.run.training_s,
        cpu_s=result.cpu_s,
        steps=result.steps,
        epochs=result.epochs,
        tokens=result.tokens,
        flops=result.flops,
        ms=result.ms,
        peak_memory_bytes=result.peak_memory_bytes or None,
        energy_j=result.energy_j,
        kept_by=result.kept_by,
    )


def _attention(prepared: Prepared, finished: Mapping[str, Sequence[JobResult]]) -> list[AttentionExample]:
    examples = []
    first = [runs[0] for runs in finished.values()]
    for number, (item, pieces) in enumerate(zip(prepared.attended, prepared.attended_pieces, strict=True)):
        maps = [run.maps[number] for run in first if len(run.maps) > number and run.maps[number].maps]
        if maps:
            examples.append(AttentionExample(prepared.sources[item], first[0].references[item], pieces, maps))
    return examples


def _examples(
    prepared: Prepared, finished: Mapping[str, Sequence[JobResult]], scores: Mapping[str, Estimate]
) -> list[Example]:
    """Test items to read: some that the best architecture gets wrong, some that it gets right and others do not."""
    first = {arch: finished[arch][0] for arch in scores}
    if not first or not prepared.sources or not all(run.outputs for run in first.values()):
        return []
    references = next(iter(first.values())).references
    right = np.array([np.equal(run.outputs, references) for run in first.values()], bool)  # best architecture first
    wrong = np.flatnonzero(~right[0])
    split = np.flatnonzero(right[0] & ~right.all(0))
    rest = np.flatnonzero(right.all(0))
    share = MOST_EXAMPLES // 3
    kept = [*_spread(wrong, share), *_spread(split, MOST_EXAMPLES - share - min(len(rest), 2)), *_spread(rest, 2)]
    return [
        Example(prepared.sources[i], references[i], {arch: first[arch].outputs[i] for arch in finished}) for i in kept
    ]


def _spread(indices: np.ndarray, most: int) -> list[int]:
    """At most `most` of the indices, evenly spread."""
    return indices[spaced(len(indices), most)].tolist()
