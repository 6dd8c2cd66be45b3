"""How messages spell the keys of a configuration: as flags on the command line, as arguments in Python.

Messages are written with flags, `--batch_size` or `--batch-size`; whoever shows them spells them for the user.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from sightline.core.errors import InputError, SightlineError

_END = r"\s,;:)'\""  # of a value
_AFTER_EQUALS = r"'[^']*'|(?:[^\s,;:)']|:(?=\w))*[^\s,;:)'.]"
_FLAG = re.compile(
    r"(?<![\w/'-])--(?P<no>no-)?(?P<name>[a-z][\w-]*(?:\.\w[\w-]*)*)"
    # After a space, a word without a digit may be no value: a message writes --resample=mean.
    rf"(?P<value>=(?:{_AFTER_EQUALS})| (?=[^{_END}]*[\d%/])[^{_END}]*[^{_END}.])?"
)
_OTHER_COMMAND = re.compile(r"(?<!\w)'\w[^']*--[^']*'(?!\w)")  # 'ray start --head'
_NEIGHBOURS = re.compile(r"settings=\{[^{}]*\}(?:(?:,| and) settings=\{[^{}]*\})+")
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
    """The message with arguments of Python: `batch_size=…`, `skip_bad=True`, `settings={"optim.lr": …}`.

    Flags that follow each other become arguments that do: `every="1h", resample="mean"`. A command in quotes stays.
    """
    message = _PLUGIN.sub("call ", message)
    parts, at = [], 0
    for command in _OTHER_COMMAND.finditer(message):
        parts += [_with_arguments(message, at, command.start()), command[0]]
        at = command.end()
    parts.append(_with_arguments(message, at, len(message)))
    return _UNKNOWN.sub(_known_keys, "".join(parts))


def _with_arguments(message: str, begin: int, end: int) -> str:
    """A part of a message, its flags as arguments."""
    parts, at = [], begin
    for flag in _FLAG.finditer(message, begin, end):
        parts += [message[at : flag.start()], _argument(message, flag)]
        at = flag.end()
    return _NEIGHBOURS.sub(_joined, "".join([*parts, message[at:end]]))


def _argument(message: str, flag: re.Match[str]) -> str:
    """A flag of the message as an argument, with a comma where another one follows."""
    name = flag["name"].replace("-", "_")
    if not flag.start() and not flag["value"] and message.startswith(":", flag.end()):  # the place of an error
        return name
    written = (flag["value"] or "")[1:]
    value = "False" if flag["no"] else _value(written) if written else "True" if name in SWITCHES else "…"
    argument = f'settings={{"{name}": {value}}}' if "." in name else f"{name}={value}"
    return argument + "," * bool(message.startswith(" ", flag.end()) and _FLAG.match(message, flag.end() + 1))


def _joined(neighbours: re.Match[str]) -> str:
    """Neighbouring settings as one: a call takes an argument once."""
    return f"settings={{{', '.join(re.findall(r'{([^{}]*)}', neighbours[0]))}}}"


def _value(written: str) -> str:
    """A value as Python writes it: what is not a number is a text."""
    try:
        float(written)
    except ValueError:
        text = written.strip("'")
        return f'"{text}"'
    return written


def _known_keys(unknown: re.Match[str]) -> str:
    """The rest of a message about an unknown key, with the names of known ones."""
    return "unknown key" + re.sub(r"(?<=\w)-(?=\w)", "_", unknown[1])


@contextmanager
def respelled(spell: Callable[[str], str]) -> Iterator[None]:
    """Errors of the package, and its log records, with their messages spelled by `spell`, inner contexts first."""
    logger, filtered = logging.getLogger("sightline"), _Spelled(spell)
    logger.filters.insert(0, filtered)
    try:
        yield
    except SightlineError as error:
        error.args = (spell(str(error)),)
        if isinstance(error, InputError) and error.where is not None:
            error.where = spell(f"{error.where}:").removesuffix(":")
        raise
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
