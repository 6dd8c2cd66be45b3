"""Influence maps as a picture: what stands where, fonts of every script, long inputs, hostile texts."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import font_manager, ft2font
from PIL import Image

from sightline.core.errors import InputError
from sightline.data.pairs.dates import LOCALES, forms_of
from sightline.inspect.influence_map import InfluenceMethod, Inspection
from sightline.report import map_picture
from sightline.report.map_picture import CELL, METHODS, save_maps
from sightline.report.picture_fonts import OWN, every_script, picture_fonts
from tests.report.synthetic_inspection import (
    SOURCE,
    TARGET,
    image,
    long,
    question,
    recurrent,
    series,
    sound,
    translation,
)

INCH = 200  # pixels
DARKEST = np.array([3, 39, 92])
TEXT = "{http://www.w3.org/2000/svg}text"


def of(inspection: Inspection, method: str) -> Inspection:
    return replace(inspection, maps=[one for one in inspection.maps if one.method == method])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def texts(path: Path) -> list[str]:
    return ["".join(one.itertext()) for one in ElementTree.parse(path).iter(TEXT)]


def one_hot(row: int, column: int) -> Inspection:
    weights = np.zeros((1, 5, 7))
    weights[0, row, column] = 1.0
    words = [f"w{i}" for i in range(7)]
    base = of(translation(words, words[:5], layers=1, heads=1), "effect")
    return replace(base, maps=[replace(base.maps[0], weights=weights)])


def darkest(path: Path) -> np.ndarray:
    """The middle of the darkest cell, (row, column) in pixels; the key of colours is lower."""
    shown = (pixels(path) == DARKEST).all(2)
    places = np.argwhere(shown)
    cell = places[places[:, 0] < places[:, 0].min() + CELL * INCH - 2]
    return cell.mean(0)


def test_a_row_and_a_column_are_where_they_belong(tmp_path: Path) -> None:
    first = darkest(save_maps([one_hot(0, 0)], tmp_path / "a.png"))
    for row, column in [(0, 6), (4, 0), (3, 2)]:
        step = (darkest(save_maps([one_hot(row, column)], tmp_path / "b.png")) - first) / (CELL * INCH)
        assert step == pytest.approx([row, column], abs=0.06)


def test_labels_and_titles_are_text_in_svg(tmp_path: Path) -> None:
    written = texts(save_maps([of(translation(), "gradient"), recurrent()], tmp_path / "a.svg"))
    shown = [*SOURCE[:-1], *TARGET[:-1], "⏎"]
    assert {*shown, "Gradient", "Jacobian norm", "output over input, whole model", "runs/lstm"} <= set(written)
    largest = np.abs(of(translation(), "gradient").maps[0].weights).max()
    assert f"{largest:.3g}" in written
    assert f"−{largest:.3g}" in written
    heads = texts(save_maps([of(translation(), "softmax")], tmp_path / "b.svg"))
    assert heads.count("output over input, layer 1, mean of 4 heads") == 1
    assert "skipped" in heads
    assert "<s>" in heads


@pytest.mark.parametrize("make", [series, sound, image, question])
def test_other_inputs_are_drawn(make, tmp_path: Path) -> None:
    first = replace(make(), maps=make().maps[:1])
    written = texts(save_maps([first], tmp_path / "a.svg"))
    rows = set(first.output.pieces) - {"</s>"}
    assert rows <= set(written)
    if make is question:
        assert {"beside the picture", "row", "?"} <= set(written)
    assert ("0.5 s" in written) == (make is sound)


def test_a_patch_that_counts_is_shaded(tmp_path: Path) -> None:
    weights = np.zeros((1, 2, 6))
    weights[0, 0, 1] = 1.0  # for the first output the upper right patch
    base = question()
    picture = pixels(save_maps([replace(base, maps=[replace(base.maps[0], weights=weights)])], tmp_path / "a.png"))
    expected = np.rint(0.8 * np.array([0, 0x54, 0xA0]) + 0.2 * 60)
    place = np.argwhere((abs(picture - expected) <= 2).all(2))
    assert len(place) > 0.9 * (map_picture.PICTURE * INCH / 2) ** 2
    assert np.ptp(place, axis=0).max() < 1.02 * map_picture.PICTURE * INCH / 2


@pytest.mark.slow
def test_a_long_input_is_one_small_picture(tmp_path: Path) -> None:
    path = save_maps([long(1000)], tmp_path / "a.png")
    assert max(pixels(path).shape) < 2200
    labels = [text for text in texts(save_maps([long(1000)], tmp_path / "a.svg")) if re.fullmatch(r"w\d+", text)]
    assert 50 < len(labels) < 140  # of 2,000


@pytest.mark.slow
def test_of_many_maps_the_first_are_shown(tmp_path: Path) -> None:
    path = save_maps([of(translation(SOURCE[:3], TARGET[:3], layers=9, heads=1), "softmax")], tmp_path / "a.svg")
    assert "the first 24 of 27 maps; choose by methods" in texts(path)
    assert texts(path).count("Attention weights") == 24


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a picture's name ends in .png or .svg, found map.jpg"):
        save_maps([recurrent()], tmp_path / "map.jpg")
    with pytest.raises(InputError, match="no map to draw"):
        save_maps([replace(recurrent(), maps=[])], tmp_path / "map.png")


def test_the_same_maps_give_the_same_file(tmp_path: Path) -> None:
    paths = [save_maps([recurrent()], tmp_path / f"{name}.svg") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_hostile_labels_stay_text(tmp_path: Path) -> None:
    words = ["<script>x</script>", "$x^2$", "\u202eabc", "a\x00b", "]]>", "&amp;"]
    path = save_maps([of(translation(words, words, layers=1), "effect")], tmp_path / "a.svg")
    root = ElementTree.parse(path).getroot()
    assert "script" not in {one.tag.rpartition("}")[2] for one in root.iter()}
    assert {"<script>x</script>", "$x^2$", "⟨U+202E⟩abc", "a⟨U+0000⟩b", "]]>", "&amp;"} <= set(texts(path))


def test_methods_are_named_as_in_the_page() -> None:
    source = files("sightline.report").joinpath("viewer/source/data.ts").read_text("utf-8")
    block = re.search(r"const METHODS: Record<string, string> = \{(.*?)\};", source, re.S)[1]
    assert dict(re.findall(r'(\w+): "([^"]+)"', block)) == METHODS
    assert set(METHODS) == set(get_args(InfluenceMethod))


@pytest.mark.parametrize("locale", LOCALES)
def test_labels_have_a_font_of_the_package_or_of_matplotlib(locale: str) -> None:
    places = [font_manager.findfont("DejaVu Sans"), *(files("sightline.report.fonts") / f"{name}.ttf" for name in OWN)]
    known = set().union(*(ft2font.FT2Font(str(place)).get_charmap() for place in places))
    forms = [
        form.write(month, 2 * month, month % 7, form.year(date(2001, month, 1)))
        for form in forms_of(locale)
        for month in range(1, 13)
    ]
    assert not [letter for letter in set("".join(forms)) if ord(letter) not in known]


def test_scripts_that_join_are_joined() -> None:
    """Letters that stand joined are narrower than alone: what needs a shaper."""
    with every_script("test"):
        for word in ("محمد", "क्षत्रिय"):
            assert map_picture._width(word) < 0.95 * sum(map(map_picture._width, word))


def test_fonts_of_the_package_come_last() -> None:
    families = picture_fonts()
    assert families[0] == "DejaVu Sans"
    assert families[-len(OWN) :] == [f"sightline {name}" for name in OWN]
