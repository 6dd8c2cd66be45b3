"""The table of mechanisms and the folder agree, and configs are what `certify` and the decoder can work with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import sightline.mixers
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.mixers import MIXERS

FOLDER = Path(sightline.mixers.__file__).parent


def test_every_file_is_in_the_table() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {kind.__module__.rsplit(".", 1)[1] for kind in MIXERS.values()}


@pytest.mark.parametrize("name", MIXERS)
def test_a_config_is_a_frozen_dataclass_with_several_examples(name: str) -> None:
    kind = MIXERS[name]
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert len(set(kind.examples())) >= 2
    for config in kind.examples():
        assert isinstance(config.build(12), SequenceMixer | SequenceEncoder)


def uncovered(kind: Any) -> list[str]:
    """What neither the default nor an example has: a documented alternative, on or off, None or not, a second value."""
    configs, hints, missing = (kind(), *kind.examples()), get_type_hints(kind), []
    for field in dataclasses.fields(kind):
        seen = {getattr(config, field.name) for config in configs}
        hint = hints[field.name]
        choices = get_args(hint) if get_origin(hint) is Literal else (False, True) if hint is bool else ()
        missing += [f"{field.name}={choice}" for choice in choices if choice not in seen]
        if type(None) in get_args(hint):
            missing += [f"{field.name}=None"] * (None not in seen) + [f"{field.name} given"] * (seen == {None})
        if len(seen) < 2:
            missing.append(f"another {field.name} than {seen.pop()}")
    return missing


@pytest.mark.parametrize("name", MIXERS)
def test_every_documented_option_is_under_the_laws(name: str) -> None:
    assert uncovered(MIXERS[name]) == []


def test_an_option_without_an_example_is_named() -> None:
    @dataclasses.dataclass(frozen=True)
    class Config:
        kind: Literal["a", "b", "c"] = "a"
        size: int = 3
        width: int | None = None
        on: bool = False

        @classmethod
        def examples(cls) -> tuple[Any, ...]:
            return cls(kind="b"), cls(on=True)

    assert uncovered(Config) == ["kind=c", "another size than 3", "width given", "another width than None"]
