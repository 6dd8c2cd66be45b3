"""The training loop: generic over the task, bounded by a budget, resumable to the bit.

A run that stops anywhere continues from its newest verified checkpoint as if it had never stopped: weights, optimizer,
learning rate, next batch and dropout masks are those of the uninterrupted run, bit for bit, on the same machine with
the same number of threads. The random stream of step n is seeded from (seed, n), so that no generator's state needs
saving. A budget in seconds becomes a number of steps first (`training.plan`); only with one by the clock, 60s-wall, do
two runs differ.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, final

import torch
from torch import nn

from sightline.core.config import decode
from sightline.core.errors import Diverged, EnvironmentFault, InputError, Interrupted
from sightline.core.json_text import finite
from sightline.core.seeds import derive
from sightline.data.batches import Batches, Cursor
from sightline.training.best import forget_best, is_kept
from sightline.training.budget import Spent
from sightline.training.checkpoint import Checkpoint
from sightline.training.distributed import ALONE, Team
from sightline.training.environment import resolve_device, resolve_dtype
from sightline.training.looks import Looks, WatchModel
from sightline.training.loss import Objective
from sightline.training.measured import Measured
from sightline.training.memory import MemoryGuard
from sightline.training.pace import Pace
from sightline.training.plan import CHECKPOINT_SHARE
from sightline.training.planning import in_planned_steps
from sightline.training.rundir import SAVED, RunDirectory, RunElsewhere, kept_in, open_shared
from sightline.training.shared_step import SharedStepper, make_stepper
from sightline.training.shares import in_shares
from sightline.training.signals import Stopped, StopRequest
from sightline.training.state import (
    Progress,
    Saved,
    State,
    TrainConfig,
    TrainResult,
    Validate,
    settled,
    training_record,
)
from sightline.training.step import Stepper
from sightline.training.timing import Timer
from sightline.training.trackers import Tracker

logger = logging.getLogger("sightline")
FORMAT = 1


def train(
    model: nn.Module,
    objective: Objective,
    batches: Batches | None,
    config: TrainConfig,
    run_dir: Path | str,
    *,
    validate: Validate | None = None,
    validator: Callable[[float], Validate] | None = None,
    save_model: Callable[[Path], None] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    files: Callable[[TrainConfig], Mapping[str, str]] | None = None,
    watch: WatchModel | None = None,
    trackers: Sequence[Tracker] = (),
    team: Team = ALONE,
) -> TrainResult:
    """Train `model` until the budget is used up, and leave a run in `run_dir`.

    `objective(model, batch)` gives a `Loss`; `validate(model)` a `Measured` with the metric "loss" at least, called in
    evaluation mode without gradients; `validator(share)`, instead, makes one for a share of the validation items.
    `save_model(directory)` writes the current model into an empty directory, for `best/` and `last/`. The texts by name
    of `files(config)` are written into the run directory; in that config a budget in seconds has become steps. What
    `watch(model)` returns, numbers by name, is recorded at the steps of `training.looks`. The caller initialises the
    model from the seed. `trackers` follow the records of metrics.jsonl. In a `team` (`training.distributed.joined`)
    every process calls this with the same model and config; only the first process of a node needs `batches`, only the
    first of all the rest.

    Raises:
        InputError: the directory contains a run and neither `resume` nor `overwrite` is given; no checkpoint verifies.
        EnvironmentFault: disk full, out of memory, directory not writable or in use by another process.
        Diverged: a loss or gradient norm is NaN or infinite: `step 12: the loss is nan (rows 3, 17, …): …`.
        Interrupted: SIGINT or SIGTERM, after the state was saved.
    """
    config, path, device = settled(config), Path(run_dir), team.device(resolve_device(config.device))
    dtype = resolve_dtype(config.dtype, device, model)
    generators = [device] if device.type == "cuda" else []
    with (
        open_shared(team, path, keep=config.keep, resume=resume, overwrite=overwrite, trackers=trackers) as run,
        torch.random.fork_rng(generators),
        StopRequest().listening() as stop,
    ):
        stepper = make_stepper(model.to(device), objective, config, device, dtype, team)
        trainer = _Trainer(model, stepper, in_shares(batches, config.pieces, team), config, run, stop, team)
        trainer.validator = validator or (None if validate is None else lambda share: validate)
        trainer.save_model, trainer.on_progress = save_model, on_progress
        validates, looks = team.from_first(lambda: (trainer.validator is not None, watch is not None))
        trainer.validates, trainer.looks = validates, Looks(watch or (lambda _: {})) if looks else None
        trainer.begin(resume, files or (lambda _: {}))
        return trainer.run_to_end()


@final
class _Trainer:
    """One training: the loop and its state."""

    def __init__(
        self,
        model: nn.Module,
        stepper: Stepper | SharedStepper,
        batches: Batches,
        config: TrainConfig,
        run: RunDirectory | RunElsewhere,
        stop: StopRequest,
        team: Team,
    ) -> None:
        self.model, self.stepper, self.batches, self.config = model, stepper, batches, config
        self.run, self.stop, self.team = run, stop, team
        self.validator: Callable[[float], Validate] | None = None
        self.validate: Validate | None = None  # in the first process
        self.validates = False
        self.save_model: Callable[[Path], None] | None = None
        self.on_progress: Callable[[Progress], None] | None = None
        self.looks: Looks | None = None
        self.pace, self.memory = Pace(config), MemoryGuard(batches)
        self.state = State(dtype=stepper.dtype)
        self.history: list[dict[str, Any]] = []
        self.saved_at, self.saved_step, self.saving_s, self.save_due = time.perf_counter(), -1, 0.0, False
        self.signalled: int | None = None
        self.last_progress: Progress | None = None

    def begin(self, resume: bool, files: Callable[[TrainConfig], Mapping[str, str]]) -> None:
        """Load the newest checkpoint, or save the first one, which shows that the disk is large enough."""
        checkpoint = self._newest() if resume else None
        before: TrainConfig | None = None
        if checkpoint is not None:
            before = self._load(checkpoint)
            self.run.prune(checkpoint)  # a kill may have come before the last save did it
        elif resume:
            logger.warning("%s: no checkpoint to resume from; training starts from the beginning", self.run.path)
        if checkpoint is None:
            self.run.rewind(0)
        self.run.write_texts(lambda: files(self.config))  # a run that is stopped while it is planned can be resumed
        self._plan()
        if before is not None and before.validation_share != self.config.validation_share:
            forget_best(self.state)
        self.run.write_texts(lambda: files(self.config))
        if self.validator is not None:
            self.validate = self.validator(self.config.validation_share)
        self.run.begin(asdict(self.config), self.state.spent.steps)
        if checkpoint is None:
            self.save()
        else:
            logger.info("%s: resumed at step %d", self.run.path, self.state.spent.steps)

    def _plan(self) -> None:
        """Turn a budget in seconds or joules into steps, if it is one."""
        known = (self.batches, self.validator, self.stepper, self.stop, self.team)
        try:
            self.config = in_planned_steps(self.config, self.state, *known)
        except Stopped:
            self._stop()
        self.pace = Pace(self.config)

    def _newest(self) -> Checkpoint | None:
        """The newest checkpoint; in other processes than the first without its tensors."""
        checkpoint: Checkpoint | None = None

        def look() -> Checkpoint | None:
            nonlocal checkpoint
            checkpoint = self.run.newest()
            return checkpoint and replace(checkpoint, model={}, optimizer={})

        without = self.team.from_first(look)
        return without if checkpoint is None else checkpoint

    def _load(self, checkpoint: Checkpoint) -> TrainConfig:
        """Continue from a checkpoint; returns the settings that it was saved with."""
        place = checkpoint.path / "state.json"
        if checkpoint.state.get("format") != FORMAT:
            raise InputError(f"not a training state of format {FORMAT}", where=place)
        saved = decode(Saved, checkpoint.state, where=str(place))
        self._check_same_run(saved.config, place)
        self.state = saved.state
        self.stepper.dtype = self.state.dtype
        self.stepper.flops.known = dict(self.state.flops_known)
        self.stepper.restore(checkpoint)
        self.history = self.run.rewind(self.state.metrics_bytes)
        self.saved_step = checkpoint.step
        if self.state.best_step == self.state.spent.steps:  # killed between the checkpoint and best/
            self.save_as("best")
        return saved.config

    def _check_same_run(self, before: TrainConfig, where: Path) -> None:
        """A resumed run may change how long it trains and how often it saves, nothing that the result depends on."""
        for name in ("seed", "optim", "metric", "best_within", "validate_every", "dtype"):
            then, now = getattr(before, name), getattr(self.config, name)
            if then != now:
                raise InputError(f"{name} was {then} when the run began, now {now}", where=where)

    def run_to_end(self) -> TrainResult:
        """Step, validate and save checkpoints until the budget is used up or patience ends."""
        try:
            stream = self.batches.stream(Cursor(*self.state.cursor))
            while True:
                if self._stopping():
                    self._stop()
                status = self.pace.status(self.state)
                if self.looks is not None and self.looks.due(self.pace, self.state, last=status is not None):
                    self._look()
                if self.validates and self.pace.validation_due(self.state, last=status is not None):
                    self._validate()
                elif status is None:
                    self._step(stream)
                if status is not None:
                    return self._end(status)
                if self.save_due:
                    self.save()
        except Stopped:
            self._stop()

    def _stopping(self) -> bool:
        """Whether to stop: a signal came, in a team to any process in the last step."""
        return (self.stop.signal_number if self.team.alone else self.signalled) is not None

    def _look(self) -> None:
        """Record what `watch` sees."""
        self.stepper.gather()

        def take() -> tuple[dict[str, Any], Spent, tuple[float, ...] | None]:
            assert self.looks is not None
            with self.stop.interruptible():
                return self.looks.take(self.model, self.pace, self.state), self.state.looked, self.state.looks

        record, self.state.looked, self.state.looks = self.team.from_first(take)
        self._log(record)

    def _step(self, stream: Iterator[tuple[Any, Cursor]]) -> None:
        """Train on the next batch: gradients, clipping, update. Nothing changes if a loss or gradient is not finite."""
        timer = Timer()
        batch, following = next(stream)
        state = self.state
        step = state.spent.steps
        torch.manual_seed(derive(self.config.seed, "dropout", step))
        lr = self.pace.learning_rate(state)
        with self.memory.step(step + 1, batch, self._rescue):
            result = self.stepper.gradients(batch, step)
            if result.fault is not None:
                self._diverged(step + 1, result.fault, list(getattr(batch, "rows", ())))
            self.stepper.update(lr)
        every = max(self.config.checkpoint_every_s, self.saving_s / CHECKPOINT_SHARE)
        due = time.perf_counter() - self.saved_at > every
        local = [*timer.read(), float(due), float(self.stop.signal_number or 0)]
        seconds, cpu_seconds, save_due, number = self.team.most(local)
        self.save_due, self.signalled = save_due > 0, int(number) or None
        spent = replace(
            state.spent,
            steps=step + 1,
            tokens=state.spent.tokens + result.labels,
            seconds=state.spent.seconds + seconds,
            cpu_seconds=state.spent.cpu_seconds + cpu_seconds,
            flops=state.spent.flops + result.flops,
        )
        state.spent, state.cursor = spent, following
        state.window_nll += result.nll
        state.window_labels += result.labels
        state.window_s += seconds
        self._report(result.nll / max(result.labels, 1), result.labels / max(seconds, 1e-9), lr)
        if spent.steps % self.config.log_every == 0:
            self._log(training_record(state, lr, result.norm))

    def _diverged(self, step: int, what: str, rows: list[int]) -> NoReturn:
        """Raise; keep the state before the bad step if its weights are finite, else the last checkpoint."""
        if step > self.state.spent.steps and self.stepper.finite:
            self.save()
            self.save_as("last")
        self._log({"event": "diverged", "step": step, "what": what, "rows": rows})
        shown = f" (rows {', '.join(map(str, rows[:8]))}{', …' if len(rows) > 8 else ''})" if rows else ""
        raise Diverged(
            f"step {step}: {what}{shown}: {kept_in(self.run.path)}; try a lower --optim.lr or a longer --optim.warmup"
        )

    def _rescue(self) -> None:
        """Save the state before the failed step, if that still works."""
        with suppress(MemoryError, RuntimeError, EnvironmentFault):
            self.stepper.undo()
            if self.team.alone:  # others still compute the step
                self.save()

    def _validate(self) -> None:
        """Measure, keep the best model, and save a checkpoint; a signal interrupts it and discards its result."""
        self._report_validating()
        self.stepper.gather()
        measured, (seconds, cpu_seconds) = self.team.from_first(self._validated)
        values = measured.metrics
        if not math.isfinite(values.get("loss", 0.0)):
            self._diverged(self.state.spent.steps, f"the validation loss is {values['loss']}", [])
        state = self.state
        state.spent = replace(
            state.spent, seconds=state.spent.seconds + seconds, cpu_seconds=state.spent.cpu_seconds + cpu_seconds
        )
        state.last_validation_s = seconds
        state.validation_s += seconds
        state.validated = state.spent
        kept = is_kept(state, measured, self.config.metric, self.config.best_within)
        self._log({"event": "valid", **asdict(state.spent), **finite(values), "best": kept})
        self.saved_step = -1  # the checkpoint of this step, if there is one, does not know of the validation
        self.save()
        if kept:
            self.save_as("best")

    def _validated(self) -> tuple[Measured, tuple[float, float]]:
        """What a validation measured, without texts, and the seconds that it took."""
        timer = Timer()
        assert self.validate is not None
        self.model.eval()
        with torch.no_grad(), self.stepper.autocast(), self.stop.interruptible():
            measured = self.validate(self.model)
        values = {name: float(value) for name, value in measured.metrics.items()}
        return Measured(values, measured.items), timer.read()

    def save(self) -> None:
        """Save a checkpoint, unless one of this step exists."""
        if self.saved_step == self.state.spent.steps:
            return
        began = time.perf_counter()
        self.state.metrics_bytes = self.run.logged_bytes()
        self.state.flops_known = self.stepper.flops.known
        content = {"format": FORMAT, "state": asdict(self.state), "config": asdict(self.config)}
        self.stepper.save(self.run.checkpoints, self.state.spent.steps, content)
        self.saved_at, self.saved_step = time.perf_counter(), self.state.spent.steps
        self.saving_s = self.saved_at - began

    def save_as(self, name: str) -> None:
        """Write the current model to `best/` or `last/`."""
        self.stepper.gather()
        if self.save_model is not None:
            self.model.eval()
            self.run.save_model(name, self.save_model)

    def _end(self, status: Literal["completed", "early_stopped"]) -> TrainResult:
        state = self.state
        self.save()
        self.save_as("last")
        if state.best_step is None:
            self.save_as("best")
        self._log({"event": "end", "status": status, **asdict(state.spent)})
        best = {"best_metric": state.best_metric, "best_step": state.best_step, "epochs": state.cursor[0]}
        return TrainResult(status, **asdict(state.spent), **best, history=self.history, plan=state.plan)

    def _stop(self) -> NoReturn:
        """Save and raise after a signal."""
        number = self.stop.signal_number = self.signalled or self.stop.signal_number or signal.SIGTERM
        self.save()
        self.save_as("last")
        step = self.state.spent.steps
        self._log({"event": "interrupted", "step": step, "signal": self.stop.name})
        raise Interrupted(
            f"{self.run.path}: stopped by {self.stop.name} after step {step}; {SAVED}", signal_number=number
        )

    def _log(self, record: dict[str, Any]) -> None:
        self.run.log(record)
        self.history.append(record)

    def _report(self, loss: float, tokens_per_s: float, lr: float) -> None:
        if self.on_progress is None:
            return
        spent, fraction = self.state.spent, self.pace.fraction(self.state)
        left = spent.seconds * (1.0 - fraction) / max(fraction, 1e-9)
        seen = tokens_per_s, fraction, spent.seconds, left, lr
        self.last_progress = Progress(spent.steps, loss, self.state.metric, *seen, named=self.config.metric)
        self.on_progress(self.last_progress)

    def _report_validating(self) -> None:
        if self.on_progress is not None and self.last_progress is not None:
            self.on_progress(replace(self.last_progress, validating=True))
