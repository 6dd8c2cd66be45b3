"""Two models beside each other, and a picture beside a question, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.inspect.influence_map import Inspection
from tests.report.synthetic_inspection import question, recurrent, translation
from tests.report.test_viewer import browser, choose_view, settle, show

__all__ = ["browser"]
pytestmark = pytest.mark.slow
MAPS = "[...document.querySelectorAll('.pane .choices select')].map(e => e.selectedOptions[0].textContent)"
TITLES = "[...document.querySelectorAll('.pane h3')].map(e => e.textContent.split(',')[0])"
READINGS = "[...document.querySelectorAll('.reading')].map(e => e.textContent.replace(/[,:].*/, ''))"


def of(inspection: Inspection, *methods: str) -> Inspection:
    return replace(inspection, maps=[one for method in methods for one in inspection.maps if one.method == method])


def test_two_models_follow_each_other(browser: Any, tmp_path: Path) -> None:
    page = show(browser, [recurrent(), translation()], tmp_path)
    page.locator(".stage").first.focus()
    for key in ["ArrowDown", "ArrowDown", "ArrowRight"]:
        page.keyboard.press(key)
    assert page.evaluate(READINGS) == ["‘\u2068black\u2069’ (input 2) on ‘\u2068schwarze\u2069’ (output 2"] * 2
    tops = page.evaluate("[...document.querySelectorAll('.stage')].map(e => e.getBoundingClientRect().top)")
    assert tops[0] == pytest.approx(tops[1], abs=2)
    page.uncheck("input[type=checkbox]")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(READINGS)[1].startswith("‘\u2068black\u2069’")
    page.close()


@pytest.mark.parametrize(
    ("first", "second", "begins"),
    [
        (("softmax", "effect"), ("gradient", "effect"), ["Causal effect: the output over the input"] * 2),
        (("softmax", "gradient"), ("gradient",), ["Gradient: the output over the input"] * 2),
        (("softmax",), ("softmax",), ["Attention weights: the output over the input"] * 2),
        (("softmax",), ("gradient",), ["Attention weights: the output over the input",
                                       "Gradient: the output over the input"]),
    ],
    ids=["the effect", "the first that both have", "the first", "nothing in common"],
)  # fmt: skip
def test_two_models_begin_with_the_same_method(
    browser: Any, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...], begins: list[str]
) -> None:
    page = show(browser, [of(translation(), *first), of(translation(), *second)], tmp_path)
    assert page.evaluate(MAPS) == page.evaluate(TITLES) == begins
    page.close()


def test_one_model_begins_with_its_first_map(browser: Any, tmp_path: Path) -> None:
    page = show(browser, [of(translation(), "gradient", "effect")], tmp_path)
    assert page.evaluate(MAPS) == page.evaluate(TITLES) == ["Gradient: the output over the input"]
    page.close()


def test_pointing_at_a_token_shows_it_in_both(browser: Any, tmp_path: Path) -> None:
    """The input is the same; the outputs differ, so that columns alone follow."""
    other = translation(target=["the", "end", "</s>"], name="runs/other")
    page = show(browser, [of(translation(), "effect"), of(other, "effect")], tmp_path)
    choose_view(page, 2)
    page.hover(".pane >> nth=0 >> .strip >> nth=1 >> span >> nth=4")
    settle(page)
    on = "‘\u2068on\u2069’ (input 5) on"
    assert page.evaluate(READINGS) == [f"{on} ‘\u2068die\u2069’ (output 1", f"{on} ‘\u2068the\u2069’ (output 1"]
    page.close()


def test_the_words_of_a_question_are_shaded_beside_the_picture(browser: Any, tmp_path: Path) -> None:
    page = show(browser, [question()], tmp_path)
    choose_view(page, 2)
    visible = "[...document.querySelectorAll('.strip')[1].querySelectorAll('span')].filter(e => !e.hidden)"
    assert page.evaluate(f"{visible}.map(e => e.textContent)") == ["row", "?"]
    weights = np.float16(question().maps[0].weights[0, 0]).astype(float)
    assert [float(one) for one in page.evaluate(f"{visible}.map(e => e.title)")] == pytest.approx(weights[4:], rel=6e-2)
    assert page.is_visible(".stage canvas")
    box = page.locator(".stage canvas").bounding_box()
    side = box["height"] - 26
    page.mouse.move(box["x"] + 0.75 * side, box["y"] + 26 + 0.25 * side)
    assert page.evaluate(READINGS)[0].startswith("‘\u20681")
    assert "(input 2) on" in page.evaluate("document.querySelector('.reading').textContent")
    page.close()
