"""The web application: its routes together, and how errors become responses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sightline.serve.completions import router as completions
from sightline.serve.guard import Guard
from sightline.serve.limits import ServerLimits
from sightline.serve.metrics import Measurements
from sightline.serve.refusal import Refusal, internal_error
from sightline.serve.routes import PlainJson, Serving, router
from sightline.serve.served import ServedModels
from sightline.training.environment import installed_version


def create_app(
    served: ServedModels,
    limits: ServerLimits,
    measurements: Measurements,
    *,
    token: str | None,
    hosts: Sequence[str] | None,
) -> Guard:
    """The application of a server.

    hosts: the names that a Host header may have; None = any
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for model in served:
            model.start()
        yield
        for model in served:
            await model.stop()

    app = FastAPI(
        title="sightline",
        version=installed_version("sightline") or "unknown",
        description="Trained sequence models over HTTP.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.serving = Serving(served, limits, measurements)
    app.include_router(router)
    app.include_router(completions)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    return Guard(app, limits, token=token, hosts=hosts, measure=measurements.request)


async def _refused(_: Request, error: Any) -> Response:
    return PlainJson(error.body, error.status, error.headers)


async def _invalid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "unreadable")
        return await _refused(request, Refusal(422, f"the body: is not JSON: {reason} (character {first['loc'][-1]})"))
    place = ".".join(_fields(first["loc"][1:], error.body))
    return await _refused(request, Refusal(422, f"{place or 'the body'}: {first['msg']}"[:500], param=place or None))


def _fields(place: Sequence[str | int], value: Any) -> Iterator[str]:
    """The names and numbers of a place in a body, without those of types, as pydantic adds them for unions."""
    for part in place:
        if isinstance(value, Mapping):
            yield str(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            yield str(part)
            value = value[part] if part < len(value) else None


async def _http(request: Request, error: Any) -> Response:
    return await _refused(request, Refusal(error.status_code, str(error.detail), headers=error.headers or {}))


async def _failed(request: Request, error: Any) -> Response:
    return await _refused(request, internal_error())
