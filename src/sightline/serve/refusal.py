"""Refusals of requests: a status, a sentence, and a body in the shape that clients of OpenAI's API read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, final

from sightline.core.errors import InputError
from sightline.core.spelling import as_arguments

Fields: TypeAlias = Mapping[str, str]
NO_FIELDS: Fields = MappingProxyType({})
# Status -> the word for it in `error.type`.
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected_request",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "internal_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@final
class Refusal(Exception):
    """A request that is not answered.

    param: the field that is wrong; headers: of the response, such as Retry-After
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.headers = status, message, param, dict(headers)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the response."""
        kind = KINDS.get(self.status, "error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.status}}


def internal_error() -> Refusal:
    """The refusal for an error of ours, without details."""
    return Refusal(500, "an internal error: the server's log has it")


def wrong_input(error: InputError, fields: Fields = NO_FIELDS) -> Refusal:
    """The refusal of a request for an error of its input, which names fields instead of flags.

    fields: words of messages, and what clients of the route know instead
    """
    message, place = str(error), error.where or ""
    for words, own in fields.items():
        message = message.replace(words, own)
    param = place.removeprefix("--").replace("-", "_") if place.startswith("--") else None
    return Refusal(422, as_arguments(message), param=param)
