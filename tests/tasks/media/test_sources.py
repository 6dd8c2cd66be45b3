"""Source columns: one input or several, inputs read into a part, and parts that do not fit the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightline.core.errors import InputError
from sightline.tasks.media.config import MediaTextConfig, PictureConfig, parse_sources
from sightline.tasks.media.sources import SourceColumns

NAMES = ("image:image", "question:text")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    return path


def columns(*names: str, side: int = 8) -> SourceColumns:
    return SourceColumns(parse_sources(names), MediaTextConfig(picture=PictureConfig(height=side, width=side)))


@pytest.mark.parametrize(
    ("inputs", "one"),
    [
        ("a.png\twhat is it?", True),
        (Path("a.png"), True),
        (("a.png", "what is it?"), True),
        ({"image": "a.png", "question": "what is it?"}, True),
        (["a.png", "what is it?"], False),
        (("a.png", "what is it?", "and this?"), False),
        ((("a.png", "what is it?"), ("b.png", "and this?")), False),
    ],
)
def test_a_tuple_as_long_as_the_columns_is_one_input(inputs: Any, one: bool) -> None:
    assert columns(*NAMES).is_one(inputs) is one


def test_a_row_by_column_is_read_as_the_same_values_in_order(picture: Path) -> None:
    part = columns(*NAMES).part_of([{"question": "why?", "image": picture}, (str(picture), "why?")])
    image, question = part.columns
    assert question.texts == ("why?", "why?")
    assert np.array_equal(image.array(0), np.arange(192).reshape(8, 8, 3).transpose(2, 0, 1))  # (C, H, W)
    assert np.array_equal(image.array(0), image.array(1))
    assert (part.targets, part.places) == (("", ""), ("input 1", "input 2"))


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ([{"image": "a.png"}], "expected a column 'question', found image"),
        ([("a.png", "why?"), "a.png"], "input 2: expected 2 values (image, question), found 1"),
        ([("a.png", "why?"), {"image": "a.png"}], "input 2: expected a column 'question', found image"),
        ([("nowhere.png", "why?")], "input 1: nowhere.png: no such file"),
        ([np.zeros((8, 8))], "input 1: expected a tuple of image:image, question:text, found ndarray"),
        ([("a.png", None)], "input 1: expected a text as 'question', found None"),  # not the text "None"
        ([("a.png", 3)], "input 1: expected a text as 'question', found int"),
        ([("", "why?")], "input 1: expected the path of a picture or a MediaFile as 'image', found ''"),
        ([{"image": None, "question": "why?"}], "a picture or a MediaFile as 'image', found None"),
        ([(np.zeros((8, 8), np.uint8), "why?")], "a picture or a MediaFile as 'image', found ndarray"),
    ],
)
def test_inputs_that_lack_a_value_are_refused(inputs: list[Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        columns(*NAMES).part_of(inputs)
    assert problem in str(caught.value)


def test_samples_where_a_sound_is_expected_are_refused() -> None:
    with pytest.raises(InputError, match=r"^input 1: expected the path of a sound or a MediaFile, found float64$"):
        columns("source:audio").part_of([*np.zeros(3)])


def test_a_part_of_other_columns_or_sizes_is_refused(picture: Path) -> None:
    wide = SourceColumns(parse_sources(NAMES), MediaTextConfig())  # reads pictures of any size
    part = wide.part_of([(picture, "why?")])
    columns(*NAMES).check(part)
    with pytest.raises(InputError, match="sources: expected sources of kind text, image, found image, text"):
        columns(*reversed(NAMES)).check(part)
    with pytest.raises(InputError, match="input 1: has 3 x 8 x 8 values, the model was trained on 3 x 4 x 4"):
        columns(*NAMES, side=4).check(part)


def test_columns_are_named_as_the_setting_names_them() -> None:
    assert columns(*NAMES).named == NAMES
    assert columns("image").named == ("source:image",)
