"""Texts that would break a page that takes text for markup, in a real browser: they stay text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sightline.inspect.influence_map import Inspection
from tests.report.synthetic_inspection import translation
from tests.report.test_html import HOSTILE
from tests.report.test_viewer import browser, choose_view, settle, show

__all__ = ["browser"]
pytestmark = pytest.mark.slow


def hostile_texts() -> list[str]:
    """200 texts that would break a page that takes text for markup, script or style."""
    marks = [
        "<b>",
        "</p>",
        "<svg>",
        "<style>",
        "<!--",
        "]]>",
        "&lt;",
        '"',
        "'",
        "`",
        "${x}",
        "{{x}}",
        "\\u003c",
        "<a href=x>",
    ]
    ways = [
        "{}",
        "{}x",
        "</script>{}",
        "{}\u202e",
        '" {} "',
        "'{}'",
        "<i>{}</i>",
        "\u0000{}",
        "{}<script>document.title='x'</script>",
    ]
    many = [*HOSTILE, *(way.format(mark) for way in ways for mark in marks)]
    many += [f"<img src=x{i} onerror=document.body.remove()>" for i in range(200 - len(many))]
    assert len(set(many)) == 200
    return many


def with_texts(texts: list[str]) -> Inspection:
    """An inspection in which every text is one of `texts`."""
    given = iter(100 * texts)
    base = translation(texts, texts[:60], layers=1, heads=1, name=next(given))
    maps = [
        replace(one, name=next(given), meaning=next(given), limits=next(given), method=one.method) for one in base.maps
    ]
    model = replace(base.model, architecture=next(given), task=next(given))
    return replace(
        base, model=model, maps=maps, command=next(given), notes=texts[:3],
        input=replace(base.input, text=" ".join(texts)),
        output=replace(base.output, read=texts[1:61]),
    )  # fmt: skip


def test_hostile_text_stays_text(browser: Any, tmp_path: Path) -> None:
    trees = []
    for texts in ([f"benign{i}" for i in range(200)], hostile_texts()):
        page = show(browser, [with_texts(texts)], tmp_path)
        trees.append([])
        for view in range(3):
            choose_view(page, view)
            page.focus(".stage")
            page.keyboard.press("ArrowDown")
            settle(page)
            trees[-1].append(page.evaluate("[...document.querySelectorAll('*')].map(e => e.tagName + e.className)"))
        assert page.evaluate("document.querySelectorAll('.strip')[1].querySelectorAll('span').length") == 200
        with page.expect_download() as waiting:
            page.click("text=Save SVG")
        names = {one.tag.split("}")[1] for one in ElementTree.parse(waiting.value.path()).iter()}
        assert names <= {"svg", "title", "defs", "pattern", "rect", "path", "text", "g", "clipPath", "image"}
        assert page.title().startswith("What ")
        assert page.complaints == []
        page.close()
    assert trees[0] == trees[1]
