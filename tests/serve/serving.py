"""A server in this process: its application, spoken to without a network, or on a port of loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from sightline.serve.limits import ServerLimits
from sightline.serve.server import application, configuration, listening
from tests.waiting import PATIENCE_S, wait_until

__all__ = ["TOKEN", "application", "asked", "events", "patient", "running", "started", "waiting_inputs"]
TOKEN = "a secret of some length".replace(" ", "-")


def patient(**limits: Any) -> ServerLimits:
    """Limits whose times a busy machine does not reach."""
    return ServerLimits(**{"timeout_s": PATIENCE_S, "body_s": PATIENCE_S, **limits})


@asynccontextmanager
async def started(
    tasks: Mapping[str, Any], limits: ServerLimits | None = None, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server in this event loop."""
    app = application([Path("runs", name) for name in tasks], list(tasks.values()), limits or patient(), **options)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.app.router.lifespan_context(app.app):
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8000", timeout=PATIENCE_S
        ) as client:
            yield client


def asked(tasks: Mapping[str, Any], requests: Sequence[tuple[str, Any]], **options: Any) -> list[httpx.Response]:
    """The responses to requests, one after another; without a body they are GET."""

    async def ask() -> list[httpx.Response]:
        async with started(tasks, **options) as client:
            return [
                await (client.get(path) if body is None else client.post(path, json=body)) for path, body in requests
            ]

    return asyncio.run(ask())


@contextmanager
def running(tasks: Mapping[str, Any], limits: ServerLimits | None = None, **options: Any) -> Iterator[str]:
    """The address of a server in a thread of its own."""
    limits = limits or patient()
    app = application([Path("runs", name) for name in tasks], list(tasks.values()), limits, **options)
    listener = listening("127.0.0.1", 0)
    server = uvicorn.Server(configuration(app, limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def waiting_inputs(metrics: str) -> float:
    """The inputs in the queue, of the counters of a server with one model."""
    return float(next(line for line in metrics.splitlines() if line.startswith("sightline_waiting_inputs")).split()[1])


def events(text: str) -> list[Any]:
    """The data of server-sent events."""
    data = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [one if one == "[DONE]" else json.loads(one) for one in data]
