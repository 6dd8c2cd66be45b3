"""Keys of configurations with a description and the range of their values.

    @dataclass(frozen=True)
    class TrainConfig(CheckedConfig):
        keep: int = key(2, "Checkpoints to keep.", at_least=1)

Construction then refuses `keep=0` with `keep: must be at least 1, found 0`, and `describe_keys(TrainConfig)` gives the
help and the docs their text.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from sightline.core.errors import InputError

_FLAT = "flat"
_WORDS = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path", type(None): "null"}


class Range(NamedTuple):
    """The numbers that a key may have: finite ones between bounds, each included or not."""

    at_least: int | float | None = None
    above: int | float | None = None
    at_most: int | float | None = None
    below: int | float | None = None

    def __contains__(self, value: object) -> bool:
        """Whether the number lies within the bounds. NaN and infinities never do."""
        return (
            isinstance(value, int | float)
            and (isinstance(value, int) or math.isfinite(value))
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        least, above, most, below = ("" if bound is None else spelled(bound) for bound in self)
        if least and most:
            return f"between {least} and {most}"
        if least and below:
            return f"in [{least}, {below})"
        low = f"at least {least}" if least else f"above {above}" if above else ""
        high = f"at most {most}" if most else f"below {below}" if below else ""
        if low == "above 0" and not high:
            return "positive"
        return " and ".join(filter(None, (low, high)))


class Key(NamedTuple):
    """One key of a configuration, in words.

    name: dotted, as files and flags spell it: `optim.lr`
    type: "integer or null", "cosine, linear or constant"
    allowed: the range of a number, "at least 1", or nothing
    default: as a flag spells it: "null", "0.1,0.5,0.9"; None where the key has no default
    owner: the dataclass that introduces the field; keys of a section that may be of several classes appear for each
    """

    name: str
    type: str
    allowed: str
    default: str | None
    description: str
    owner: type


def key(default: Any = MISSING, description: str = "", *, factory: Any = MISSING, **bounds: int | float) -> Any:
    """A field of a config dataclass, with its description (one sentence, with the unit) and the range of its numbers.

    The bounds are those of `Range`: `at_least`, `above`, `at_most`, `below`. They also hold for each number in a tuple,
    list or dict. None is always in range. `factory` makes a default that cannot be shared, such as a dict.
    """
    metadata = {"description": description, "range": Range(**bounds)}
    return dataclasses.field(default=default, default_factory=factory, metadata=metadata)


def flat(default: Any = MISSING) -> Any:
    """A field that is a dataclass whose keys are spelled without the field's name, as if the outer class had them."""
    return dataclasses.field(default=default, metadata={_FLAT: True})


def check_in_range(where: str, value: int | float | None, **bounds: int | float) -> None:
    """Check one number that no config declares, such as a flag of a command, against a `Range`. None is in range.

    Raises:
        InputError: "--limit: must be at least 1, found 0".
    """
    allowed = Range(**bounds)
    if value is not None and value not in allowed:
        words = str(allowed) if math.isfinite(value) else "finite"
        raise InputError(f"must be {words}, found {value!r}", where=where)


class CheckedConfig:
    """Base of config dataclasses: `__post_init__` checks what the fields declare.

    A subclass with checks of its own extends `__post_init__` and calls this one through `super()` first.
    """

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclasses.dataclass(frozen=True)
class NamedSection(CheckedConfig, ABC):
    """A section of one of several classes, told apart by the key `name`; each has further keys of its own.

    Its name alone chooses the section with its defaults: `--front-end pixels` is `--front-end.name pixels`.
    """

    name: str | None = None

    @classmethod
    @abstractmethod
    def named(cls, name: str | None) -> NamedSection:
        """The section of that name with its defaults; `InputError` for an unknown one."""

    @classmethod
    @abstractmethod
    def names(cls, owner: type) -> Sequence[str]:
        """The names that such a section of the dataclass `owner` may have, for help and documentation."""

    @classmethod
    def names_with(cls, key: str, owner: type) -> list[str]:
        """Those of the names whose section has this key of its own."""
        return [name for name in cls.names(owner) if key in keys_of(type(cls.named(name)))]


def named_sections(cls: type) -> set[str]:
    """The keys of a dataclass that are such sections."""
    return {
        key
        for key, hint in keys_of(cls).items()
        if any(isinstance(member, type) and issubclass(member, NamedSection) for member in members_of(hint))
    }


def check_ranges(config: Any) -> None:
    """Check each field of a dataclass against its declared range and its `Literal` choices.

    Raises:
        InputError: "keep: must be at least 1, found 0"; "schedule: must be one of cosine, linear, found 'cosin'".
    """
    for name, choices, allowed in _checks(type(config)):
        value = getattr(config, name)
        if choices and value not in choices:
            names = ", ".join(str(choice) for choice in choices if choice is not None)
            raise InputError(f"must be one of {names}, found {value!r}", where=name)
        for place, number in _numbers(name, value):
            check_in_range(place, number, **{k: bound for k, bound in allowed._asdict().items() if bound is not None})


@functools.cache
def _checks(cls: type) -> list[tuple[str, tuple[Any, ...], Range]]:
    """The fields with choices or bounds, and these."""
    checks = [(name, _choices(hint), _declared(cls, name)["range"]) for name, hint in hints_of(cls).items()]
    return [check for check in checks if check[1] or check[2] != Range()]


def describe_keys(cls: type, default: Any = None) -> list[Key]:
    """All keys of the dataclass `cls`, nested ones by dotted name, in the order of its fields.

    Args:
        cls: a config dataclass.
        default: an instance whose values are the defaults, instead of the fields' own.
    """
    return list(_described(cls, default, ""))


def missing_descriptions(cls: type) -> list[str]:
    """The fields that `cls` and its nested dataclasses do not describe: `["OptimConfig.lr", …]`."""
    missing = [f"{row.owner.__name__}.{row.name.split('.')[-1]}" for row in describe_keys(cls) if not row.description]
    return list(dict.fromkeys(missing))


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """The types of the fields that a dataclass's constructor takes, by name."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


@functools.cache
def flat_parts(cls: type) -> dict[str, type]:
    """The types of the fields declared by `flat`, by name."""
    return {field.name: hints_of(cls)[field.name] for field in dataclasses.fields(cls) if _FLAT in field.metadata}


@functools.cache
def keys_of(cls: type) -> dict[str, Any]:
    """The types of all keys of one level by name, those of flat parts among them."""
    keys: dict[str, Any] = {}
    for name, hint in hints_of(cls).items():
        part = flat_parts(cls).get(name)
        keys |= {name: hint} if part is None else keys_of(part)
    return keys


def members_of(hint: Any) -> tuple[Any, ...]:
    """The types of a union; any other type alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a field, or `MISSING`."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _described(cls: type, defaults: Any, path: str, owner: type | None = None) -> Iterator[Key]:
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        hint, declared = hints_of(cls)[field.name], _declared(cls, field.name)
        default = default_of(field) if defaults is None else getattr(defaults, field.name)
        if field.name in flat_parts(cls):
            yield from _described(hint, default, path)
            continue
        sections = [member for member in members_of(hint) if dataclasses.is_dataclass(member)]
        if not sections and dataclasses.is_dataclass(default) and not isinstance(default, type):
            sections = [type(default)]
        words = "section" if sections else " or ".join(dict.fromkeys(map(_words, members_of(hint))))
        if issubclass(cls, NamedSection) and field.name == "name":
            words = " or ".join(filter(None, (", ".join(cls.names(owner or cls)), "null")))
        yield Key(
            path + field.name,
            words,
            str(declared["range"]),
            None if default is MISSING else "" if sections and default is not None else spelled(default),
            declared["description"],
            next(owner for owner in reversed(cls.__mro__) if field.name in vars(owner).get("__dataclass_fields__", ())),
        )
        for section in sections:
            yield from _described(section, default if type(default) is section else None, f"{path}{field.name}.", cls)


def _declared(cls: type, name: str) -> Mapping[str, Any]:
    """The declaration by `key`; a subclass that only changes the default keeps its base's declaration."""
    fields = (vars(owner).get("__dataclass_fields__", {}).get(name) for owner in cls.__mro__)
    nothing = {"description": "", "range": Range()}
    return next((field.metadata for field in fields if field is not None and "range" in field.metadata), nothing)


def _choices(hint: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, or of a union of such and None; nothing for any other type."""
    choices: list[Any] = []
    for member in members_of(hint):
        if member is type(None):
            choices.append(None)
        elif get_origin(member) is Literal:
            choices += get_args(member)
        else:
            return ()
    return tuple(choices)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, int | float]]:
    """The numbers in a field's value, each with its place."""
    if isinstance(value, Mapping):
        for inner, part in value.items():
            yield from _numbers(f"{name}.{inner}", part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _numbers(name, part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _words(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        *others, last = map(str, arguments)
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (tuple, list):
        items = dict.fromkeys(_words(part) + "s" * (part in (int, float)) for part in arguments if part is not Ellipsis)
        return f"list of {' or '.join(items)}"
    if origin is dict:
        return f"keys, each with a value: {_words(arguments[1])}"
    return _WORDS.get(hint, "any value")


def spelled(value: Any) -> str:
    """A value as a flag spells it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return ",".join(map(spelled, value))
    if isinstance(value, Mapping) and not value:
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value)
