"""The figures of labels: only what there are numbers for, numbers that are the data's, colours that follow the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sightline.lab.details import Confusion, Details, ReliabilityBin
from sightline.report.labels import MOST_CLASSES, confusion_drawing, label_drawings

BINS = [
    ReliabilityBin(low=0.4, high=0.6, count=10, confidence=0.5, accuracy=0.8),
    ReliabilityBin(low=0.8, high=1.0, count=30, confidence=0.9, accuracy=0.9),
]
NAMES = ["no", "yes", "<maybe> & a name that is far too long"]
COUNTS = [[5, 2, 0], [1, 7, 0], [0, 1234, 3]]
DETAILS = Details(Confusion(NAMES, COUNTS), BINS)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


@pytest.mark.parametrize("place", [0, 1], ids=["wide", "narrow"])
def test_figures_follow_the_pages_colours_and_policy(place):
    for drawing in label_drawings(DETAILS):
        svg = drawing.page_svg()[place]
        root = ElementTree.fromstring(svg)
        assert all("style" not in element.attrib for element in root.iter())
        assert not re.findall(r"#[0-9a-fA-F]{6}", svg)
        assert "var(--ink)" in svg
        assert root.attrib["aria-label"] == drawing.description


def test_only_what_there_are_numbers_for_is_drawn():
    assert [drawing.name for drawing in label_drawings(DETAILS)] == ["confusion", "reliability"]
    assert [drawing.name for drawing in label_drawings(Details(reliability=BINS))] == ["reliability"]
    assert label_drawings(Details()) == []


def test_a_confusion_matrix_says_its_numbers():
    drawing = confusion_drawing(DETAILS.confusion)
    assert drawing.title == "Confusion matrix, test items: 15 of 1,252 correct"
    assert "'<maybe> & a name that is far too long' predicted as 'yes' 1,234 times" in drawing.description
    shown = texts(drawing.page_svg()[0])
    assert {"5", "2", "1", "7", "1,234", "3"} <= set(shown)
    assert "0" not in shown
    assert "no" in shown
    assert any(text.startswith("<maybe>") and text.endswith("…") for text in shown)


def test_calibration_is_that_of_the_bins():
    drawing = label_drawings(DETAILS)[1]
    # (10 * 0.3 + 30 * 0.0) / 40
    assert "expected calibration error 7.50 %" in drawing.description
    assert "calibration error 7.50 %" in texts(drawing.page_svg()[0])


def test_a_small_error_is_not_shown_as_none():
    only = ReliabilityBin(low=0.8, high=1.0, count=1, confidence=0.9, accuracy=0.9004)
    (drawing,) = label_drawings(Details(reliability=[only]))
    assert drawing.title.endswith(": 1 prediction")
    assert (
        "calibration error 0.0400 %; largest contribution: 90.04 % correct at a confidence of 90.00 %"
        in drawing.description
    )


def test_many_classes_are_those_with_most_errors():
    counts = np.diag(np.full(50, 9))
    for wrong in range(40, 50):
        counts[wrong, 0] = 5
    drawing = confusion_drawing(Confusion([f"c{i}" for i in range(50)], counts.tolist()))
    assert f"the {MOST_CLASSES} of 50 classes with the most errors" in drawing.title
    assert {"c0", *(f"c{i}" for i in range(40, 50))} <= set(texts(drawing.page_svg()[0]))


def test_files_are_written(tmp_path):
    for drawing in label_drawings(DETAILS):
        assert all(path.stat().st_size > 1000 for path in drawing.save(tmp_path))
