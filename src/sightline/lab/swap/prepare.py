"""The beginning of a swap: its settings, and a trained model with its data, its layers and their replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.core.settings import check_in_range
from sightline.core.suggest import look_up
from sightline.data.corpus import Corpus
from sightline.lab.swap.distil import check_comparable
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.results import SwapPlan
from sightline.lab.swap.target import SwapTarget, find_target
from sightline.lab.swap.units import SwapUnit
from sightline.tasks.load import data_of_run, load, run_config
from sightline.tasks.winner import chosen_run
from sightline.training.environment import resolve_device

TESTED = 1000


@final
@dataclass(frozen=True)
class SwapConfig:
    """The settings of a swap, as the command line has them.

    layers: all, a number, 1,3, or heads such as 2.1,2.3; side: decoder or encoder, None = the one with a state
    target, settings: a mechanism and its settings, as text
    tested: test items at most
    """

    target: str
    layers: str = "all"
    side: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    plan: SwapPlan = field(default_factory=SwapPlan)
    metric: str = "auto"
    tested: int = TESTED
    device: str = "auto"

    def __post_init__(self) -> None:
        plan = self.plan
        for flag, value in (("--layer-steps", plan.layer_steps), ("--tune-steps", plan.tune_steps)):
            check_in_range(flag, value, at_least=0)
        for flag, value in (("--length", plan.length), ("--tested", self.tested)):
            check_in_range(flag, value, at_least=1)
        for flag, rate in (("--layer-lr", plan.layer_lr), ("--tune-lr", plan.tune_lr)):
            check_in_range(flag, rate, above=0)
        check_in_range("--kl", plan.kl, at_least=0)
        usual = SwapPlan()
        for steps, count, of_stage in (
            ("--layer-steps", plan.layer_steps, {"--layer-lr": plan.layer_lr == usual.layer_lr}),
            (
                "--tune-steps",
                plan.tune_steps,
                {"--tune-lr": plan.tune_lr == usual.tune_lr, "--kl": plan.kl == usual.kl},
            ),
        ):
            for flag, untouched in of_stage.items():
                if not count and not untouched:
                    raise InputError(f"is of a stage that {steps} 0 leaves out", where=flag)


@final
@dataclass(frozen=True)
class PreparedSwap:
    """A trained model with the data that it was trained on, and what replaces its layers."""

    run: Any  # the configuration of its training
    task: Any
    data: Corpus[Any]
    part: Any  # the test items
    patient: Patient
    units: list[SwapUnit]
    target: SwapTarget
    metric: str


def prepare(path: Path, config: SwapConfig) -> PreparedSwap:
    """Loads the model and its data, and finds the layers and the mechanism; changes nothing.

    Raises:
        InputError: what `tasks.load.load`, `Patient` and `find_target` raise; "runs/x: no config.yaml here says what it
            was trained on"; "--metric: unknown metric …".
    """
    directory = chosen_run(path)
    task = load(directory)
    run = run_config(directory)
    if run is None:
        raise InputError("no config.yaml here says what it was trained on: give the directory of a run", where=path)
    check_comparable(task)
    patient = Patient.of(task, config.side, path)
    units = patient.chosen(config.layers)
    target = find_target(patient, units, config.target, config.settings, config.plan.seed)
    kind = type(task)
    run, data = data_of_run(directory, run)
    names = kind.metrics(data, run)
    if config.metric != "auto":
        look_up(dict.fromkeys(names), config.metric, "metric", where="--metric")
    task.to(resolve_device(config.device))
    part = kind.spaced(data.test, config.tested)
    metric = names[0] if config.metric == "auto" else config.metric
    return PreparedSwap(run, task, data, part, patient, units, target, metric)
