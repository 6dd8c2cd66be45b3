"""Names of built-in data and their options: `builtin:dates?locales=31&size=50000`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from sightline.core.errors import InputError
from sightline.core.suggest import unknown

MOST_SEEDS = 2**63


def parse_name(name: str, known: Iterable[str]) -> tuple[str, str]:
    """The name after `builtin:`, and the options after `?`.

    Raises:
        InputError: "builtin: unknown built-in data 'digit', did you mean 'digits'?"
    """
    kind, _, query = name.removeprefix("builtin:").partition("?")
    if kind not in known:
        raise InputError(unknown("built-in data", kind, known), where="builtin")
    return kind, query


def parse_options(query: str, known: Iterable[str], where: str) -> dict[str, str]:
    """The options by name.

    Raises:
        InputError: "builtin:dates: unknown option 'local', did you mean 'locales'?"
    """
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key in options:
        if key not in known:
            raise InputError(unknown("option", key, known), where=where)
    return options


def whole_number(options: Mapping[str, str], key: str, default: int, low: int, high: int, where: str) -> int:
    """The value of an option.

    Raises:
        InputError: "builtin:dates: size must be from 1 to 500000, found '0'"
    """
    text = options.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise InputError(f"{key} must be from {low} to {high}, found {text!r}", where=where)
    return int(text)


def parse_seed(options: Mapping[str, str], where: str) -> int:
    """The option `seed`, 0 by default."""
    return whole_number(options, "seed", 0, 0, MOST_SEEDS - 1, where)
