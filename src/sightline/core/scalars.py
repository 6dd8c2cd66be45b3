"""Numbers, truth values, texts and paths of a configuration, from YAML or from the text of a flag."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from sightline.core.suggest import nearest

YES, NO, NOTHING = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null", "")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@final
class Unfit(Exception):
    """A value does not fit; the message says what was expected."""


def read_literal(choices: tuple[Any, ...], value: Any, text: bool) -> Any:
    """The one of the choices that `value` is. Raises `Unfit`."""
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
        if text and isinstance(value, str) and value == str(choice):
            return choice
    words = [str(choice) for choice in choices]
    near = nearest(value, words) if isinstance(value, str) else None
    hint = f" (did you mean {near!r}?)" if near else ""
    raise Unfit(f"{'one of ' if len(words) > 1 else ''}{', '.join(words)}{hint}")


def _bool(value: Any, text: bool) -> bool:
    if text and isinstance(value, str) and value.lower() in YES + NO:
        return value.lower() in YES
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return value


def _int(value: Any, text: bool) -> int:
    if text and isinstance(value, str) and re.fullmatch(r"[-+]?\d{1,4000}", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("an integer, written in full" if isinstance(value, (float, str)) else "an integer")
    return value


def _float(value: Any, text: bool) -> float:
    if isinstance(value, str) and len(value) < 400 and _NUMBER.fullmatch(value):  # YAML 1.1 reads 1e-3 as text
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unfit("a number")
    try:
        number = float(value)
    except OverflowError:
        raise Unfit("a finite number") from None
    if not math.isfinite(number):
        raise Unfit("a finite number")
    return number


def _str(value: Any, text: bool) -> str:
    if not isinstance(value, str):
        scalar = value is None or isinstance(value, (bool, int, float))
        raise Unfit("text (put it in quotes)" if scalar and not text else "text")
    return value


def _path(value: Any, text: bool) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise Unfit("a path")
    return Path(value)


def _none(value: Any, text: bool) -> None:
    if value is not None and not (text and isinstance(value, str) and value.lower() in NOTHING):
        raise Unfit("null")


SCALARS: dict[Any, Callable[[Any, bool], Any]] = {bool: _bool, int: _int, float: _float, str: _str, Path: _path}
SCALARS[type(None)] = _none
