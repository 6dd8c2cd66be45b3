"""The routes of a server, without those of `completions`."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sightline.core.errors import InputError
from sightline.core.json_text import to_json
from sightline.decoding.engine import DecodingConfig
from sightline.report.inspection import render_inspections
from sightline.serve.inputs import check_positions, checked_text, read_input
from sightline.serve.limits import ServerLimits
from sightline.serve.metrics import Measurements
from sightline.serve.pages import IN_FRAME, IN_FRAME_SCRIPT, api_page, front_page
from sightline.serve.refusal import KINDS, NO_FIELDS, Fields, Refusal
from sightline.serve.schemas import SAMPLING, ForecastBody, GenerateBody, MapsBody, PredictBody, decoding_config
from sightline.serve.served import ServedModel, ServedModels
from sightline.serve.waiting import EventStream, Pieces, answer
from sightline.serve.works import Answering, Continuing, Inspecting
from sightline.tasks.language.generation import Generated, GenerationConfig

JSON_POLICY = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
PAGE_POLICY = {"Content-Security-Policy": "frame-ancestors 'none'"}
MAPS_POLICY = {"Content-Security-Policy": "sandbox allow-scripts allow-downloads; frame-ancestors 'self'"}
# For `wrong_input`: how the routes spell what messages about long prompts advise.
GENERATE_FIELDS = {"--max-new-tokens": "max_new_tokens", "--truncate=left": 'truncate "left"'}
PREDICT_FIELDS = {
    "--max-new-tokens": "decoding.max_length",
    "drop the prompt's beginning with --truncate=left": "shorten the prompt",
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "integer"},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": kind.replace("_", " "), "content": {"application/json": {"schema": _ERROR}}}
    for status, kind in KINDS.items()
    if status != 500
}
_ANSWER = {"description": "The answer.", "content": {"application/json": {"schema": {"type": "object"}}}}
EVENTS = {
    "description": "The answer, or events where it is streamed.",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/event-stream": {},
    },
}

router = APIRouter()


@final
@dataclass
class Serving:
    """State that the routes of one server share.

    pages: of influence maps by their secret names, the newest last
    """

    models: ServedModels
    limits: ServerLimits
    measurements: Measurements
    pages: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    def keep_page(self, page: str) -> str:
        """A secret name for a page, which takes the place of the oldest ones where there are too many.

        Raises:
            Refusal: 413 "the maps of this input are too large: shorten it".
        """
        content = page.encode()
        if len(content) > self.limits.pages_bytes:
            raise Refusal(413, "the maps of this input are too large: shorten it", param="input")
        name = token_urlsafe(24)
        self.pages[name] = content
        while len(self.pages) > self.limits.pages or sum(map(len, self.pages.values())) > self.limits.pages_bytes:
            self.pages.popitem(last=False)
        return name


@final
class PlainJson(Response):
    """JSON in which a number that is not finite is null."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200, headers: Any = None) -> None:
        super().__init__(to_json(content).encode("utf-8", "replace"), status, {**JSON_POLICY, **(headers or {})})


def serving_of(request: Request) -> Serving:
    """The state of this server."""
    return request.app.state.serving


@router.get("/v1/models", responses={200: _ANSWER, **REFUSED})
async def models(request: Request) -> Response:
    """The models, with their tasks and what each reads."""
    return PlainJson({"object": "list", "data": [model.facts() for model in serving_of(request).models]})


@router.post("/v1/predict", responses={200: _ANSWER, **REFUSED})
async def predict(request: Request, body: PredictBody) -> Response:
    """Answer inputs: translate, classify, transcribe, describe, forecast or continue.

    `predictions` has one object for each input, in order: what `sightline predict --json` prints of it.
    """
    serving = serving_of(request)
    model = serving.models.named(body.model)
    check_count(len(body.inputs), serving.limits.inputs, "inputs")
    decoding = None
    if model.task.accepts_decoding:
        settings = DecodingConfig() if body.decoding is None else body.decoding.config(serving.limits)
        decoding = model.decoding(settings)
    elif body.decoding is not None:
        raise Refusal(422, f"decoding: {model.task.name} does not decode sequences", param="decoding")
    sources = model.task.input_sources
    inputs = [read_input(one, sources, serving.limits, f"inputs.{number}") for number, one in enumerate(body.inputs)]
    predictions = await answer(request, model, Answering(decoding), inputs, body.timeout_s, PREDICT_FIELDS)
    return PlainJson({"model": model.name, "task": model.task.name, "predictions": predictions})


@router.post("/v1/forecast", responses={200: _ANSWER, **REFUSED})
async def forecast(request: Request, body: ForecastBody) -> Response:
    """Forecast the next steps of every series of a table, or of one series of numbers."""
    serving = serving_of(request)
    model = serving.models.named(body.model)
    sources = model.task.input_sources
    if list(sources.values()) != ["table"]:
        raise Refusal(422, f"{model.name} is a {model.task.name} model: ask /v1/predict", param="model")
    if (body.csv is None) == (body.values is None):
        raise Refusal(422, "expected csv or values, one of the two", param="csv")
    place = "csv" if body.values is None else "values"
    one = read_input(body.csv if body.values is None else body.values, sources, serving.limits, place)
    (record,) = await answer(request, model, Answering(), [one], body.timeout_s)
    return PlainJson({"model": model.name, **record})


@router.post("/v1/generate", responses={200: EVENTS, **REFUSED})
async def generate(request: Request, body: GenerateBody) -> Response:
    """Continue a prompt, as server-sent events: `{"text": …}` for each piece, then `{"done": true, …}` with the whole.

    With `stream` false the last object alone.
    """
    serving = serving_of(request)
    model = continuing(serving.models.named(body.model))
    prompt = checked_text(body.prompt, serving.limits.characters, "prompt")
    sampled = not body.greedy and body.beam == 1
    for name in SAMPLING:
        if getattr(body, name) is not None and not sampled:
            raise Refusal(422, f"{name}: needs sampling; remove greedy and beam", param=name)
    values = body.model_dump(exclude_none=True)
    values = {**values, "sample": sampled, "max_length": body.max_new_tokens}
    if body.length_penalty is not None and body.beam < 2:
        raise Refusal(422, "length_penalty: needs a beam of 2 or more", param="length_penalty")
    decoding = decoding_config(serving.limits, values, max_length="max_new_tokens")
    if body.greedy and body.beam > 1:
        raise Refusal(422, "beam: choose one of greedy and beam", param="beam")
    work = Continuing(generation(model.decoding(decoding), 1, body.stop, body.truncate))

    def whole(output: Generated) -> dict[str, Any]:
        return {"done": True, "model": model.name, "text": output.text, "score": output.score,
                "tokens": output.tokens, "ended": output.ended, "dropped": output.dropped}  # fmt: skip

    if not body.stream:
        continued = await answer(request, model, work, [prompt], body.timeout_s, GENERATE_FIELDS)
        return PlainJson(whole(continued.outputs[0]))
    pieces = await begun(request, model, work, [prompt], body.timeout_s, GENERATE_FIELDS)

    async def events() -> AsyncIterator[str]:
        async for piece in pieces:
            yield to_json({"text": piece.text})
        yield to_json(whole(pieces.result.outputs[0]))

    return EventStream(events(), pieces)


def continuing(model: ServedModel) -> ServedModel:
    """The model, if it continues prompts."""
    if not model.task.continues_prompts:
        raise Refusal(422, f"{model.name} is a {model.task.name} model and continues no prompts: ask /v1/predict")
    return model


def generation(decoding: DecodingConfig, samples: int, stop: Sequence[str], truncate: Any) -> GenerationConfig:
    """The settings of continuations; raises `Refusal` where they do not fit together."""
    try:
        return GenerationConfig(decoding, samples, tuple(stop), truncate)
    except InputError as error:
        raise Refusal(422, str(error), param=error.where) from None


async def begun(
    request: Request,
    model: ServedModel,
    work: Continuing,
    prompts: Sequence[str],
    timeout_s: float | None = None,
    fields: Fields = NO_FIELDS,
) -> Pieces:
    """The pieces of an answer, once it has begun; it is given up when the client leaves before.

    fields: see `wrong_input`
    """
    pieces = Pieces(model, work, prompts, timeout_s, fields)
    try:
        await pieces.begin(request)
    except BaseException:
        await pieces.close()
        raise
    return pieces


@router.post("/v1/maps", responses={200: _ANSWER, **REFUSED})
async def maps(request: Request, body: MapsBody) -> Response:
    """Make the page of influence maps of an input, for one model or two; `page` is its path, for a while."""
    serving = serving_of(request)
    seconds = serving.limits.seconds(body.timeout_s)
    try:
        async with asyncio.timeout(seconds):  # for all models together
            inspections = [await _inspected(request, serving, body, name) for name in body.models]
    except TimeoutError:
        raise Refusal(504, f"no answer within {seconds:g} s") from None
    page = await asyncio.to_thread(render_inspections, inspections, more_style=IN_FRAME, more_script=IN_FRAME_SCRIPT)
    return PlainJson({"page": f"/maps/{serving.keep_page(page)}", "notes": [one.notes for one in inspections]})


async def _inspected(request: Request, serving: Serving, body: MapsBody, name: str) -> Any:
    """The influence maps of the input, for the model of that name."""
    model = serving.models.named(name)
    sources = model.task.input_sources
    one = read_input(body.input, sources, serving.limits, "input")
    check_positions(one, sources, serving.limits.map_positions, "input")
    if isinstance(one, str) and not one.strip() and not model.task.continues_prompts:
        raise Refusal(422, "input: the text is empty", param="input")
    inspection = await answer(request, model, Inspecting(model.name), [one], body.timeout_s)
    if not inspection.maps:
        raise Refusal(422, f"{model.name} has no maps of this input: {'; '.join(inspection.notes)[:500]}")
    return inspection


@router.get("/maps/{name}", responses={200: {"content": {"text/html": {}}}, **REFUSED}, include_in_schema=False)
async def maps_page(request: Request, name: str) -> Response:
    """A page of influence maps."""
    page = serving_of(request).pages.get(name)
    if page is None:
        raise Refusal(404, "this page is gone: ask again")
    return HTMLResponse(page, headers=MAPS_POLICY)


@router.get("/health", responses={200: _ANSWER})
async def health(request: Request) -> Response:
    """Whether the server answers."""
    return PlainJson({"status": "ok", "version": request.app.version})


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **REFUSED})
async def metrics(request: Request) -> Response:
    """Counters in the text format of Prometheus."""
    measurements = serving_of(request).measurements
    return Response(measurements.text(), headers={"Content-Type": measurements.content_type, **JSON_POLICY})


@router.get("/", include_in_schema=False)
async def front() -> Response:
    """The page for people."""
    return HTMLResponse(front_page(), headers=PAGE_POLICY)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The page of the API."""
    return HTMLResponse(api_page(request.app.openapi()), headers=PAGE_POLICY)


@router.get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response:
    """There is no icon."""
    return Response(status_code=204)


def check_count(count: int, most: int, field: str) -> None:
    """Refuse a request with too many of something."""
    if count > most:
        raise Refusal(413, f"{field}: has {count}, at most {most} are answered at once", param=field)
