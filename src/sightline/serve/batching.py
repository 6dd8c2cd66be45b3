"""Dynamic batching: jobs of one model wait in a bounded queue, and equal ones are computed together.

All state belongs to the event loop. One thread computes, one batch at a time; a job that is given up, because its
client has left or its time is over, frees its place in the queue at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

from sightline.core.errors import InputError
from sightline.core.interruption import interruptible
from sightline.serve.limits import ServerLimits
from sightline.serve.refusal import Refusal

logger = logging.getLogger("sightline.serve")
MOST_RETRY_S = 60
_SHARE = 0.2  # of the newest batch in the mean time of an input


class Work(ABC):
    """A request to a model. Jobs whose work is equal are computed together, unless it is `alone`.

    A subclass is a frozen dataclass, so that equal settings are equal work.
    """

    @property
    def alone(self) -> bool:
        """Whether a job is computed without others."""
        return False

    @abstractmethod
    def run(self, task: Any, jobs: Sequence[PendingJob]) -> list[Any]:
        """The result of each job, computed in the model's thread."""


@final
class Abandoned(Exception):
    """Nobody waits for a batch any more: raised inside the model to stop it."""


@final
class PendingJob:
    """Inputs that one request asks about.

    timeout_s: seconds that somebody waits for it
    hear: called in the model's thread with the number of an output and new text
    """

    def __init__(
        self,
        work: Work,
        inputs: Sequence[Any],
        timeout_s: float,
        hear: Callable[[int, str], None] | None = None,
    ) -> None:
        self.work, self.inputs, self.timeout_s, self.hear = work, list(inputs), timeout_s, hear
        self.deadline = time.monotonic() + timeout_s
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.left = self.heard = False  # heard: its text has begun to go out, so that it cannot be computed again

    @property
    def over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.left or time.monotonic() > self.deadline


@final
class Batcher:
    """The queue and the thread of one model.

    measure: called with the number of inputs and the seconds of each batch
    """

    def __init__(self, name: str, task: Any, limits: ServerLimits, measure: Callable[[int, float], None]) -> None:
        self._task, self._limits, self._measure = task, limits, measure
        self._waiting: list[PendingJob] = []
        self._computing: list[PendingJob] = []
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, f"model {name}")
        self._input_s = 0.0
        self._loop_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to compute."""
        self._loop_task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End the thread after what it computes."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.wait([self._loop_task])
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    @property
    def waiting(self) -> int:
        """Inputs in the queue."""
        return sum(len(job.inputs) for job in self._waiting)

    def add(self, job: PendingJob) -> None:
        """Put a job into the queue.

        Raises:
            Refusal: 429 "256 inputs wait already: try again in 2 s", with Retry-After; 413 "inputs: has 64, the queue
                takes 32".
        """
        waiting, most = self.waiting, self._limits.queue
        if len(job.inputs) > most:
            raise Refusal(413, f"inputs: has {len(job.inputs)}, the queue takes {most}", param="inputs")
        if waiting + len(job.inputs) > most:
            seconds = min(max(1, math.ceil(waiting * self._input_s)), MOST_RETRY_S)
            raise Refusal(
                429,
                f"{waiting} inputs wait already: try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
        self._waiting.append(job)
        self._arrived.set()

    def leave(self, job: PendingJob) -> None:
        """Give a job up: its place is free at once, and a batch for which nobody waits is stopped."""
        job.left = True
        if job in self._waiting:
            self._waiting.remove(job)
        if not job.result.done():
            job.result.cancel()

    async def answer(self, job: PendingJob) -> Any:
        """The result of a job that is in the queue.

        Raises:
            Refusal: 504 "no answer within 30 s"; whatever the job's work raises.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(job.result), max(0.0, job.deadline - time.monotonic()))
        except TimeoutError:
            raise Refusal(504, f"no answer within {job.timeout_s:g} s") from None
        finally:
            self.leave(job)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            if self._limits.wait_ms and self.waiting < self._limits.batch_size:
                await asyncio.sleep(self._limits.wait_ms / 1000)
            jobs = self._take()
            if not jobs:
                continue
            self._computing = jobs
            began = time.perf_counter()
            results = await loop.run_in_executor(self._thread, self._compute, jobs)
            self._computing = []
            self._tell(jobs, results, time.perf_counter() - began)

    def _take(self) -> list[PendingJob]:
        """The oldest job, and those of equal work behind it that fit into its batch."""
        if not self._waiting:
            return []
        first = self._waiting[0]
        taken, size = [first], len(first.inputs)
        for job in self._waiting[1:]:
            if first.work.alone or job.work != first.work or size + len(job.inputs) > self._limits.batch_size:
                continue
            taken.append(job)
            size += len(job.inputs)
        self._waiting = [job for job in self._waiting if job not in taken]
        return taken

    def _tell(self, jobs: Sequence[PendingJob], results: Sequence[Any], seconds: float) -> None:
        size = sum(len(job.inputs) for job in jobs)
        self._measure(size, seconds)
        self._input_s += _SHARE * (seconds / max(size, 1) - self._input_s)
        for job, result in zip(jobs, results, strict=True):
            if job.result.done():
                continue
            if isinstance(result, BaseException):
                job.result.set_exception(result)
                job.result.exception()  # it is asked for, whether or not somebody still waits
            else:
                job.result.set_result(result)

    def _compute(self, jobs: Sequence[PendingJob]) -> list[Any]:
        """The result, or the exception, of each job; where one input is refused, each job is computed alone, unless
        somebody has heard a part of it.
        """
        try:
            with interruptible(self.stop_if_abandoned):
                return jobs[0].work.run(self._task, jobs)
        except Abandoned as error:
            return [error] * len(jobs)
        except InputError as error:
            return [error] if len(jobs) == 1 else self._compute_alone(jobs, error)
        except Exception as error:
            if len(jobs) > 1 and not all(job.heard for job in jobs):
                return self._compute_alone(jobs, error)
            logger.exception("a request failed")
            return [error] * len(jobs)

    def _compute_alone(self, jobs: Sequence[PendingJob], error: Exception) -> list[Any]:
        """The results of the jobs of a batch that ended with an error."""
        return [error if job.heard else self._compute([job])[0] for job in jobs]

    def stop_if_abandoned(self) -> None:
        """Stop the batch that is computed if nobody waits for it; called at every step of it.

        Raises:
            Abandoned: everybody has left.
        """
        jobs = self._computing
        if jobs and all(job.over for job in jobs):
            raise Abandoned
