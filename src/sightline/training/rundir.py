"""A run's directory: one owner at a time, its log of metrics, and the model directories `best/` and `last/`."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, final

from safetensors import SafetensorError

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.files import (
    LOCK,
    faults,
    locked,
    recover_directory,
    remove_unfinished,
    replacing_directory,
    sync,
    write_file,
)
from sightline.training.checkpoint import Checkpoint, Checkpoints
from sightline.training.distributed import Team
from sightline.training.trackers import TENSORBOARD, Followers, Tracker

OURS = (
    "metrics.jsonl", "checkpoints", "best", "last", "config.yaml", "environment.json", "report.html", TENSORBOARD
)  # fmt: skip
MODELS = ("best", "last")
logger = logging.getLogger("sightline")


@final
class RunDirectory:
    """An open run directory, `{metrics.jsonl, checkpoints/step-000500/, best/, last/}`; `open_run` opens it."""

    def __init__(self, path: Path, keep: int, trackers: Sequence[Tracker] = ()) -> None:
        self.path, self.followers = path, Followers(trackers)
        self.checkpoints = Checkpoints(path / "checkpoints", keep)
        with faults(path / "metrics.jsonl"):
            self._metrics = os.open(path / "metrics.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)

    def close(self) -> None:
        self.followers.end("failed")  # unless they know of another end
        os.close(self._metrics)

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl; a kill or a full disk cuts at most the last line."""
        left = json.dumps(record, allow_nan=False).encode() + b"\n"
        with faults(self.path / "metrics.jsonl", len(left)):
            while left:
                left = left[os.write(self._metrics, left) :]
        self.followers.record(record)

    def logged_bytes(self) -> int:
        """The length of the log, which is on the disk then; a checkpoint remembers it."""
        with faults(self.path / "metrics.jsonl"):
            os.fsync(self._metrics)
        return os.fstat(self._metrics).st_size

    def rewind(self, length: int) -> list[dict[str, Any]]:
        """Cut the log back to `length` bytes, its length when the resumed checkpoint was saved; return its records."""
        size = os.fstat(self._metrics).st_size
        if size < length:
            logger.warning("%s: records are missing; the log continues from here", self.path / "metrics.jsonl")
        with faults(self.path / "metrics.jsonl"):
            content = os.pread(self._metrics, min(size, length), 0)
            content = content[: content.rfind(b"\n") + 1]
            os.ftruncate(self._metrics, len(content))
        records = []
        for number, line in enumerate(content.splitlines(), 1):
            try:
                records.append(json.loads(line))
            except ValueError:
                logger.warning("%s:%d: not JSON; the history leaves it out", self.path / "metrics.jsonl", number)
        return records

    def begin(self, config: Mapping[str, Any], step: int) -> None:
        """Tell the trackers that training begins after `step`."""
        self.followers.begin(self.path, config, step)

    def write_texts(self, texts: Callable[[], Mapping[str, str]]) -> None:
        """Write files by name."""
        for name, text in texts().items():
            write_file(self.path / name, text)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies; see `Checkpoints.newest`."""
        return self.checkpoints.newest()

    def prune(self, used: Checkpoint) -> None:
        """Remove all checkpoints but the newest and the one in use."""
        self.checkpoints.prune(used=used.path)

    def save_model(self, name: str, save: Callable[[Path], None]) -> None:
        """Replace the model directory `best` or `last` in one step; `save` fills an empty directory."""
        target = self.path / name
        try:
            with replacing_directory(target) as directory:
                save(directory)
        except SafetensorError as error:  # how safetensors reports a full disk
            raise EnvironmentFault(f"{target}: {error}") from error


@final
class RunElsewhere:
    """The run directory of a training in several processes, for those that leave it to the first: nothing is written.

    Under FSDP every process writes its part of a checkpoint, into a directory that the first one makes.
    """

    checkpoints = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, record: dict[str, Any]) -> None:
        """See `RunDirectory.log`."""

    def logged_bytes(self) -> int:
        return 0

    def rewind(self, length: int) -> list[dict[str, Any]]:
        return []

    def begin(self, config: Mapping[str, Any], step: int) -> None:
        """See `RunDirectory.begin`."""

    def write_texts(self, texts: Callable[[], Mapping[str, str]]) -> None:
        """See `RunDirectory.write_texts`."""

    def newest(self) -> Checkpoint | None:
        return None

    def prune(self, used: Checkpoint) -> None:
        """See `RunDirectory.prune`."""

    def save_model(self, name: str, save: Callable[[Path], None]) -> None:
        """See `RunDirectory.save_model`."""


SAVED = "the state is saved, --resume continues"


def kept_in(path: Path) -> str:
    """Where the state of a training that diverged is, for its error."""
    return f"the state before it is kept in {path}"


def check_run(path: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise what `open_run` would raise, before data is prepared."""
    _check_place(path, resume, overwrite)
    if (path / LOCK).exists():
        with locked(path):
            _existing(path, resume, overwrite)
    else:
        _existing(path, resume, overwrite)


def _check_place(path: Path, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    if path.exists() and not path.is_dir():
        raise InputError("not a directory", where=path)


def _existing(path: Path, resume: bool, overwrite: bool) -> list[str]:
    """The files of a run at `path`; `InputError` if they forbid training there."""
    names = [name for name in OURS if (path / name).exists()]
    if names and not (resume or overwrite):
        raise InputError("contains a run: continue it with --resume, or replace it with --overwrite", where=path)
    return names


@contextmanager
def open_run(
    path: Path, *, keep: int, resume: bool, overwrite: bool, trackers: Sequence[Tracker] = ()
) -> Iterator[RunDirectory]:
    """Create and lock the directory of a run.

    Raises:
        InputError: the directory contains a run and neither `resume` nor `overwrite` is set.
        EnvironmentFault: the directory cannot be written, or another process trains in it.
    """
    _check_place(path, resume, overwrite)
    with faults(path):
        path.mkdir(parents=True, exist_ok=True)
        sync(path.parent)
    with locked(path):
        occupied = _existing(path, resume, overwrite)
        if occupied and overwrite:
            _clear(path, occupied)
        with faults(path):
            remove_unfinished(path)
            for name in MODELS:
                recover_directory(path / name)
        run = RunDirectory(path, keep, trackers)
        try:
            with faults(run.checkpoints.directory):
                run.checkpoints.clean()
            yield run
        finally:
            run.close()
            if not (occupied and resume) and not run.checkpoints.steps():  # the run failed before anything was saved
                _clear(path, [name for name in OURS if (path / name).exists()])


@contextmanager
def open_shared(
    team: Team, path: Path, *, keep: int, resume: bool, overwrite: bool, trackers: Sequence[Tracker] = ()
) -> Iterator[RunDirectory | RunElsewhere]:
    """`open_run` in the first process of a team; what it raises ends the others."""
    if not team.first:
        team.from_first(lambda: None)
        yield RunElsewhere(path)
        return
    with ExitStack() as stack:
        opened: list[RunDirectory] = []
        opening = open_run(path, keep=keep, resume=resume, overwrite=overwrite, trackers=trackers)
        team.from_first(lambda: opened.append(stack.enter_context(opening)))
        yield opened[0]


def _clear(path: Path, names: list[str]) -> None:
    with faults(path):
        for name in names:
            entry = path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
