"""The choice of a front end by its name, with keys of its own, as a task's configuration has it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.core.front_end import KINDS_IN_WORDS, FrontEndConfig, InputKind
from sightline.core.settings import NamedSection, hints_of, key
from sightline.core.suggest import look_up
from sightline.parts.front_ends import FRONT_ENDS, front_ends_for


@dataclass(frozen=True)
class FrontEndChoice(NamedSection):
    """A front end of the table and the values of its own keys; without a name the usual one for the kind of input."""

    name: str | None = key(None, "Front end, which turns the input into vectors; null: the usual one for the input.")

    @classmethod
    def named(cls, name: str | None) -> FrontEndChoice:
        """The front end of that name with the defaults of its keys.

        Raises:
            InputError: "unknown front end 'pixel', did you mean 'pixels'?"
        """
        if name is None:
            return FrontEndChoice()
        return _section(name, look_up(FRONT_ENDS, name, "front end"))()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.name, self.options)  # the class of a section is made, not imported

    @classmethod
    def names(cls, owner: type) -> Sequence[str]:
        """The front ends that the configuration of a task takes, by the kinds of its attribute `reads`."""
        return front_ends_for(getattr(owner, "reads", ()))

    @property
    def options(self) -> dict[str, Any]:
        """The values of its own keys."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "name"}

    def kind(self, usual: str) -> InputKind:
        """The kind of input that the front end, or the `usual` one, reads."""
        return FRONT_ENDS[self.name or usual].accepts

    def suits(self, kinds: Collection[InputKind]) -> bool:
        """Whether the front end reads inputs of one of these kinds; the usual one does."""
        return self.name is None or FRONT_ENDS[self.name].accepts in kinds

    def where_suits(self, kinds: Collection[InputKind]) -> FrontEndChoice:
        """This choice for inputs of these kinds if it suits them, otherwise the usual front end."""
        return self if self.suits(kinds) else FrontEndChoice()

    def check(self, kinds: Collection[InputKind]) -> None:
        """Refuse a front end for inputs of other kinds.

        Raises:
            InputError: "--front-end: 'audio' reads sounds, but the input is pictures: choose one of patches, pixels".
        """
        if self.suits(kinds):
            return
        if not kinds:
            raise InputError("this task has no choice of front ends: leave it out", where="--front-end")
        reads = KINDS_IN_WORDS[FRONT_ENDS[str(self.name)].accepts]
        offered, known = " or ".join(KINDS_IN_WORDS[kind] for kind in kinds), ", ".join(front_ends_for(kinds))
        raise InputError(
            f"{self.name!r} reads {reads}, but the input is {offered}: choose one of {known}", where="--front-end"
        )

    def inherited(self, usual: str) -> list[str]:
        """The fields of its config, or of the `usual` one's, that are not keys of its own."""
        config = FRONT_ENDS[self.name or usual]
        own = own_fields(config)
        return [field.name for field in dataclasses.fields(config) if field.init and field.name not in own]

    def fit(self, usual: str, facts: Mapping[InputKind, Mapping[str, Any]]) -> FrontEndConfig:
        """The front end, or the `usual` one, for an input that can be read as any of the kinds of `facts`.

        facts: for each kind the values of the fields that are not the front end's own keys, by the names of the fields:
            sizes of the input, and the keys of its section

        Raises:
            InputError: what `check` raises; what the front end's config refuses, placed at its key.
        """
        self.check(facts.keys())
        config = FRONT_ENDS[self.name or usual]
        values, options = facts[config.accepts], self.options
        try:
            return config(**{name: values[name] for name in self.inherited(usual) if name in values}, **options)
        except InputError as error:
            place = str(error.where)
            if place not in options:
                raise
            raise InputError(str(error).removeprefix(f"{place}: "), where=f"front_end.{place}") from None


def encode_choice(choice: FrontEndChoice) -> dict[str, Any]:
    """The choice as plain values, where a front end is named; empty otherwise."""
    return encode(choice) if choice.name is not None else {}


def decode_choice(values: Mapping[str, Any]) -> FrontEndChoice:
    """The choice that `encode_choice` wrote.

    Raises:
        InputError: "front_end: unknown front end …", an unknown key, a wrong value.
    """
    choice = FrontEndChoice.named(values.get("name"))
    return decode(type(choice), values, where="front_end", base=choice)


def own_fields(config: type) -> list[str]:
    """The fields of a front end's config that are keys of its own: those that `key` declares."""
    return [field.name for field in dataclasses.fields(config) if is_own(field)]


def is_own(field: dataclasses.Field[Any]) -> bool:
    """Whether `key` declares the field of a front end's config."""
    return "range" in field.metadata


def _restored(name: str | None, options: dict[str, Any]) -> FrontEndChoice:
    return dataclasses.replace(FrontEndChoice.named(name), **options)


@functools.cache
def _section(name: str, config: type) -> type[FrontEndChoice]:
    """The class of the section of a front end: its name, and its own keys."""
    hints = hints_of(config)
    own = [(field.name, hints[field.name], copy(field)) for field in dataclasses.fields(config) if is_own(field)]
    named = ("name", str | None, dataclasses.field(default=name))
    section = dataclasses.make_dataclass(
        f"{config.__name__}NamedSection", [named, *own], bases=(FrontEndChoice,), frozen=True
    )
    section.__module__ = __name__
    return section
