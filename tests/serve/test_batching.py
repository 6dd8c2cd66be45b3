"""The queue of a model: batches, bounds, deadlines, and clients that leave. Needs no web server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import pytest

from sightline.core.errors import InputError
from sightline.core.interruption import interruption_point
from sightline.serve.batching import Batcher, PendingJob, Work
from sightline.serve.limits import ServerLimits
from sightline.serve.refusal import Refusal


@final
@dataclass(frozen=True)
class Upper(Work):
    """Upper-cases texts, once it may; every batch is told to `task`."""

    by: str = ""
    single: bool = False

    @property
    def alone(self) -> bool:
        return self.single

    def run(self, task: Any, jobs: Sequence[PendingJob]) -> list[Any]:
        task.batches.append([one for job in jobs for one in job.inputs])
        task.begun.set()
        task.go.wait(60)
        while task.until_wanted:
            interruption_point()
        if any("bad" in one for job in jobs for one in job.inputs):
            raise InputError("bad is bad")
        return [[one.upper() + self.by for one in job.inputs] for job in jobs]


class Held:
    def __init__(self, **limits: Any) -> None:
        self.batches: list[list[str]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.until_wanted = False
        self.limits = ServerLimits(**{"wait_ms": 0.0, **limits})
        self.batcher = Batcher("model", self, self.limits, lambda size, seconds: None)

    def ask(
        self, *inputs: str, work: Work | None = None, timeout_s: float = 60.0
    ) -> tuple[PendingJob, asyncio.Task[Any]]:
        job = PendingJob(work or Upper(), inputs, timeout_s)
        self.batcher.add(job)
        return job, asyncio.ensure_future(self.batcher.answer(job))

    async def begin(self) -> asyncio.Task[Any]:
        """Starts, with a first job that is computed until `go` is set."""
        self.batcher.start()
        _, answer = self.ask("first")
        await asyncio.to_thread(self.begun.wait, 60)
        return answer


def in_loop(of: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await of()

    asyncio.run(run())


def test_equal_work_that_waits_is_computed_together() -> None:
    async def run() -> None:
        model = Held()
        first = await model.begin()
        answers = [first] + [model.ask(str(n), "x", work=Upper(by))[1] for n, by in enumerate(["", "!", "", "!"])]
        model.go.set()
        assert await asyncio.gather(*answers) == [["FIRST"], ["0", "X"], ["1!", "X!"], ["2", "X"], ["3!", "X!"]]
        assert model.batches == [["first"], ["0", "x", "2", "x"], ["1", "x", "3", "x"]]
        await model.batcher.stop()

    in_loop(run)


def test_a_batch_has_at_most_its_size_and_work_alone_is_alone() -> None:
    async def run() -> None:
        model = Held(batch_size=3)
        first = await model.begin()
        jobs = [model.ask("a", "b"), model.ask("c", "d"), model.ask("e"), model.ask("f", work=Upper(single=True))]
        jobs += [model.ask("g", work=Upper(single=True))]
        model.go.set()
        await asyncio.gather(first, *(answer for _, answer in jobs))
        assert model.batches == [["first"], ["a", "b", "e"], ["c", "d"], ["f"], ["g"]]
        await model.batcher.stop()

    in_loop(run)


def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    async def run() -> None:
        model = Held(queue=3)
        first = await model.begin()
        waiting, answer = model.ask("a", "b")
        with pytest.raises(Refusal) as refused:
            model.ask("c", "d")
        assert refused.value.status == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        with pytest.raises(Refusal, match="inputs: has 4, the queue takes 3") as never:
            model.ask("a", "b", "c", "d")
        assert never.value.status == 413  # it would never have a place
        model.batcher.leave(waiting)  # its place is free at once
        assert model.batcher.waiting == 0
        _, third = model.ask("c", "d")
        model.go.set()
        assert await third == ["C", "D"]
        assert await first == ["FIRST"]
        assert ["a", "b"] not in model.batches
        with pytest.raises(asyncio.CancelledError):
            await answer
        await model.batcher.stop()

    in_loop(run)


def test_what_is_not_answered_in_time_is_given_up() -> None:
    async def run() -> None:
        model = Held()
        first = await model.begin()
        _, late = model.ask("late", timeout_s=0.05)
        with pytest.raises(Refusal) as refused:
            await late
        assert (refused.value.status, refused.value.message) == (504, "no answer within 0.05 s")
        assert model.batcher.waiting == 0
        model.go.set()
        assert await first == ["FIRST"]
        await model.batcher.stop()
        assert model.batches == [["first"]]

    in_loop(run)


def test_a_batch_for_which_nobody_waits_is_stopped_inside_the_model() -> None:
    async def run() -> None:
        model = Held()
        model.until_wanted = True
        model.go.set()
        first = await model.begin()
        first.cancel()
        await asyncio.wait([first])
        model.until_wanted = False  # of the next one
        _, second = model.ask("second")
        assert await asyncio.wait_for(second, 60) == ["SECOND"]
        await model.batcher.stop()

    in_loop(run)


def test_one_client_that_leaves_does_not_stop_the_batch_of_others() -> None:
    async def run() -> None:
        model = Held()
        first = await model.begin()
        gone, stays = model.ask("gone"), model.ask("stays")
        model.batches.clear()
        model.begun.clear()
        model.go.set()
        await asyncio.to_thread(model.begun.wait, 60)
        gone[1].cancel()
        assert await stays[1] == ["STAYS"]
        assert await first == ["FIRST"]
        await model.batcher.stop()

    in_loop(run)


def test_a_refused_input_is_refused_alone() -> None:
    async def run() -> None:
        model = Held()
        first = await model.begin()
        jobs = [model.ask("a"), model.ask("bad"), model.ask("c")]
        model.go.set()
        results = await asyncio.gather(*(answer for _, answer in jobs), return_exceptions=True)
        assert (results[0], results[2]) == (["A"], ["C"])
        assert isinstance(results[1], InputError)
        await first
        await model.batcher.stop()

    in_loop(run)


@pytest.mark.parametrize("kind", [InputError, RuntimeError])
def test_a_job_that_was_heard_is_not_computed_again(kind: type[Exception]) -> None:
    """Its client would get the same text twice."""

    @final
    @dataclass(frozen=True)
    class Spoken(Work):
        def run(self, task: Any, jobs: Sequence[PendingJob]) -> list[Any]:
            task.batches.append([one for job in jobs for one in job.inputs])
            for job in jobs[:-1]:
                job.heard = True
            if len(jobs) > 1:
                raise kind("too many")
            return ["answer"]

    async def run() -> None:
        model = Held()
        first = await model.begin()
        model.batches.clear()
        jobs = [model.ask(one, work=Spoken()) for one in ("a", "b", "c")]
        model.go.set()
        results = await asyncio.gather(*(answer for _, answer in jobs), return_exceptions=True)
        assert model.batches == [["a", "b", "c"], ["c"]]
        assert [type(result) for result in results] == [kind, kind, str]
        await first
        await model.batcher.stop()

    in_loop(run)


def test_all_that_is_computed_is_answered_before_the_end() -> None:
    async def run() -> None:
        model = Held()
        first = await model.begin()
        model.go.set()
        assert await first == ["FIRST"]
        await model.batcher.stop()
        assert not any(thread.name.startswith("model model") for thread in threading.enumerate())

    in_loop(run)
