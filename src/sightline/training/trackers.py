"""Trackers of experiments that follow a training besides metrics.jsonl: TensorBoard, or one of your own.

A tracker has three methods, and nothing else of it is used:

    class Printed:
        def begin(self, run, config, step): print(run, config["budget"])
        def log(self, step, metrics): print(step, metrics)
        def end(self, status): print(status)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

from sightline.core.errors import EnvironmentFault, InputError, one_line
from sightline.core.plugins import import_plugin
from sightline.core.suggest import unknown

logger = logging.getLogger("sightline")
TENSORBOARD = "tensorboard"  # the directory of its event files, in that of the run
ENDS = {"end": "status", "interrupted": "signal", "diverged": "what"}  # the last record of a training: its reason


@runtime_checkable
class Tracker(Protocol):
    """Follows one training."""

    def begin(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        """Before the first step: the run's directory, the settings, and the steps that are done; above 0, a run is
        resumed, and what an earlier process logged after that step did not count.
        """
        ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Numbers after a step, by name: `train/loss`, `valid/loss`, …"""
        ...

    def end(self, status: str) -> None:
        """After the last step: completed, early_stopped, a signal's name, what diverged, or failed. A training that
        ends before its first step, while its speed is measured, calls neither `begin` nor this.
        """
        ...


@final
class TensorBoard:
    """Writes the numbers and the settings as TensorBoard's event files, into the run's directory `tensorboard`."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            needed = "--log=tensorboard needs TensorBoard: pip install 'sightline[tensorboard]'"
            raise EnvironmentFault(needed) from None
        self._writer: Any = SummaryWriter

    def begin(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        purge = step + 1 if step else None  # TensorBoard leaves out what it has of later steps
        self._writer = self._writer(str(run / TENSORBOARD), purge_step=purge)
        rows = "\n".join(f"| {name} | {value} |" for name, value in config.items())
        self._writer.add_text("settings", f"| key | value |\n|---|---|\n{rows}", step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def end(self, status: str) -> None:
        self._writer.add_text("status", status)
        self._writer.close()


TRACKERS: dict[str, Callable[[], Tracker]] = {"tensorboard": TensorBoard}


def absolute(name: str | None) -> str | None:
    """The name of a tracker as a process in another directory needs it: the path of its file is absolute."""
    file, _, kind = (name or "").rpartition(":")
    return f"{Path(file).absolute()}:{kind}" if file.endswith(".py") else name


def make_tracker(name: str) -> Tracker:
    """The tracker of that name, or of a class in a file: `tracker.py:Printed`.

    Raises:
        InputError: "--log: unknown tracker 'tensorbord', did you mean 'tensorboard'?"; "--log=tracker.py:Printed: has
            no class Printed"; what `import_plugin` raises.
        EnvironmentFault: "--log=tensorboard needs TensorBoard: pip install 'sightline[tensorboard]'".
    """
    file, _, kind = name.rpartition(":")
    if not file.endswith(".py"):
        if name not in TRACKERS:
            raise InputError(f"{unknown('tracker', name, TRACKERS)}, or FILE.py:CLASS", where="--log")
        return TRACKERS[name]()
    tracker_class = getattr(import_plugin(file).module, kind, None)
    if not callable(tracker_class):
        raise InputError(f"has no class {kind}", where=f"--log={name}")
    tracker = tracker_class()
    for method in ("begin", "log", "end"):
        if not callable(getattr(tracker, method, None)):
            raise InputError(f"{kind} has no method {method}: a tracker has begin, log and end", where=f"--log={name}")
    return tracker


@final
class Followers:
    """The trackers of a training. One that raises an error gets no more records: it does not end the training."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = list(trackers)
        self._begun = False

    def begin(self, run: Path, config: Mapping[str, Any], step: int) -> None:
        self._begun = True
        self._each(lambda tracker: tracker.begin(run, config, step))

    def record(self, record: Mapping[str, Any]) -> None:
        """Pass on the numbers of a record of metrics.jsonl; its end, if it is that of the training."""
        event = record["event"]
        if event in ENDS:
            self.end(str(record[ENDS[event]]))
            return
        numbers = {
            f"{event}/{name}": float(value)
            for name, value in record.items()
            if isinstance(value, int | float) and name != "steps"
        }
        step = int(record["steps"])
        self._each(lambda tracker: tracker.log(step, numbers))

    def end(self, status: str) -> None:
        """End all of them; nothing to do before they have begun, and at a second call."""
        if self._begun:
            self._each(lambda tracker: tracker.end(status))
        self._trackers = []

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for tracker in tuple(self._trackers):
            try:
                call(tracker)
            except Exception as error:
                what = f"{type(tracker).__name__}: {type(error).__name__}: {one_line(error)}"
                logger.warning("tracker %s; it gets no more records", what)
                self._trackers.remove(tracker)
