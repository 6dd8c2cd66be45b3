"""A line of JSON Lines: an object, its numbers as they were written, and the strings in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any


class JsonNumber(str):
    """A JSON number as it was written: one of a million digits costs nothing and overflows nothing."""


def json_object(text: str) -> dict[str, Any]:
    """The JSON object that a line holds, its numbers as `JsonNumber`; any problem is a ValueError."""
    try:
        row = json.loads(
            text, object_pairs_hook=_object, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"bad JSON: {error.msg} at character {error.pos + 1}") from None
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {json_type(row)}")
    return row


def under(row: Mapping[str, Any], key: str) -> Any:
    """The value of a key; ValueError, with the nearest name, where it is not there."""
    if key not in row:
        close = get_close_matches(key, list(row), n=1, cutoff=0.5)
        raise ValueError(f"no key {key!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    return row[key]


def string(value: object, what: str) -> str:
    """A value that is a string of characters; ValueError where it is not."""
    if not isinstance(value, str) or isinstance(value, JsonNumber):
        raise ValueError(f"{what} must be a string, found {json_type(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} holds a lone surrogate, which is no character") from None
    return value


def json_type(value: object) -> str:
    """What a value is, for an error message."""
    if isinstance(value, JsonNumber):
        return "a number"
    names = {"dict": "an object", "list": "a list", "str": "a string", "bool": "true or false", "NoneType": "null"}
    return names.get(type(value).__name__, type(value).__name__)


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(items)
    if len(made) < len(items):
        keys = [key for key, _ in items]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"bad JSON: {name} is no JSON value")
