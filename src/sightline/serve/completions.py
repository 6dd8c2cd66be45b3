"""`/v1/completions` in the shape that OpenAI's clients send and read (API reference, "Completions")."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sightline.core.json_text import to_json
from sightline.serve.inputs import checked_text
from sightline.serve.limits import ServerLimits
from sightline.serve.refusal import Refusal
from sightline.serve.routes import (
    EVENTS,
    PREDICT_FIELDS,
    REFUSED,
    PlainJson,
    begun,
    check_count,
    continuing,
    generation,
    serving_of,
)
from sightline.serve.schemas import MOST_STOP, MOST_STOPS, TOKENS, CompletionBody, decoding_config
from sightline.serve.served import ServedModel
from sightline.serve.waiting import EventStream, Pieces, answer
from sightline.serve.works import Continued, Continuing
from sightline.tasks.language.generation import Generated

# Fields that would change the answer and are not built, and the values with which they change nothing.
NOT_BUILT: dict[str, tuple[Any, ...]] = {
    "logprobs": (None,),
    "suffix": (None, ""),
    "presence_penalty": (None, 0.0),
    "frequency_penalty": (None, 0.0),
    "logit_bias": (None, {}),
}
FIELDS = {**PREDICT_FIELDS, "--max-new-tokens": "max_tokens"}  # for `wrong_input`

router = APIRouter()


@router.post("/v1/completions", responses={200: EVENTS, **REFUSED})
async def completions(request: Request, body: CompletionBody) -> Response:
    """Continue prompts, as OpenAI's clients ask for it. `temperature` 0 is greedy decoding."""
    serving = serving_of(request)
    model = continuing(serving.models.named(body.model))
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    samples = body.n or 1
    check_count(samples, serving.limits.samples, "n")
    check_count(len(prompts) * samples, serving.limits.inputs, "prompt")
    if not prompts:
        raise Refusal(422, "prompt: the list is empty", param="prompt")
    for prompt in prompts:
        checked_text(prompt, serving.limits.characters, "prompt")
    work = _work(model, body, samples, serving.limits)
    head = {"id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time()),
            "model": model.name}  # fmt: skip
    echoed = [prompt if body.echo else "" for prompt in prompts for _ in range(samples)]
    if not body.stream:
        continued = await answer(request, model, work, prompts, fields=FIELDS)
        choices = [
            _choice(index, echoed[index] + output.text, output) for index, output in enumerate(continued.outputs)
        ]
        return PlainJson({**head, "choices": choices, "usage": _usage(continued)})
    pieces = await begun(request, model, work, prompts, fields=FIELDS)
    with_usage = bool((body.stream_options or {}).get("include_usage"))
    return EventStream(_events(head, pieces, echoed, with_usage=with_usage), pieces)


def _work(model: ServedModel, body: CompletionBody, samples: int, limits: ServerLimits) -> Continuing:
    for name, harmless in NOT_BUILT.items():
        if getattr(body, name) not in harmless:
            raise Refusal(422, f"{name}: is not built; leave it out", param=name)
    if body.best_of not in (None, samples):
        raise Refusal(422, "best_of: is not built; leave it out, or set it to n", param="best_of")
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if len(stop) > MOST_STOPS:
        raise Refusal(422, f"stop: at most {MOST_STOPS} texts, found {len(stop)}", param="stop")
    for text in stop:
        checked_text(text, MOST_STOP, "stop")
    values: dict[str, Any] = {"max_length": min(TOKENS, limits.new_tokens)}
    values |= {} if body.max_tokens is None else {"max_length": body.max_tokens}
    if body.temperature != 0 or samples > 1:
        seed = secrets.randbelow(1 << 31) if body.seed is None else body.seed
        values |= {"sample": True, "seed": seed}
        values |= {} if body.temperature is None else {"temperature": body.temperature}
        values |= {} if body.top_p is None else {"top_p": body.top_p}
    decoding = model.decoding(decoding_config(limits, values, max_length="max_tokens"))
    return Continuing(generation(decoding, samples, stop, "error"))


async def _events(
    head: dict[str, Any], pieces: Pieces, echoed: Sequence[str], *, with_usage: bool
) -> AsyncIterator[str]:
    usage = {"usage": None} if with_usage else {}
    for index, text in enumerate(echoed):
        if text:
            yield to_json({**head, "choices": [_choice(index, text)], **usage})
    async for piece in pieces:
        yield to_json({**head, "choices": [_choice(piece.output, piece.text)], **usage})
    for index, output in enumerate(pieces.result.outputs):
        yield to_json({**head, "choices": [_choice(index, "", output)], **usage})
    if with_usage:
        yield to_json({**head, "choices": [], "usage": _usage(pieces.result)})
    yield "[DONE]"


def _choice(index: int, text: str, ended: Generated | None = None) -> dict[str, Any]:
    reason = None if ended is None else "length" if ended.ended == "limit" else "stop"
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _usage(continued: Continued) -> dict[str, int]:
    written = sum(output.tokens for output in continued.outputs)
    return {
        "prompt_tokens": continued.prompt_tokens,
        "completion_tokens": written,
        "total_tokens": continued.prompt_tokens + written,
    }
