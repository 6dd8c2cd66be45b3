"""The page of claims, from results alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sightline.lab.claims.results import NO_GPU, ClaimNumber, ClaimsResults
from sightline.report.claims import heading, notes, number, render_claims, write_claims
from sightline.report.claims_figures import claim_drawings
from tests.browser import opened
from tests.report.synthetic_claims import HOSTILE, make_claims
from tests.report.test_browser import draw_all

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    return render_claims(make_claims())


def test_results_survive_the_file(tmp_path):
    results = make_claims()
    results.save(tmp_path / "claims.json")
    assert ClaimsResults.load(tmp_path / "claims.json") == results


def test_each_claim_has_a_row_and_a_section_with_its_rule(page):
    assert re.findall(r'<section id="(C\d+)">', page) == ["C1", "C2", "C3"]
    assert page.count('<strong class="good">holds</strong>') == 1
    assert "holds if A." in page
    assert "<span>0.2500 <small>[0.2000, 0.3000]</small></span>" in page
    assert "Nothing measures this claim yet." in page


def test_nothing_of_the_results_becomes_markup(page):
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") >= 4


def test_the_heading_counts_outcomes():
    assert heading(make_claims()) == "3 claims: 1 holds, 1 depends, 1 not measured"
    assert heading(make_claims(results=[])) == "No claim was measured."


def test_notes_say_what_was_quick_busy_and_without_a_gpu():
    text = " ".join(notes(make_claims()))
    assert "quick form" in text
    assert "up to 1.5 cores busy during C2:" in text
    assert "GPU" not in text
    none, times, _ = make_claims().results
    alone = [none, replace(times, claim="C2", limits=NO_GPU), replace(times, claim="C3", measured=f"Slow. {NO_GPU}")]
    assert (
        "No GPU was available, which matters to C2 and C3: their outcomes are those"
        in notes(make_claims(results=alone))[-1]
    )
    page = render_claims(make_claims(results=alone))
    assert [page.count(text) for text in ("no GPU available</small></td>", "no GPU available)</small></h2>")] == [2, 2]
    assert notes(make_claims(settings={"quick": False, "devices": ["cpu", "cuda"]}, busy={})) == []


def test_a_number_has_its_interval_and_unit():
    assert number(ClaimNumber("x", 1.5, 1.0, 2.0, "s")) == "1.500 [1.000, 2.000] s"
    assert number(ClaimNumber("x", 12.0)) == "12.00"
    assert number(ClaimNumber("x", None, unit="s")) == "—"


def test_the_figures_are_charts_then_maps_with_their_numbers_in_words():
    lines, points, grid = claim_drawings(make_claims().results[0])
    assert [lines.name, points.name, grid.name] == ["c1-1", "c1-2", "c1-map-1"]
    assert "lstm 1 at 64, 4 at 256" in lines.description
    assert "3 at 256, 3 at 256" in lines.description  # zero and missing values are not drawn on a logarithmic axis
    assert "one way 0.1 at right, 0.9 at left" in points.description


def test_the_charts_have_the_points_of_the_figures_and_their_reference_lines():
    lines, points = (drawing.chart for drawing in claim_drawings(make_claims().results[0])[:2])
    assert [(row["series"], row["x"], row["y"]) for row in lines.rows] == [
        ("lstm", 64.0, 1.0), ("lstm", 128.0, 2.0), ("lstm", 256.0, 4.0), (HOSTILE, 256.0, 3.0),
    ]  # fmt: skip
    assert lines.rows[1]["text"] == "lstm\npositions n 128\nmilliseconds 2.000 [1.800, 2.200]"
    assert (lines.rules, lines.rule_labels) == ([1000.0], ["one second"])
    assert points.x[0].labels == ("right", "left")
    assert [row["x"] for row in points.rows] == pytest.approx([-0.04, 0.96, 0.04, 1.04])
    assert points.rows[1]["text"].split("\n")[1] == "side left"


@pytest.mark.slow
def test_figures_are_files_beside_the_page(tmp_path):
    written = write_claims(make_claims(), tmp_path)
    assert written.name == "claims.html"
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("c1-1", "c1-2", "c1-map-1", "c2-1") for kind in ("png", "svg")}


def test_the_page_of_the_documentation_has_every_claim_and_number(tmp_path):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from claims_page import claims_page, draw_claims

    text = claims_page(make_claims())
    assert (
        "| [C1](#c1) | A \\| B is &lt; C. | **holds** | A \\| B is 0.25 (0.20 to 0.30), at most 4 ms in 2 rows. |"
        in text
    )
    assert "| ratio | 0.2500 [0.2000, 0.3000] times | 7 |" in text
    (tmp_path / "c9-1.svg").touch()
    draw_claims(make_claims(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"c1-1.svg", "c1-2.svg", "c2-1.svg"}
    assert all(f"figures/claims/{path.name}" in text for path in tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as context:
        yield context


@pytest.mark.slow
@pytest.mark.parametrize("width", [1240, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_asks_for_nothing(browser, tmp_path, width, scheme):
    path = write_claims(make_claims(), tmp_path)
    shown, complaints = browser.new_page(), []
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("request", lambda request: complaints.append(request.url) if request.url != path.as_uri() else None)
    shown.set_viewport_size({"width": width, "height": 900})
    shown.emulate_media(color_scheme=scheme)
    shown.goto(path.as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    draw_all(shown)
    assert complaints == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.close()
