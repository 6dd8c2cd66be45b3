"""Labels of ten languages in a real browser on a system without a single font, as in a bare container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import opened
from tests.report.test_viewer import choose_view
from tests.report.test_viewer_fonts import LANGUAGES, letters_of, page_of, written

pytestmark = pytest.mark.slow
NO_FONTS = (
    "<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'><fontconfig><cachedir>{}</cachedir></fontconfig>"
)

# The letters that leave a canvas empty in the fonts of the page.
BLANK = """letters => {
  const font = getComputedStyle(document.body).fontFamily;
  return document.fonts.load(`40px ${font}`, letters.join('')).then(() => letters.filter(letter => {
    const context = Object.assign(document.createElement('canvas'), { width: 60, height: 80 }).getContext('2d');
    context.font = `40px ${font}`;
    context.fillText(letter, 10, 50);
    return !context.getImageData(0, 0, 60, 80).data.some(part => part);
  }));
}"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser on a system without fonts, as in a container that has none."""
    folder = tmp_path_factory.mktemp("fonts")
    (folder / "fonts.conf").write_text(NO_FONTS.format(folder / "cache"))
    with opened({"FONTCONFIG_FILE": str(folder / "fonts.conf")}) as context:
        yield context


@pytest.mark.parametrize("locale", LANGUAGES)
def test_labels_are_drawn_where_the_system_has_no_font(bare: Any, tmp_path: Path, locale: str) -> None:
    """Chromium itself ends where a letter is in no font at all, so that the page must have a font for each."""
    text = written(locale)
    page = page_of(bare, text, tmp_path)
    for view in range(3):
        choose_view(page, view)
    assert page.evaluate(BLANK, letters_of(text)) == []
    assert page.complaints == []
    page.close()
