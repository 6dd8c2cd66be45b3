"""Labels of ten languages in a real browser on a system with one font of Latin letters, as in a bare container."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from tests.browser import opened
from tests.report.test_viewer import choose_view
from tests.report.test_viewer_fonts import BOXES, LANGUAGES, letters_of, page_of, written

pytestmark = pytest.mark.slow
ONE_FONT = (
    "<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'>"
    "<fontconfig><dir>{0}</dir><cachedir>{0}/cache</cachedir></fontconfig>"
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser that has one font of the system: with none it cannot label its own window, and may end."""
    folder = tmp_path_factory.mktemp("fonts")
    shutil.copy(Path(mpl.get_data_path()) / "fonts" / "ttf" / "cmr10.ttf", folder)
    (folder / "fonts.conf").write_text(ONE_FONT.format(folder))
    with opened({"FONTCONFIG_FILE": str(folder / "fonts.conf")}) as context:
        yield context


@pytest.mark.parametrize("locale", LANGUAGES)
def test_labels_are_drawn_where_the_system_has_one_font(bare: Any, tmp_path: Path, locale: str) -> None:
    text = written(locale)
    page = page_of(bare, text, tmp_path)
    for view in range(3):
        choose_view(page, view)
    fonts = page.evaluate("getComputedStyle(document.body).fontFamily")
    assert page.evaluate(BOXES, [letters_of(text), fonts]) == []
    # The system's own font has none of the letters of other scripts, so that the test can fail.
    assert page.evaluate(BOXES, [["\u65e5", "\u0634", "\u05d0"], "serif"]) == ["\u65e5", "\u0634", "\u05d0"]
    assert page.complaints == []
    page.close()
