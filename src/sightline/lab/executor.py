"""Where the jobs of a comparison run: the interface of what starts them and waits for them. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from sightline.lab.jobs import Failure, Job

T = TypeVar("T")
Meanwhile = Callable[[Sequence["Running"]], None]


class Running(ABC):
    """A job that was started."""

    @property
    @abstractmethod
    def progress(self) -> dict[str, Any]:
        """Its latest message."""

    @property
    @abstractmethod
    def job(self) -> Job:
        """The job."""

    @property
    @abstractmethod
    def died(self) -> bool:
        """Whether the job ended with neither a result nor a failure: its process was killed, or its machine."""

    @abstractmethod
    def failure(self) -> Failure | None:
        """The failure of an ended job; None if it succeeded."""

    @property
    def node(self) -> str:
        """The machine that did it, where there are several."""
        return ""

    @abstractmethod
    def result(self, kind: type[T]) -> T:
        """The result of a job that succeeded.

        Raises:
            InputError: its file is damaged.
        """


R = TypeVar("R", bound=Running)


class Executor(ABC, Generic[R]):
    """Starts jobs and waits for them; `active` are those that were started and have not been returned as ended."""

    active: list[R]

    @property
    @abstractmethod
    def cores(self) -> list[int]:
        """The cores of each machine."""

    @property
    @abstractmethod
    def gpus(self) -> int:
        """How many jobs may have a GPU at once, where there is one."""

    def described(self) -> dict[str, Any]:
        """The entries of the results about where the jobs run, beside the environment of the preparing one."""
        return {}

    @abstractmethod
    def open(self, workers: int, threads: int, directory: Path) -> None:
        """Prepare for this many jobs at once, of this many threads each, in directories beside `directory`.

        Raises:
            EnvironmentFault: a machine cannot take part.
        """

    @abstractmethod
    def start(self, job: Job, threads: int) -> None:
        """Start a job.

        Raises:
            EnvironmentFault: its directory cannot be written.
        """

    @abstractmethod
    def wait_for_one(self, meanwhile: Meanwhile) -> list[R]:
        """Wait until a job ends; return all that have. `meanwhile` is called again and again with the active ones."""

    @abstractmethod
    def end(self) -> None:
        """End all jobs and free what they use."""
