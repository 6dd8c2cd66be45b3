"""Bodies of requests, with descriptions and examples for the page of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeAlias, final

from pydantic import BaseModel, ConfigDict, Field

from sightline.core.errors import InputError
from sightline.decoding.beam import MOST_PENALTY
from sightline.decoding.engine import DecodingConfig
from sightline.decoding.sample import REPETITION
from sightline.serve.limits import ServerLimits
from sightline.serve.refusal import Refusal
from sightline.tasks.language.generation import NEW_TOKENS

TOKENS = 16  # of an output where a client of OpenAI names no number, as theirs
MOST_STOPS, MOST_STOP = 8, 200  # texts, and characters of one
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")
_FILE = {
    "type": "object",
    "properties": {"base64": {"type": "string", "format": "byte"}},
    "required": ["base64"],
    "additionalProperties": False,
    "description": "The bytes of a sound, a picture or a table.",
}
_NUMBERS = {"type": "array", "items": {"type": ["number", "null"]}}
_ROW = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "string"}, _FILE]},
    "description": "Of several sources one value each, by name.",
}
_INPUT = {"anyOf": [{"type": "string"}, _NUMBERS, {"type": "array", "items": _NUMBERS}, _FILE, _ROW]}

ModelField: TypeAlias = Annotated[
    str | None, Field(max_length=300, description="Name of the model; may be left out where there is one.")
]
TimeoutField: TypeAlias = Annotated[
    float | None, Field(ge=0.01, le=3600, description="Seconds to wait for the answer, at most the server's own limit.")
]
SeedField: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 63)]
Probability: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Temperature: TypeAlias = Annotated[float, Field(ge=0, le=100)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1 << 31)]
Penalty: TypeAlias = Annotated[float, Field(ge=REPETITION[0], le=100)]
LengthPenalty: TypeAlias = Annotated[
    float | None, Field(ge=-MOST_PENALTY, le=MOST_PENALTY, description="Needs a beam.")
]
DraftField: TypeAlias = Annotated[
    Literal["none", "ngram"],
    Field(description="Propose tokens where the last ones occurred before (ngram): changes nothing but time."),
]


class _Body(BaseModel):
    """A body that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


@final
class DecodingBody(_Body):
    """How outputs are searched for or sampled, as the flags of `sightline predict`; unset fields have its defaults."""

    beam: Annotated[int, Field(ge=1, description="Beam width; 1 is greedy decoding.")] = 1
    length_penalty: LengthPenalty = None
    sample: Annotated[bool, Field(description="Sample the output.")] = False
    temperature: Temperature | None = None
    top_k: Count | None = None
    top_p: Probability | None = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    repetition_penalty: Penalty | None = None
    seed: SeedField | None = None
    max_length: Annotated[
        int | None, Field(ge=1, description="Tokens of an output; by default the lower limit of model and server.")
    ] = None
    draft: DraftField = "none"

    def config(self, limits: ServerLimits) -> DecodingConfig:
        """The settings.

        Raises:
            Refusal: 413 what is beyond a limit; 422 "decoding.seed: needs sample".
        """
        for name in SAMPLING:
            if getattr(self, name) is not None and not self.sample:
                raise Refusal(422, f"decoding.{name}: needs sample", param=f"decoding.{name}")
        if self.length_penalty is not None and self.beam < 2:
            raise Refusal(422, "decoding.length_penalty: needs a beam of 2 or more", param="decoding.length_penalty")
        return decoding_config(limits, self.model_dump(exclude_none=True), section="decoding")


def decoding_config(
    limits: ServerLimits, values: Mapping[str, Any], *, section: str = "", max_length: str = "max_length"
) -> DecodingConfig:
    """The settings of decoding; raises `Refusal` where one is beyond a limit or they do not fit together.

    section: the field that contains them; max_length: the client's name of that setting
    """
    prefix = f"{section}." if section else ""
    for name, field, most in (("beam", "beam", limits.beam), ("max_length", max_length, limits.new_tokens)):
        if (value := values.get(name)) is not None and value > most:
            raise Refusal(413, f"{prefix}{field}: at most {most}, found {value}", param=f"{prefix}{field}")
    known = {field.name for field in fields(DecodingConfig)}
    try:
        return DecodingConfig(**{name: value for name, value in values.items() if name in known})
    except InputError as error:
        place = f"{prefix}{error.where}" if error.where else section
        message = f"{prefix}{error}" if error.where else f"{place}: {error}" if place else str(error)
        raise Refusal(422, message, param=place or None) from None


@final
class PredictBody(_Body):
    """Inputs to answer: texts, numbers, or the bytes of sounds and pictures, as the model's `sources` say."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": ["21 March 2025", "1/2/03"], "decoding": {"beam": 4}},
                {"model": "reviews", "inputs": ["A fine film."]},
                {"model": "digits", "inputs": [{"base64": "iVBORw0KGgo="}]},
                {"model": "questions", "inputs": [{"image": {"base64": "iVBORw0KGgo="}, "question": "How many?"}]},
            ]
        }
    )

    model: ModelField = None
    inputs: Annotated[
        list[Any],
        Field(min_length=1, description="One value for each input.", json_schema_extra={"items": _INPUT}),
    ]
    decoding: DecodingBody | None = None
    timeout_s: TimeoutField = None


@final
class ForecastBody(_Body):
    """Series to continue: a table as text (CSV), or the numbers of one series."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"csv": "time,load\n2025-01-01,3.1\n2025-01-02,3.4\n"},
                {"model": "load", "values": [[3.1], [3.4]]},
            ]
        }
    )

    model: ModelField = None
    csv: Annotated[str | None, Field(description="The table, as `sightline predict` reads it from a file.")] = None
    values: Annotated[
        list[Any] | None,
        Field(
            min_length=1,
            description="(T, C) numbers of the model's columns, or (T,) of its only one.",
            json_schema_extra={"items": {"anyOf": [{"type": "number"}, _NUMBERS]}},
        ),
    ] = None
    timeout_s: TimeoutField = None


@final
class GenerateBody(_Body):
    """A prompt to continue; sampled unless `greedy` or a beam is set, as by `sightline generate`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"prompt": "Once upon a time", "max_new_tokens": 50, "seed": 1}]}
    )

    model: ModelField = None
    prompt: Annotated[str, Field(description="The text to continue; an empty one begins a document.")]
    max_new_tokens: Annotated[
        int | None,
        Field(ge=1, description=f"Tokens of the output; by default {NEW_TOKENS}, or the server's limit if lower."),
    ] = None
    greedy: Annotated[bool, Field(description="Always take the most likely token.")] = False
    beam: Annotated[int, Field(ge=1)] = 1
    length_penalty: LengthPenalty = None
    temperature: Temperature | None = None
    top_k: Count | None = None
    top_p: Probability | None = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    repetition_penalty: Penalty | None = None
    seed: SeedField | None = None
    draft: DraftField = "none"
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=MOST_STOP)]], Field(max_length=MOST_STOPS)] = (
        Field(default_factory=list, description="The output ends before the first of these.")
    )
    truncate: Annotated[
        Literal["error", "left"], Field(description="What happens to a prompt that is too long for the model.")
    ] = "error"
    stream: Annotated[bool, Field(description="Send the text while it is generated, as server-sent events.")] = True
    timeout_s: TimeoutField = None


@final
class MapsBody(_Body):
    """An input to look at, and one or two models."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"models": ["dates"], "input": "21 March 2025"}]})

    models: Annotated[list[Annotated[str, Field(max_length=300)]], Field(min_length=1, max_length=2)]
    input: Annotated[Any, Field(json_schema_extra=_INPUT, description="One input, as in `inputs` of /v1/predict.")]
    timeout_s: TimeoutField = None


@final
class CompletionBody(BaseModel):
    """Requests of OpenAI's clients to /v1/completions. Fields that would change the answer are refused if not built."""

    model_config = ConfigDict(
        extra="ignore",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"model": "stories", "prompt": "Once upon a time", "max_tokens": 50}]},
    )

    model: Annotated[str, Field(max_length=300)]
    prompt: Annotated[str | list[str], Field(description="One text, or several.")] = ""
    max_tokens: Annotated[
        int | None,
        Field(ge=1, description=f"Tokens of an output; by default {TOKENS}, or the server's limit if lower."),
    ] = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    n: Annotated[int | None, Field(ge=1)] = None
    best_of: Annotated[int | None, Field(ge=1)] = None
    stop: Annotated[
        str | list[str] | None, Field(description=f"At most {MOST_STOPS} texts of {MOST_STOP} characters.")
    ] = None
    seed: Annotated[int | None, Field(ge=-(1 << 63), lt=1 << 63)] = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    logprobs: int | None = None
    suffix: str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
