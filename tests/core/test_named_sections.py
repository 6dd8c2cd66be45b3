"""Sections of one of several classes, told apart by their name: files, environment and flags choose, and set keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sightline.core.config import decode, encode, override, resolve, to_yaml
from sightline.core.errors import InputError
from sightline.core.settings import CheckedConfig, NamedSection, describe_keys, key
from sightline.core.suggest import look_up
from sightline.core.yaml12 import parse_yaml


@dataclass(frozen=True)
class Shape(NamedSection):
    name: str | None = key(None, "Shape; null: none.")

    @classmethod
    def named(cls, name: str | None) -> Shape:
        return Shape() if name is None else look_up(SHAPES, name, "shape")()

    @classmethod
    def names(cls, owner: type) -> list[str]:
        return [name for name in SHAPES if name[0] in owner.letters]


@dataclass(frozen=True)
class Circle(Shape):
    name: str | None = "circle"
    radius: float = key(1.0, "Radius.", above=0)


@dataclass(frozen=True)
class Square(Shape):
    name: str | None = "square"
    side: int = key(2, "Side.", at_least=1)


SHAPES: dict[str, type[Shape]] = {"circle": Circle, "square": Square}


@dataclass(frozen=True)
class Drawing(CheckedConfig):
    letters: ClassVar[str] = "cs"

    shape: Shape = key(Shape(), "What is drawn.")
    colour: str = key("red", "Colour.")


@pytest.mark.parametrize(
    ("flags", "shape"),
    [
        ({"shape": "circle"}, Circle()),
        ({"shape.name": "circle"}, Circle()),
        ({"shape": "circle", "shape.radius": "2.5"}, Circle(radius=2.5)),
        ({"shape.side": "3", "shape": "square"}, Square(side=3)),
        ({"shape": "null"}, Shape()),
        ({}, Shape()),
    ],
    ids=str,
)
def test_flags_choose(flags: dict[str, str], shape: Shape) -> None:
    assert override(Drawing(), flags, prefix="--").shape == shape
    assert resolve(Drawing, flags=flags).shape == shape
    environ = {f"SIGHTLINE_{key.upper().replace('.', '__')}": value for key, value in flags.items()}
    assert resolve(Drawing, environ=environ).shape == shape


def test_keys_of_the_chosen_one_are_kept_and_those_of_another_are_not() -> None:
    drawing = Drawing(Circle(radius=3.0))
    assert override(drawing, {"colour": "blue"}) == replace(drawing, colour="blue")
    assert override(drawing, {"shape.radius": "2"}).shape == Circle(radius=2.0)
    assert override(drawing, {"shape": "circle"}).shape == Circle(radius=3.0)
    assert override(drawing, {"shape": "square"}).shape == Square()
    assert override(drawing, {"shape": "null"}).shape == Shape()


@pytest.mark.parametrize("drawing", [Drawing(), Drawing(Circle(radius=0.5)), Drawing(Square())], ids=str)
def test_it_survives_a_file(drawing: Drawing, tmp_path: Path) -> None:
    assert decode(Drawing, encode(drawing)) == drawing
    assert decode(Drawing, parse_yaml(to_yaml(drawing), where="x")) == drawing
    assert decode(Drawing, encode(drawing), base=Drawing(Square(side=9))) == drawing


def test_a_file_chooses_by_a_word_and_a_flag_sets_a_key(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("shape: square\n")
    assert resolve(Drawing, file=tmp_path / "a.yaml", flags={"shape.side": "4"}).shape == Square(side=4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"shape": "cirle"}, "--shape.name: unknown shape 'cirle', did you mean 'circle'?"),
        ({"shape": "circle", "shape.radus": "1"}, "--shape.radus: unknown key, did you mean 'radius'?"),
        ({"shape": "circle", "shape.side": "1"}, "--shape.side: circle has no such key; requires --shape=square"),
        ({"shape": "circle", "shape.radius": "0"}, "--shape.radius: must be positive, found 0.0"),
        ({"shape": "circle", "shape.name": "square"}, "--shape.name: set both as a whole and by sub-key"),
        ({"shape.radius": "1"}, "--shape.radius: requires --shape=circle"),
    ],
    ids=str,
)
def test_errors_name_the_flag(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(Drawing, flags=flags)
    assert str(caught.value) == message


def test_help_lists_the_names_that_the_owner_may_have() -> None:
    rows = {row.name: row for row in describe_keys(Drawing)}
    assert (rows["shape.name"].type, rows["shape.name"].default) == ("circle, square or null", "null")
    assert [row.name for row in describe_keys(Drawing, Drawing(Square()))] == ["shape", "shape.name", "colour"]
