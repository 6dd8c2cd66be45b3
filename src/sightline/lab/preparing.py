"""The job that a comparison begins with: read the data, check every architecture, score the baselines, once for all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sightline.core.errors import InputError
from sightline.core.metrics import defined, find_metric
from sightline.data.spaced import spaced
from sightline.lab.attention import attention_examples
from sightline.lab.halving import size_factors
from sightline.lab.job_runs import built_for, run_config
from sightline.lab.jobs import Job, Prepared, say
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.results import Data
from sightline.models.plugins import load_plugin
from sightline.tasks.table import task_class
from sightline.training.budget import Budget
from sightline.training.energy import budget_meter, find_meter
from sightline.training.environment import environment, resolve_device
from sightline.training.trackers import make_tracker


def prepare(job: Job) -> Prepared:
    """Read the data, check every architecture, and score the baselines, once for all runs."""
    config = job.config
    if config.log is not None:
        make_tracker(config.log)  # what is wrong with it ends the comparison before its trainings
    budget = Budget.parse(config.budget)
    divide(config, budget.amount, budget.unit)
    device = resolve_device(config.device)
    meter = (budget_meter if budget.unit == "joules" else find_meter)(str(device))
    runs = [run_config(config, arch) for arch in config.archs]
    kind = task_class(config.task)
    say("reading the data")
    data = kind.load_prepared(runs[0], job.prepared)
    data.check()
    for part, size in data.sizes.items():
        if not size:
            raise InputError(f"no {part} {kind.unit}", where=data.name)
    say("checking the architectures")
    built: list[Any] = [built_for(kind, data, run, job.prepared) for run in runs]
    presets = {arch: task.parameters for arch, task in zip(config.archs, built, strict=True)}
    sizes = {arch: tried_sizes(kind, data, config, arch, preset, job.prepared) for arch, preset in presets.items()}
    task = built[0]
    metrics = kind.metrics(data, runs[0])
    metric = deciding(metrics, config.metric)
    tested = spaced(data.sizes["test"], config.tested)
    part = data.test.select(tested)
    say("scoring the baselines")
    baselines = task.baselines(data.train, data.valid, part)
    known = [baseline.metrics[metric] for baseline in baselines if metric in baseline.metrics]
    if known and not any(map(defined, known)):
        raise InputError(f"{metric} is undefined for these test items", where="--metric")
    sources = kind.sources(part)
    attended = attention_examples(task, sources) if kind.shows_attention else []
    pieces = [task.trained.source_pieces(sources[i]) for i in attended]
    return Prepared(
        data=_described(data, task, part),
        budget_amount=budget.amount,
        budget_unit=budget.unit,
        learning_rates={arch: run.training.optim.lr for arch, run in zip(config.archs, runs, strict=True)},
        metric=metric,
        metrics=list(metrics),
        sources=sources,
        lengths=kind.lengths(part),
        attended=attended,
        attended_pieces=pieces,
        baselines=baselines,
        environment=environment()
        | {"device": device.type, "threads": torch.get_num_threads(), "command": ""}
        | {"energy_counters": meter.sources if meter else []}
        | plugins_of(config, runs),
        validations=runs[0].training.validations,
        validation_share=runs[0].training.validation_share,
        presets=presets,
        sizes=sizes if config.sizes > 1 else {},
    )


def _described(data: Any, task: Any, part: Any) -> Data:
    """The facts of the data for the results; `task` is one of those built on it, `part` the tested items."""
    return Data(
        name=data.name,
        sha256=data.sha256,
        **data.sizes,
        tested=len(part),
        notes=list(data.notes),
        unit=task.unit,
        facts=task.facts(),
        loss_unit=task.loss_unit,
        counted=task.counted,
        length_of=task.length_of,
        tested_sha256=task.items_sha256(part),
        reads_texts=task.reads_texts,
    )


def tried_sizes(kind: Any, data: Any, config: CompareConfig, arch: str, preset: int, directory: Path) -> list[int]:
    """The parameters of the sizes that a search tries, ascending, `preset` among them.

    Widths come in steps: a size that is too narrow, or equal to another one, is left out.
    """
    sizes = {preset}
    for factor in size_factors(config.sizes):
        run = run_config(config, arch).changed(match=f"params={round(factor * preset)}")
        with suppress(InputError):  # the architecture has no width, or none that small
            sizes.add(preset if factor == 1 else built_for(kind, data, run, directory).parameters)
    return sorted(sizes)


def plugins_of(config: CompareConfig, runs: Sequence[Any]) -> dict[str, dict[str, str]]:
    """The plugins that the comparison uses: by what was named, their versions and the hashes of their sources."""
    used = {one.name for run in runs for one in run.plugins}
    sources = {named: load_plugin(named).source for named in config.plugin}
    rows = {
        named: f"{one.name}{f' {one.version}' if one.version else ''}, sha256 {one.sha256}"
        for named, one in sources.items()
        if one.name in used
    }
    return {"plugins": rows} if rows else {}


def deciding(metrics: Sequence[str], asked: str) -> str:
    """The metric that decides among those that a task reports, of which "auto" is the first.

    Raises `InputError` where it is not among them, or where a comparison may not rank by it.
    """
    names = [name for name in metrics if find_metric(name).decides]
    if asked == "auto":
        return names[0]
    if asked not in names:
        reason = "alone does not rank models" if asked in metrics else "is not a metric of this task"
        raise InputError(f"{asked!r} {reason}: choose one of {', '.join(names)}", where="--metric")
    return asked
