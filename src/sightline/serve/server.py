"""The process of a server: its socket, its signals, and an end at which all that was accepted is answered."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.precision import Precision
from sightline.serve.app import create_app
from sightline.serve.guard import LOOPBACK_NAMES, check_token, is_loopback
from sightline.serve.limits import ServerLimits
from sightline.serve.metrics import Measurements
from sightline.serve.served import ServedModel, ServedModels, names_of_runs

BACKLOG = 1024
KEEP_ALIVE_S = 5
HEADER_BYTES = 32 << 10
READING_S = 5.0  # in which clients must have read their answers once the server ends, after the last one is made
logger = logging.getLogger("sightline")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
        InputError: "--host: no address of this machine: 10.0.0.1"; "--port: 8000 is in use: choose another".
        EnvironmentFault: "--port: no permission to listen on 80".
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (socket.gaierror, UnicodeError):  # UnicodeError: a name that IDNA cannot spell
        raise InputError(f"no address of this machine: {host}", where="--host") from None
    except PermissionError:
        raise EnvironmentFault(f"--port: no permission to listen on {port}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"{port} is in use: choose another, or 0 for any that is free", where="--port") from None
        raise InputError(f"cannot listen on {host}: {os.strerror(error.errno or 0)}", where="--host") from None


def address_of(host: str, listener: socket.socket) -> str:
    """The server's address as a browser takes it."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def application(
    runs: Sequence[Path],
    tasks: Sequence[Any],
    limits: ServerLimits,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    precision: Precision | None = None,
    compiled: Sequence[int] | None = None,
) -> Any:
    """The application that serves tasks under the names of their runs.

    On loopback a Host header must be one of loopback or an allowed one; beyond it any is right, as there is a token.
    `precision` is that of the products of every model, and the steps of the beam widths `compiled` are compiled now.

    Raises:
        InputError: what `check_token` and `ServedModel` raise.
    """
    check_token(token, host)
    hosts = [*LOOPBACK_NAMES, host, *allowed_hosts] if is_loopback(host) or allowed_hosts else None
    measurements = Measurements()
    named = zip(names_of_runs(runs), tasks, strict=True)
    served = [ServedModel(name, task, limits, measurements, precision, compiled) for name, task in named]
    return create_app(ServedModels(served), limits, measurements, token=token, hosts=hosts)


def configuration(app: Any, limits: ServerLimits) -> uvicorn.Config:
    """The settings of a server."""
    return uvicorn.Config(
        app,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=limits.connections + 1,  # uvicorn refuses when there are as many
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(limits.body_s + limits.timeout_s + READING_S),
        h11_max_incomplete_event_size=HEADER_BYTES,
        http="h11",
    )


def run_server(app: Any, listener: socket.socket, limits: ServerLimits) -> int:
    """Serve until a signal ends it; returns the exit status, 128 and the signal's number.

    On SIGTERM or SIGINT no more connections are accepted, what was accepted is answered, and the process ends.
    Connections whose clients do not read their answers are cut off after the longest time of a request and
    `READING_S`.
    """
    config = configuration(app, limits)
    server = uvicorn.Server(config)
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    log = logging.getLogger("uvicorn.error")
    log.addFilter(_not_cancelled)
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # uvicorn takes the signals while it runs, and raises them again here at its end.
        server.run(sockets=[listener])
    finally:
        log.removeFilter(_not_cancelled)
        for number, handler in before.items():
            signal.signal(number, handler)
    if cut := len(server.server_state.connections):
        seconds, which = config.timeout_graceful_shutdown, "connection was" if cut == 1 else "connections were"
        text = "stopped; %d %s cut off: their clients had not read all of an answer within %d s"
        logger.warning(text, cut, which, seconds)
    else:
        logger.info("stopped; all that was accepted is answered")
    return 128 + received[0] if received else 1


def _not_cancelled(record: logging.LogRecord) -> bool:
    """Whether a record is of anything but a request that was cut off at the end, since a client caused that."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
