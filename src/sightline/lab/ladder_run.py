"""A ladder: a comparison of its rungs, the costs of their layers, and whether each rung's reason holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.core.errors import InputError
from sightline.core.metrics import defined
from sightline.lab.compare import compare
from sightline.lab.directory import occupied
from sightline.lab.jobs import DONE, JobResult, Prepared, read_json
from sightline.lab.ladder import Lineage, lineage
from sightline.lab.ladder_claims import (
    QUARTERS,
    SPEED_MARGIN,
    Evidence,
    RungDifference,
    changes,
    judge,
    ladder_verdict,
    reason_verdict,
)
from sightline.lab.ladder_costs import RungSize, layer_costs, rung_sizes
from sightline.lab.ladder_results import LADDER, JudgedClaim, LadderResults, LayerCosts, RungResult
from sightline.lab.plan import CompareConfig
from sightline.lab.progress import Display
from sightline.lab.results import LengthBin, Results
from sightline.lab.resume import Begun
from sightline.lab.summary import length_bins
from sightline.models.layers import SELF_MIXERS
from sightline.models.plugins import load_plugins
from sightline.tasks.table import task_class

LENGTH, CHAIN_LENGTH = 2048, 128  # positions at which layers are timed, and at which their chains are counted


def planned(config: CompareConfig, out_dir: Path | None = None) -> tuple[CompareConfig, Lineage]:
    """The comparison of a task's rungs: all of them, at the size that `match` asks for, or that of the reference rung.

    Each mechanism of the plugins, which are loaded, is one more rung.

    out_dir: of a ladder that is continued, whose size is kept

    Raises:
        InputError: "--match: a ladder is matched by params=2M alone, found 'flops=1M'"; what `lineage` and
            `Lineage.check_settings`, `Lineage.with_plugins` and `load_plugins` raise; wrong data.
    """
    ladder = lineage(task_class(config.task).form, config.task)
    own = {one.name: [name for name in one.mechanisms if name in SELF_MIXERS] for one in load_plugins(config.plugin)}
    ladder = ladder.with_plugins(own)
    ladder.check_settings(config.settings)
    if config.match is not None and not config.match.startswith("params="):
        raise InputError(f"a ladder is matched by params=2M alone, found {config.match!r}", where="--match")
    config = replace(config, archs=ladder.names, variants=ladder.variants)
    if config.match is None:
        begun = None if out_dir is None else Begun.load(out_dir)
        (own,) = rung_sizes(config, [ladder.reference]) if begun is None else (None,)
        match = f"params={own.parameters}" if own is not None else begun and begun.config.match
        config = replace(config, match=match)
    return config, ladder


def run_ladder(
    config: CompareConfig,
    out_dir: Path,
    *,
    command: str = "",
    overwrite: bool = False,
    resume: bool = False,
    display: Display | None = None,
    plan: Path | None = None,
    cluster: str | None = None,
    length: int = LENGTH,
) -> LadderResults:
    """Train all rungs with every seed as `lab.compare.compare` does, and judge the reason of each; write `ladder.json`.

    config: `archs` and `variants` are those of the task's ladder, whatever it says; without `match` all rungs get about
        as many parameters as the reference rung has without it
    length: positions at which the layers of the rungs are timed

    Raises:
        InputError, EnvironmentFault, Interrupted, NoRunFinished: as `compare`; what `planned` raises.
    """
    display = display or Display()
    with occupied(out_dir, overwrite=overwrite or resume):
        config, ladder = planned(config, out_dir if resume else None)
        (out_dir / LADDER).unlink(missing_ok=True)  # of fewer seeds
        how: dict[str, Any] = {"overwrite": overwrite, "resume": resume, "display": display, "plan": plan}
        how["cluster"] = cluster
        results = compare(config, out_dir, command=command, **how)
        sizes = rung_sizes(config, ladder.names)
        chain_length = min(length, CHAIN_LENGTH)
        with one_thread():
            costs = layer_costs(ladder, sizes, length, chain_length, display.say)
        evidence = gathered(results, out_dir, costs, length, chain_length)
        climbed = ladder_results(ladder, results, evidence, sizes, config.task)
        climbed.save(out_dir / LADDER)
    return climbed


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch's inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gathered(
    results: Results, out_dir: Path, costs: Mapping[str, LayerCosts], length: int, chain_length: int
) -> Evidence:
    """The measurements of the finished runs of a ladder's comparison in `out_dir`, for its claims."""
    jobs: dict[str, list[JobResult]] = {a.arch: [] for a in results.architectures}
    for run in results.runs:
        if run.status == "done":
            jobs[run.arch].append(read_json(JobResult, out_dir / "runs" / f"{run.arch}-seed{run.seed}" / DONE))
    prepared = read_json(Prepared, out_dir / "prepared" / DONE)
    return Evidence(
        metric=results.metric,
        margin=results.margin,
        items={arch: np.array([job.items for job in done], float) for arch, done in jobs.items() if done},
        lengths=prepared.lengths,
        length_of=results.data.length_of,
        speeds={arch: [training_speed(job, by_clock=results.by_clock) for job in done] for arch, done in jobs.items()},
        counted=results.data.counted,
        costs=costs,
        length=length,
        chain_length=chain_length,
    )


def training_speed(job: JobResult, *, by_clock: bool = False) -> float:
    """Tokens per second of training steps alone, of the processor unless `by_clock`.

    Validations are left out: they end with a record of their own, so that what lies between any record and one of
    training is steps alone. A run too short for such records has the speed of all of it.
    """
    name = "seconds" if by_clock else "cpu_seconds"
    tokens = seconds = 0.0
    before = {"tokens": 0, name: 0.0}
    for record in job.history:
        if record["event"] == "train":
            tokens += record["tokens"] - before["tokens"]
            seconds += record[name] - before[name]
        before = record
    if not seconds:
        tokens, seconds = job.tokens, job.train_s if by_clock else job.cpu_s
    return tokens / max(seconds, 1e-9)


def ladder_results(
    ladder: Lineage, results: Results, evidence: Evidence, sizes: Sequence[RungSize], task: str
) -> LadderResults:
    """The ladder's results, from those of its comparison and the evidence."""
    claims, differences = judge(ladder, evidence), changes(ladder, evidence)
    parameters = {size.name: size.parameters for size in sizes}
    rungs = [
        _rung(ladder, name, results, evidence, claims[name], differences.get(name), parameters.get(name))
        for name in ladder.names
    ]
    bins = length_bins(evidence.lengths, QUARTERS) if len(evidence.lengths) else []
    return LadderResults(
        command=results.command,
        environment=results.environment,
        data=results.data,
        budget=results.budget,
        task=task,
        verdict=ladder_verdict(rungs),
        rungs=rungs,
        primary_metric=results.primary_metric,
        margin=results.margin,
        speed_margin=SPEED_MARGIN,
        length=evidence.length,
        chain_length=evidence.chain_length,
        quarters=[LengthBin(low, high, len(chosen)) for low, high, chosen in bins] if len(bins) > 1 else [],
        omitted=dict(ladder.omitted),
        warnings=[*_unlearnt(results), *results.warnings],
        settings=results.settings,
    )


def _unlearnt(results: Results) -> list[str]:
    """A warning where no rung is better than a baseline that needs no model."""
    metric = results.metric
    sign = 1 if metric.higher_is_better else -1
    values = {b.name: b.metrics.get(metric.name) for b in results.baselines if not b.bound}
    known = {name: value for name, value in values.items() if defined(value)}
    scores = [a.metrics[metric.name].mean for a in results.architectures if metric.name in a.metrics]
    best = max((sign * score for score in scores if defined(score)), default=None)
    name = max(known, key=lambda name: sign * known[name], default=None)
    if best is None or name is None or best > sign * known[name]:
        return []
    level = metric.text(known[name])
    return [f"No rung beats the baseline “{name}” ({level}): they have learnt too little to judge the reasons."]


def _rung(
    ladder: Lineage,
    name: str,
    results: Results,
    evidence: Evidence,
    claims: list[JudgedClaim],
    difference: RungDifference | None,
    parameters: int | None,
) -> RungResult:
    rung = ladder.find(name)
    architecture = next(a for a in results.architectures if a.arch == name)
    runs = [run for run in results.runs if run.arch == name and run.status == "done"]
    own = [s for run in runs if (s := results.own_s(run)) is not None]
    steps, speeds = [run.steps for run in runs if run.steps is not None], list(evidence.speeds.get(name, ()))
    changed: dict[str, Any] = {} if difference is None else difference._asdict()
    words = ("name", "title", "over", "change", "reason", "paper", "note")
    return RungResult(
        **{word: getattr(rung, word) for word in words},
        keys=list(rung.keys),
        settings=dict(rung.settings),
        verdict=reason_verdict(claims) if claims else None,
        claims=claims,
        quality=architecture.metrics.get(results.primary_metric),
        parameters=parameters if architecture.parameters is None else architecture.parameters,
        train_s=_mean(own),
        steps=_mean(steps),
        speed=_mean(speeds),
        state_bytes=architecture.state_bytes,
        learning_rate=architecture.learning_rate,
        finished=architecture.finished,
        started=architecture.started,
        cautions=architecture.cautions,
        costs=evidence.costs.get(name),
        **changed,
    )


def _mean(values: Sequence[int | float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
