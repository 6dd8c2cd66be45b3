"""The page in a real browser: nothing fetched, nothing barred, no sideways scrolling, light and dark, print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sightline.lab.results import Estimate, Results
from sightline.report.html import render
from tests.browser import opened, wait_for
from tests.report.synthetic import LEVELS, make_results
from tests.report.test_html import HOSTILE

pytestmark = pytest.mark.slow


def written(results: Results, folder: Path) -> Path:
    """The page alone, without its figures as files."""
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text(render(results), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as context:
        yield context


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(make_results(), tmp_path_factory.mktemp("report"))


def _open(browser: Any, path: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    page, complaints = browser.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url != path.as_uri() else None)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri())
    return page, complaints


def draw_all(page: Any) -> None:
    """Scroll each chart into view, so that it is drawn."""
    for figure in page.query_selector_all("figure.chart"):
        figure.scroll_into_view_if_needed()
    wait_for(page, "document.querySelectorAll('figure.chart:not([data-ready])').length == 0")


@pytest.mark.parametrize("width", [1240, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_asks_for_nothing(browser: Any, report: Path, width: int, scheme: str) -> None:
    page, complaints = _open(browser, report, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    draw_all(page)
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    measured = (
        "[...document.querySelectorAll('figure svg:not(.legend svg)')].map(e => e.getBoundingClientRect().height)"
    )
    shown = [height for height in page.evaluate(measured) if height]
    assert len(shown) == 5 + 5 + 1 + 2 * len(LEVELS)  # five costs, and the chart of any two measures
    assert min(shown) > 100
    page.close()


@pytest.mark.parametrize("width", [1240, 390])
def test_a_caution_below_a_name_takes_no_width_from_the_columns(browser: Any, tmp_path: Path, width: int) -> None:
    results = make_results()
    name = results.ranked[0].arch
    words = ["had the processor 62 % of the time", "speeds differ by 38 %", "200 steps are less than one pass"]
    cautioned = [replace(one, cautions=words * (one.arch == name)) for one in results.architectures]
    page, _ = _open(browser, written(replace(results, architectures=cautioned), tmp_path), width, "light")
    wide = "(e => [e.scrollWidth, e.clientWidth])(document.querySelector('#quality .scroll'))"
    content, shown = page.evaluate(wide)
    assert content <= shown
    page.close()


def test_the_widest_numbers_fit_a_laptop(browser: Any, tmp_path: Path) -> None:
    results, names = make_results(), {"transformer": "transformer-2017"}
    six = Estimate(0.281743, 0.280112, 0.283345)
    wide = [
        replace(
            one,
            arch=names.get(one.arch, one.arch),
            metrics={
                "exact_match": replace(six, mean=0.281743 + number * 1e-6),
                "token_accuracy": six,
                "perplexity": Estimate(1234.567),
            },
            parameters=10_980_000,
            peak_memory_bytes=1_030_000_000,
            ms=0.7231,
            state_bytes=655_000,
        )
        for number, one in enumerate(results.architectures)
    ]
    pairs = [replace(pair, difference=six, shown=False) for pair in results.pairs]
    page, _ = _open(browser, written(replace(results, architectures=wide, pairs=pairs), tmp_path), 1280, "light")
    content, shown = page.evaluate("(e => [e.scrollWidth, e.clientWidth])(document.querySelector('#quality .scroll'))")
    assert content <= shown
    page.close()


def test_ink_and_paper_follow_the_scheme_and_contrast(browser: Any, report: Path) -> None:
    luminance = []
    for scheme in ("light", "dark"):
        page, _ = _open(browser, report, 1240, scheme)
        read = "getComputedStyle(document.documentElement)['{}'].match(/\\d+/g).map(Number)"
        values = [page.evaluate(read.format(name)) for name in ("color", "backgroundColor")]
        text = page.evaluate(
            "getComputedStyle(document.querySelector('figure svg text')).fill.match(/\\d+/g).map(Number)"
        )
        luminance.append([_luminance(value) for value in (*values, text)])
        page.close()
    for ink, paper, text in luminance:
        assert _contrast(ink, paper) >= 7
        assert _contrast(text, paper) >= 4.5
    assert luminance[0][1] > 0.9
    assert luminance[1][1] < 0.05


def test_hostile_text_runs_nothing_and_builds_nothing(browser: Any, tmp_path: Path) -> None:
    counts = []
    for index, text in enumerate(["benign text", "".join(HOSTILE)]):
        path = written(make_results(lambda _, text=text: text), tmp_path / str(index))
        page, complaints = _open(browser, path, 1240, "light")
        draw_all(page)
        assert complaints == []
        # What is in parentheses in a verdict is smaller: so many elements as there are parentheses.
        counts.append(page.evaluate("[...document.querySelectorAll('*:not(#verdict small)')].map(e => e.tagName)"))
        page.close()
    assert all(count == counts[0] for count in counts)


def test_it_prints_with_folded_tables_open_and_without_folded_maps(browser: Any, report: Path) -> None:
    page, _ = _open(browser, report, 1240, "light")
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 9  # of five architectures, their maps included
    page.emulate_media(media="print")
    height = "document.querySelector('{}').getBoundingClientRect().height"
    assert page.evaluate(height.format("#runs details table")) > 50
    assert page.evaluate(height.format("#attention .maps")) > 50
    assert page.evaluate(height.format("#attention details")) == 0
    page.close()


def _luminance(colour: list[float]) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
