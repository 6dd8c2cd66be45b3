"""The sizes of a ladder before anything is trained: what every model has and costs, and the loss that is fitted."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.lab.job_runs import built_for, run_config
from sightline.lab.plan import CompareConfig
from sightline.lab.preparing import deciding
from sightline.lab.scaling_results import SizePoint
from sightline.models.plugins import load_plugins
from sightline.tasks.match import flops_per_token
from sightline.tasks.table import task_class

TOLERANCE = 0.25  # relative distance of a model's parameters from those that the ladder asks for


class MeasuredSizes(NamedTuple):
    """The points of a ladder without their losses, and the metric that is fitted."""

    metric: str
    points: list[SizePoint]


def measure_sizes(config: CompareConfig, targets: Sequence[int]) -> MeasuredSizes:
    """Build every architecture at every size; count its parameters and the operations of training per token.

    The operations are counted on the executed graph of the first batches (`training.flops`).

    Raises:
        InputError: wrong data, architectures or settings; "--smallest: transformer has 8,424 parameters where the
            ladder asks for 12,500: …"; "--metric: accuracy grows with the size: …".
    """
    load_plugins(config.plugin)
    kind = task_class(config.task)
    points = []
    with tempfile.TemporaryDirectory() as temporary:
        first = run_config(config, config.archs[0])
        data: Any = kind.load_prepared(first, Path(temporary))
        data.check()
        metric = fitted_metric(kind.metrics(data, first), config.metric)
        for target in targets:
            matched = replace(config, match=f"params={target}")
            for arch in config.archs:
                run = run_config(matched, arch)
                try:
                    task = built_for(kind, data, run, Path(temporary))
                except InputError as error:
                    if error.where != "--match":
                        raise
                    raise InputError(f"{arch}: {str(error).removeprefix('--match: ')}", where="--smallest") from error
                count = task.parameters
                if abs(count - target) > TOLERANCE * target:
                    raise InputError(
                        f"{arch} has {count:,} parameters where the ladder asks for {target:,}: widths come in steps; "
                        "begin with a larger size",
                        where="--smallest",
                    )
                width = task.config.model.d_model
                points.append(SizePoint(arch, target, count, width, flops_per_token(task, data)))
    return MeasuredSizes(metric, points)


def fitted_metric(metrics: Sequence[str], asked: str) -> str:
    """The loss that a law is fitted to: the task's metric that decides where it falls with quality, else `loss`.

    Raises:
        InputError: "--metric: accuracy grows with the size: …".
    """
    if asked == "auto":
        usual = deciding(metrics, "auto")
        asked = "loss" if find_metric(usual).higher_is_better and "loss" in metrics else usual
    name = deciding(metrics, asked)
    if find_metric(name).higher_is_better:
        raise InputError(f"{name} grows with the size: a power law is that of a loss; choose a loss", where="--metric")
    return name
