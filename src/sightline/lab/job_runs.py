"""The trainings that the jobs of a comparison are about: their configurations, and their models before training."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from sightline.core.config import override
from sightline.lab.jobs import Job
from sightline.lab.plan import CompareConfig
from sightline.lab.rates import trial_warmup
from sightline.tasks.match import matched
from sightline.tasks.table import task_class
from sightline.training.budget import Budget
from sightline.training.state import AUTO

LOSS = "loss"  # which every validation has


def run_config(config: CompareConfig, arch: str) -> Any:
    """The preset of the architecture, or of the variant, with the data and settings of the comparison."""
    kind = task_class(config.task)
    variant = config.variant(arch)
    preset = variant.pop("arch")
    kind.check_architecture(preset)
    usual = kind.Run().settings
    common = {key: attrgetter(key)(usual) for key in kind.same_in_comparison}
    own = {"data": config.data, "device": config.device, "dtype": config.dtype, "match": config.match}
    common |= {key: value for key, value in own.items() if value is not None}
    run = override(kind.preset(preset), common, prefix="--")
    return override(override(replace(run, task=config.task), variant), config.settings, prefix="--")


def built_for(kind: Any, data: Any, run: Any, directory: Path) -> Any:
    """The untrained task of a run, of the size that its `match` asks for."""
    return kind.build_prepared(data, matched(kind, data, run, directory), directory)


def training_config(job: Job) -> Any:
    """The configuration of a trial or a run: its own length and rate; in a trial, warm-up in proportion.

    Where architectures are compared by the loss, their models are kept by it too. Other metrics that a comparison may
    be decided by leave that to the task.
    """
    run = run_config(job.config, job.arch)
    if job.config.metric == LOSS and run.training.metric == AUTO:
        run = run.changed(metric=LOSS)
    optim = replace(run.training.optim, lr=run.training.optim.lr * job.lr_factor)
    if job.kind == "trial":
        whole = Budget.parse(job.run_budget)
        run_steps = whole.amount if whole.unit == "steps" else None
        optim = replace(optim, warmup=trial_warmup(optim.warmup, optim.warmup_steps, run_steps), warmup_steps=None)
    settled = {"budget": job.budget, "validations": job.validations, "validation_share": job.validation_share}
    return run.changed(seed=job.seed, optim=optim, **settled)
