"""Waiting for a model's answer while the client may leave, and answers that arrive piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar, final

from starlette.requests import Request
from starlette.responses import Response

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.json_text import to_json
from sightline.core.spelling import as_arguments
from sightline.serve.batching import Abandoned, PendingJob, Work
from sightline.serve.guard import Receive, Send
from sightline.serve.refusal import NO_FIELDS, Fields, Refusal, internal_error, wrong_input
from sightline.serve.served import ServedModel

T = TypeVar("T")
CLOSED_REQUEST = 499  # for the log alone: nobody reads it


def refusal_of(error: BaseException, timeout_s: float, fields: Fields) -> Refusal:
    """The refusal for an exception of a model's thread; `fields` are those of `wrong_input`.

    Raises:
        BaseException: an error of ours, as it is.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InputError):
        return wrong_input(error, fields)
    if isinstance(error, EnvironmentFault):
        return Refusal(503, as_arguments(str(error)))
    if isinstance(error, Abandoned):
        return Refusal(504, f"no answer within {timeout_s:g} s")
    raise error


async def answer(
    request: Request,
    model: ServedModel,
    work: Work,
    inputs: Sequence[Any],
    timeout_s: float | None = None,
    fields: Fields = NO_FIELDS,
) -> Any:
    """The result of a job, which is given up when the client leaves.

    fields: see `wrong_input`

    Raises:
        Refusal: see `refusal_of`, and 499 where the client has left.
    """
    job = model.add(work, inputs, timeout_s)
    try:
        return await _unless_left(request, model.result(job))
    except Exception as error:
        raise refusal_of(error, job.timeout_s, fields) from None


async def _unless_left(request: Request, waiting: Coroutine[Any, Any, T]) -> T:
    """What `waiting` returns or raises, unless the client leaves before.

    Raises:
        Refusal: 499 where the client has left.
    """
    result = asyncio.ensure_future(waiting)
    leaving = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({result, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise Refusal(CLOSED_REQUEST, "the client has left")
        return result.result()
    finally:
        await _cancelled(result, leaving)


async def _left(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancels tasks and waits for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class NewText(NamedTuple):
    """New text of an output."""

    output: int
    text: str


@final
class Pieces:
    """The texts of a job as they are generated, and at the end its result.

    fields: see `wrong_input`
    """

    def __init__(
        self, model: ServedModel, work: Work, inputs: Sequence[Any], timeout_s: float | None, fields: Fields
    ) -> None:
        loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[NewText | None] = asyncio.Queue()

        def hear(output: int, text: str) -> None:
            loop.call_soon_threadsafe(self._arrived.put_nowait, NewText(output, text))

        self._job: PendingJob = model.add(work, inputs, timeout_s, hear)
        self._waiting = asyncio.ensure_future(model.result(self._job))
        self._waiting.add_done_callback(lambda _: self._arrived.put_nowait(None))
        self._fields = fields
        self._first: NewText | None = None
        self.result: Any = None

    async def begin(self, request: Request) -> None:
        """Wait for the first text, so that a refusal is a response of its own.

        Raises:
            Refusal: see `refusal_of`, and 499 where the client has left.
        """
        self._first = await _unless_left(request, self._next())

    async def __aiter__(self) -> AsyncIterator[NewText]:
        while (piece := self._first) is not None:
            yield piece
            self._first = await self._next()

    async def _next(self) -> NewText | None:
        piece = await self._arrived.get()
        if piece is None:
            try:
                self.result = self._waiting.result()
            except Exception as error:
                raise refusal_of(error, self._job.timeout_s, self._fields) from None
        return piece

    async def close(self) -> None:
        """Give the job up if it is not done."""
        await _cancelled(self._waiting)


async def _end(send: Send, refusal: Refusal | None = None) -> None:
    """End a stream, with an event for a refusal: it is too late for another status."""
    body = b"" if refusal is None else f"data: {to_json(refusal.body)}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": False})


@final
class EventStream(Response):
    """Server-sent events. They end when the client leaves, even between two of them.

    events: texts of events; pieces: closed at the end
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], pieces: Pieces) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        self._events, self._pieces = events, pieces
        del self.headers["content-length"]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Sends the events."""
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await _cancelled(sending, leaving)
            await self._pieces.close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for data in self._events:
                await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})
        except Refusal as refusal:
            await _end(send, refusal)
        except Exception:
            await _end(send, internal_error())
            raise  # into the log
        else:
            await _end(send)
