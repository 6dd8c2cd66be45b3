"""The speed of trainings, measured before they begin, so that seconds become steps (`training.plan`).

A second is a second of the training's own: on the CPU, the processor time of the thread that trains while one thread
does all the work, divided by what the training's threads amount to. Time in which other processes had the core does not
count. Several threads wait for each other in a loop, which on a busy machine takes most of their processor time; their
number in use is therefore the speed-up over one thread, on the same batches, in the steps that were disturbed least.
On a GPU it is the device's own time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, final

import torch
from torch import nn

from sightline.core.modes import evaluating, modes_restored
from sightline.core.seeds import derive
from sightline.core.weights import own_tensors
from sightline.data.batches import START, Batches
from sightline.training.checkpoint import packed_with_hashes
from sightline.training.energy import EnergyMeter
from sightline.training.memory import MemoryGuard
from sightline.training.plan import LEAST_SHARE, Speed
from sightline.training.shared_step import SharedStepper
from sightline.training.state import Validate
from sightline.training.step import Stepper

Clock = Callable[[], float]
N = TypeVar("N", bound=str)

SLICES = 5  # of each training, in turns with the others
MOST_BATCHES = 64  # in a slice
FEWEST_BATCHES = 4  # their steps differ: of built-in dates by 15 %, so that the mean of four is within 8 %
FIRST_SHARE = 1 / 32  # of the validation items in the first validation that is timed
LEAST_DISTURBED = 0.9  # quantile of the speed-ups by several threads


def measuring_s(budget_s: float) -> float:
    """The seconds that measuring one training may take, besides its budget."""
    return min(max(0.03 * budget_s, 1.0), 30.0)


def own_clock(device: torch.device) -> Clock:
    """A clock that counts the training's own time on a device."""
    if device.type == "cpu":
        return time.thread_time
    return _DeviceClock() if device.type == "cuda" else time.perf_counter


@final
class _DeviceClock:
    """Seconds on the timeline of a GPU, after all work that was given to it."""

    def __init__(self) -> None:
        self._began = self._event()

    def __call__(self) -> float:
        now = self._event()
        now.synchronize()
        return self._began.elapsed_time(now) / 1000

    def _event(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@final
class Timer:
    """Measures seconds that pass, and the processor time of this thread in them."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.thread_time()

    def read(self) -> tuple[float, float]:
        """Both, since the start."""
        return time.perf_counter() - self._began, time.thread_time() - self._cpu_began


@final
class Rehearsal:
    """Some steps, validations and checkpoints of a training, timed; use it inside `untouched(model)`.

    `validator(share)` makes a validation of a share of its items. The clock and the number of threads are those of the
    device and of torch unless they are given.
    """

    def __init__(
        self,
        batches: Batches,
        seed: int,
        validator: Callable[[float], Validate] | None,
        stepper: Stepper | SharedStepper,
        *,
        clock: Clock | None = None,
        threads: int | None = None,
    ) -> None:
        self._model, self._seed, self._validator, self._stepper = stepper.model, seed, validator, stepper
        self._clock = clock or own_clock(stepper.device)
        on_cpu = stepper.device.type == "cpu"
        self._threads = threads or (torch.get_num_threads() if on_cpu else 1)
        self._stream, self._memory = batches.stream(START), MemoryGuard(batches)
        self._batches: list[Any] = []
        self._fetches: list[float] = []
        self._slices: list[float] = []
        self._speedups: list[float] = []
        self._validation_s = self._save_s = 0.0
        self._step_j: float | None = None

    @property
    def batches(self) -> Batches:
        """All batches of the training."""
        return self._memory.batches

    @property
    def batch_size(self) -> str:
        """The setting that bounds a batch, and its value."""
        key, size = self.batches.size_key
        return f"{key} {size}"

    def warm_up(self, seconds: float) -> None:
        """Fetch the batches of a slice and take a step on each, before anything is timed: a share of `seconds`."""
        began, seconds = self._clock(), seconds / (2 * (SLICES + 1))
        while len(self._batches) < MOST_BATCHES:
            before = self._clock()
            batch, _ = next(self._stream)
            self._fetches.append(self._clock() - before)
            self._batches.append(batch)
            self._step(batch)
            if self._clock() - began >= seconds and len(self._batches) >= FEWEST_BATCHES:
                break

    def time_slice(self) -> None:
        """Time a step on each batch with one thread, and again with all of them."""
        alone = self._timed_steps(1)
        self._slices.append(statistics.fmean(alone))
        if self._threads > 1:
            together = self._timed_steps(self._threads)
            self._speedups += [one / max(many, 1e-9) for one, many in zip(alone, together, strict=True)]

    def time_validation(self, seconds: float) -> None:
        """Time a checkpoint, and validations of a growing share of the items while they take `seconds` at most."""
        with _threads(1):
            began = self._clock()
            packed_with_hashes(self._model, self._stepper.optimizer, {})
            self._save_s = 2 * (self._clock() - began)  # the checkpoint, and the best model
            if self._validator is None:
                return
            self._validation_s = validation_seconds(self._validator, seconds, self._seconds_to_validate)

    def measure_energy(self, seconds: float, meter: EnergyMeter, sharing: int = 1) -> None:
        """The joules of a step, over steps with all threads that take `seconds` together.

        The counters are those of the machine: a training has an equal share of them beside `sharing` - 1 others.
        """
        steps, began, before = 0, self._clock(), meter.read()
        with _threads(self._threads):
            while not steps or self._clock() - began < seconds:
                for batch in self._batches:
                    self._step(batch)
                steps += len(self._batches)
        self._step_j = (meter.read() - before) / steps / sharing

    def speed(self) -> Speed:
        """The medians of what was measured."""
        threads = 1.0
        if self._speedups:
            least_disturbed = sorted(self._speedups)[int(LEAST_DISTURBED * (len(self._speedups) - 1))]
            threads = min(max(least_disturbed, 1.0), float(self._threads))
        fetch_s = statistics.median(self._fetches[1:])  # the first one puts an epoch in order
        step_s = statistics.median(self._slices) + fetch_s
        return Speed(step_s / threads, self._validation_s / threads, self._save_s / threads, threads, self._step_j)

    def _seconds_to_validate(self, validate: Validate) -> float:
        with evaluating(self._model), torch.no_grad(), self._stepper.autocast():
            began = self._clock()
            validate(self._model)
            return self._clock() - began

    def _timed_steps(self, threads: int) -> list[float]:
        with _threads(threads):
            taken = []
            for batch in self._batches:
                began = self._clock()
                self._step(batch)
                taken.append(self._clock() - began)
            return taken

    def _step(self, batch: Any) -> None:
        torch.manual_seed(derive(self._seed, "dropout", 0))
        with self._memory.step(1, batch, lambda: None):
            self._stepper.gradients(batch, 0)
            self._stepper.update(0.0)


def validation_seconds(
    validator: Callable[[float], Validate], seconds: float, timed: Callable[[Validate], float]
) -> float:
    """The seconds of a validation of all items, by one of a share that grows while all together take `seconds` at most.

    timed: does a validation, and returns its seconds
    """
    timed(validator(LEAST_SHARE))  # the first one imports what scores are made with
    share = FIRST_SHARE
    while True:
        took = timed(validator(share))
        seconds -= took
        if share == 1 or 4 * took > seconds:
            return took / share
        share = min(4 * share, 1.0)


def measure_speeds(
    rehearsals: Mapping[N, Rehearsal], seconds: float, meter: EnergyMeter | None = None, sharing: int = 1
) -> dict[N, Speed]:
    """The speed of each training, about `seconds` of its own time each: slices in turns, so that all see the same load.

    With a meter its joules too, for as long again; `sharing` trainings run at once. All of them are warm. Their weights
    may change; `untouched` undoes it.
    """
    for _ in range(SLICES):
        for rehearsal in rehearsals.values():
            rehearsal.time_slice()
    for rehearsal in rehearsals.values():
        rehearsal.time_validation(seconds / 2)
        if meter is not None:
            rehearsal.measure_energy(seconds, meter, sharing)
    return {name: rehearsal.speed() for name, rehearsal in rehearsals.items()}


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore weights, buffers, modes and the random streams after the block, and remove its gradients."""
    before = {name: tensor.clone() for name, tensor in own_tensors(model).items()}
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        with modes_restored(model), torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        model.load_state_dict(before, strict=False)  # a tied tensor is there once
        model.zero_grad(set_to_none=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
