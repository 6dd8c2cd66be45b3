"""Sizes of pictures and patches that are not named, and what errors propose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.parts.front_end_choice import FrontEndChoice
from sightline.tasks.media.config import PictureConfig


def proposed(error: InputError) -> PictureConfig:
    """The configuration that the flags in an error make."""
    height, width = (int(re.findall(rf"--picture.{side}=(\d+)", str(error))[0]) for side in ("height", "width"))
    assert "--picture.fit=pad (or stretch)" in str(error)
    return PictureConfig(height=height, width=width, fit="pad")


@pytest.mark.slow
@given(sizes=st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=2, max_size=5, unique=True))
def test_the_proposed_size_works(sizes):
    shapes = [(3, *size) for size in sizes]
    with pytest.raises(InputError, match=r"the pictures have \d sizes .*: make them alike by") as caught:
        PictureConfig().settled(shapes)
    assert proposed(caught.value).settled(shapes).fitted(FrontEndChoice()).count <= 64


@pytest.mark.parametrize(
    ("size", "patch"),
    [
        ((28, 28), 4),
        ((8, 8), 2),
        ((224, 224), 28),
        ((30, 20), 5),
        ((7, 9), 1),
        ((7, 7), 1),
        ((4, 4), 1),
        ((26, 26), 13),
    ],
)
def test_patches_are_the_smallest_of_several_pixels_that_make_at_most_64(size, patch):
    found = PictureConfig(colour="grey").settled([(1, *size)])
    assert found.patch == patch
    assert found.fitted(FrontEndChoice()).count <= 64
    finer = [side for side in range(2, patch) if not (size[0] % side or size[1] % side)]
    assert all(size[0] * size[1] / side**2 > 64 for side in finer)


def test_pictures_without_a_division_into_few_patches_are_named():
    with pytest.raises(
        InputError, match="97 x 89 pixels cannot be cut into 64 square patches or fewer: set --pict"
    ) as e:
        PictureConfig().settled([(3, 97, 89)])
    proposed(e.value).settled([(3, 97, 89)])
    assert PictureConfig(view="pixels").settled([(3, 97, 89)]).fitted(FrontEndChoice()).count == 97 * 89
    with pytest.raises(InputError, match="patch: must divide height and width, found 0 for 8 x 8 pixels"):
        PictureConfig(patch=0).settled([(3, 8, 8)])
