"""Keys that declare a description and a range: what construction refuses, and what the help is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from sightline.core.config import decode, encode, override
from sightline.core.errors import InputError
from sightline.core.settings import CheckedConfig, Range, describe_keys, key, missing_descriptions
from sightline.training import OptimConfig, TrainConfig


@dataclass(frozen=True)
class Filter(CheckedConfig):
    width: int = key(3, "Samples that the filter sees.", at_least=1)
    window: Literal["hann", "flat"] = key("hann", "Shape of the window.")


@dataclass(frozen=True)
class Gate(CheckedConfig):
    level: float = key(-40.0, "Level below which the sound is cut, in dB.", at_most=0)


@dataclass(frozen=True)
class Sound(CheckedConfig):
    name: str = key(description="Name of the device.")
    rate_hz: int = key(16_000, "Samples per second.", at_least=1_000, at_most=192_000)
    overlap: float = key(0.5, "Share of a window that the next one repeats.", at_least=0, below=1)
    gain: float | None = key(None, "Factor of the amplitude; null: as recorded.", above=0)
    levels: tuple[float, ...] = key((0.1, 0.5), "Levels to report.", above=0, below=1)
    weights: dict[str, float] | Literal["none"] = key("none", "Weight of each channel.", at_least=0)
    first: Filter | Gate = key(Filter(), "First stage.")
    table: dict[str, int] = key(description="Codes of names.", factory=dict)


@dataclass(frozen=True)
class Loud(Sound):
    gain: float | None = 2.0
    rest: int = 0


@dataclass(frozen=True)
class Inner:
    bare: int = 0


@dataclass(frozen=True)
class Outer:
    one: Inner = field(default_factory=Inner)
    two: Any = key(Inner(), "Any section.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_hz": 999}, "rate_hz: must be between 1000 and 192000, found 999"),
        ({"overlap": 1.0}, "overlap: must be in [0, 1), found 1.0"),
        ({"overlap": math.nan}, "overlap: must be finite, found nan"),
        ({"gain": 0.0}, "gain: must be positive, found 0.0"),
        ({"gain": math.inf}, "gain: must be finite, found inf"),
        ({"levels": (0.1, 1.0)}, "levels: must be above 0 and below 1, found 1.0"),
        ({"weights": {"left": 1.0, "right": -1.0}}, "weights.right: must be at least 0, found -1.0"),
    ],
)
def test_construction_refuses_what_is_out_of_range_and_names_the_key(changes: dict[str, Any], message: str) -> None:
    for cls in (Sound, Loud):  # which inherits the ranges, that of the field with another default too
        with pytest.raises(InputError) as raised:
            cls("x", **changes)
        assert str(raised.value) == message


def test_construction_refuses_what_is_not_among_the_choices() -> None:
    with pytest.raises(InputError, match=r"^window: must be one of hann, flat, found 'hamming'$"):
        Filter(window="hamming")  # type: ignore[arg-type]


def test_the_ends_of_a_range_and_null_are_inside() -> None:
    Sound("x", rate_hz=1_000, overlap=0.0, gain=None, weights={"left": 0.0}, first=Gate(0.0))
    assert replace(Sound("x"), rate_hz=192_000).rate_hz == 192_000


def test_an_error_from_a_file_or_a_flag_names_it() -> None:
    with pytest.raises(InputError, match=r"^a\.yaml: first\.width: must be at least 1, found 0$"):
        decode(Sound, {"name": "x", "first": {"width": 0}}, where="a.yaml")
    with pytest.raises(InputError, match=r"^--first\.width: must be at least 1, found 0$"):
        override(Sound("x"), {"first.width": "0"}, prefix="--")


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"at_least": 1}, "at least 1"),
        ({"above": 0}, "positive"),
        ({"above": 1}, "above 1"),
        ({"at_most": 0.5}, "at most 0.5"),
        ({"below": 2}, "below 2"),
        ({"above": 0, "at_most": 1}, "above 0 and at most 1"),
        ({}, ""),
    ],
)
def test_a_range_in_words(bounds: dict[str, float], words: str) -> None:
    assert str(Range(**bounds)) == words


def test_keys_in_words() -> None:
    rows = {row.name: row for row in describe_keys(Sound)}
    assert rows["name"][1:5] == ("text", "", None, "Name of the device.")
    assert rows["rate_hz"][1:4] == ("integer", "between 1000 and 192000", "16000")
    assert rows["gain"][1:4] == ("number or null", "positive", "null")
    assert rows["levels"][1:4] == ("list of numbers", "above 0 and below 1", "0.1,0.5")
    assert rows["weights"][1] == "keys, each with a value: number or none"
    assert rows["first"][1:4] == ("section", "", "")
    assert rows["first.window"][1:4] == ("hann or flat", "", "hann")
    assert rows["first.level"].owner is Gate  # the other class that the section may be of
    assert next(row.default for row in describe_keys(Sound, Sound("x", gain=3.0)) if row.name == "gain") == "3"


def test_a_key_without_a_description_is_reported_once() -> None:
    assert missing_descriptions(Outer) == ["Outer.one", "Inner.bare"]
    assert missing_descriptions(Loud) == ["Loud.rest"]  # a field with another default keeps its description


@pytest.mark.parametrize("cls", [TrainConfig, OptimConfig], ids=lambda cls: cls.__name__)
def test_every_key_of_training_is_described_in_one_sentence(cls: type) -> None:
    described = describe_keys(cls)
    assert missing_descriptions(cls) == []
    assert {row.name.split(".")[0] for row in described} == set(encode(cls()))
    for row in described:
        assert row.description[0].isupper()
        assert row.description.endswith(".")
