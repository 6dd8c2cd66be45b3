"""Labels of ten languages in a real browser."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sightline.data.pairs.dates import forms_of
from tests.report.synthetic_inspection import translation
from tests.report.test_viewer import browser, choose_view, show

__all__ = ["browser"]
pytestmark = pytest.mark.slow
LANGUAGES = ("en", "ar_EG", "zh", "ru", "he", "ja", "hi", "ko", "th", "bn")
RIGHT_TO_LEFT = ("ar_EG", "he")
# Of some letters those that a font draws as it draws a letter that no font has: as a box, or not at all.
BOXES = """([letters, font]) => document.fonts.load(`40px ${font}`, letters.join('')).then(() => {
  const context = Object.assign(document.createElement('canvas'), { width: 60, height: 80 })
    .getContext('2d', { willReadFrequently: true });
  const drawn = letter => {
    context.clearRect(0, 0, 60, 80);
    context.font = `40px ${font}`;
    context.fillText(letter, 10, 50);
    return context.getImageData(0, 0, 60, 80).data.join();
  };
  const missing = drawn('\\u{10FFFE}');
  return letters.filter(letter => drawn(letter) === missing);
})"""


def written(locale: str) -> str:
    """The longest form of a date."""
    form = max(forms_of(locale), key=lambda one: len(one.write(3, 9, 0, "2001")))
    return form.write(3, 9, 4, form.year(date(2001, 3, 9)))


def page_of(browser: Any, text: str, folder: Path) -> Any:
    return show(browser, [translation([*text, "</s>"], [*"2001-03-09", "</s>"], layers=1, heads=2)], folder)


def letters_of(text: str) -> list[str]:
    return [letter for letter in dict.fromkeys(text) if letter.isalpha()]


@pytest.mark.parametrize("locale", LANGUAGES)
def test_labels_of_ten_languages(browser: Any, tmp_path: Path, locale: str) -> None:
    text = written(locale)
    page = page_of(browser, text, tmp_path)
    assert page.evaluate("getComputedStyle(document.querySelector('.given')).direction") == (
        "rtl" if locale in RIGHT_TO_LEFT else "ltr"
    )
    choose_view(page, 2)
    # Letters of one font that has them all: each is drawn, none as the box of a missing one.
    assert page.evaluate(BOXES, [letters_of(text), "sightline"]) == []
    loaded = page.evaluate("[...document.fonts].filter(one => one.status === 'loaded').length")
    assert loaded >= (1 if locale in ("en", "ru") else 2)
    strip = "getComputedStyle(document.querySelectorAll('.strip')[1]).direction"
    assert page.evaluate(strip) == ("rtl" if locale in RIGHT_TO_LEFT else "ltr")
    shown = page.evaluate("document.querySelectorAll('.strip')[1].textContent")
    assert re.sub(r"[␣⏎◌]|⟨U\+\w+⟩", "", shown) == re.sub(r"[\s\u200f\u200e]", "", text)
    assert page.complaints == []
    page.close()
