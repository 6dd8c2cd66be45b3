"""How messages spell the keys of a configuration: as flags on the command line, as arguments in Python.

Messages are written with flags, `--batch_size` or `--batch-size`; whoever shows them spells them for the user.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from sightline.core.errors import EnvironmentFault, InputError

_END = r"\s,;:)'\""  # of a value
_FLAG = re.compile(
    r"(?<![\w/'-])--(?P<no>no-)?(?P<name>[a-z][\w-]*(?:\.\w[\w-]*)*)"
    rf"(?P<value>=[^\s,;:)]+| (?=[^{_END}]*[\d%/])[^{_END}]*[^{_END}.])?"  # a word without a digit may be no value
)
_PLUGIN = re.compile(r"add --plugin \S+, in Python ")  # a message that says how both load a plugin
_UNKNOWN = re.compile(r"unknown (?:key|flag)\b(.*)")
# Keys and arguments that are true or false.
SWITCHES = frozenset(
    {
        "overwrite",
        "resume",
        "quiet",
        "skip_bad",
        "until_decided",
        "lowercase",
        "header",
        "watch",
        "compare_precision",
        "tokenizer.lowercase",
        "tokenizer.shared",
    }
    | {"series.scale", "model.causal"}
)


def as_flags(message: str) -> str:
    """The message with flags as users type them: `--batch-size` for the key `--batch_size`."""

    def typed(flag: re.Match[str]) -> str:
        value = flag["value"] or ""
        return flag[0].removesuffix(value).replace("_", "-") + value

    return _FLAG.sub(typed, message)


def as_arguments(message: str) -> str:
    """The message with arguments of Python: `batch_size=…`, `skip_bad=True`, `settings={"optim.lr": …}`."""

    def argument(flag: re.Match[str]) -> str:
        name = flag["name"].replace("-", "_")
        written = (flag["value"] or "")[1:]
        place = message[flag.end() :].startswith(":") and not flag.start() and not (flag["value"] or "").startswith(" ")
        if place:  # of an error
            return name
        value = "False" if flag["no"] else _value(written) if written else "True" if name in SWITCHES else "…"
        return f'settings={{"{name}": {value}}}' if "." in name else f"{name}={value}"

    message = _PLUGIN.sub("call ", message)
    return _UNKNOWN.sub(_known_keys, _FLAG.sub(argument, message))


def _value(written: str) -> str:
    """A value as Python writes it: what is not a number is a text."""
    try:
        float(written)
    except ValueError:
        return f'"{written}"'
    return written


def _known_keys(unknown: re.Match[str]) -> str:
    """The rest of a message about an unknown key, with the names of known ones."""
    return "unknown key" + re.sub(r"(?<=\w)-(?=\w)", "_", unknown[1])


@contextmanager
def respelled(spell: Callable[[str], str]) -> Iterator[None]:
    """Errors of the user's input, and log records of the package, with their messages spelled by `spell`."""
    logger, filtered = logging.getLogger("sightline"), _Spelled(spell)
    logger.addFilter(filtered)
    try:
        yield
    except InputError as error:
        raise InputError(spell(str(error))) from None
    except EnvironmentFault as error:
        raise EnvironmentFault(spell(str(error))) from None
    finally:
        logger.removeFilter(filtered)


@final
class _Spelled(logging.Filter):
    def __init__(self, spell: Callable[[str], str]) -> None:
        super().__init__()
        self._spell = spell

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._spell(record.getMessage()), ()
        return True
