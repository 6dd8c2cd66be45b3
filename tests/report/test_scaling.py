"""The page of a ladder of sizes and its sentences, from results alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest

from sightline.core.errors import InputError
from sightline.lab.results import Estimate
from sightline.lab.scaling_results import PowerLaw, ScaleResults
from sightline.lab.scaling_verdict import scaling_verdict
from sightline.report.scaling import bend_sentence, held_out_rows, law_rows, render_scaling, write_scaling
from sightline.report.scaling_figures import scaling_drawings
from sightline.report.text import short
from tests.browser import opened
from tests.lab.planted_sizes import power
from tests.report.cells import without_spans
from tests.report.synthetic_scale import NAMES, make_scale
from tests.report.test_browser import _open, draw_all
from tests.report.test_html import without_scripts


@pytest.fixture(scope="module")
def results() -> ScaleResults:
    return make_scale()


@pytest.fixture(scope="module")
def page(results) -> str:
    return render_scaling(results)


def test_results_survive_the_file(results, tmp_path):
    results.save(tmp_path / "scale.json")
    assert ScaleResults.load(tmp_path / "scale.json") == results


def test_another_schema_is_refused(tmp_path):
    (tmp_path / "scale.json").write_text('{"schema_version": 7}')
    with pytest.raises(InputError, match=r"scale\.json: expected schema_version 1, found 7"):
        ScaleResults.load(tmp_path / "scale.json")


def test_the_verdict_says_who_falls_faster_and_whose_law_did_not_hold(results):
    assert "The loss of my <lm> falls faster with size than that of lstm (difference of exponents 0." in results.verdict
    assert "The law of lstm did not hold at the size that no fit had seen: lstm at 800,000" in results.verdict
    assert "do not extrapolate it." in results.verdict
    assert "The law of my <lm> did not hold" not in results.verdict


def test_losses_that_rise_with_size_are_not_said_to_fall():
    words = scaling_verdict(make_scale((power(-0.05), power(-0.2))))
    assert words.count("]: it rises with size.") == 2
    assert "which is not shown" not in words
    assert f"The loss of {NAMES[0]} rises more slowly with size than that of {NAMES[1]} (" in words


def test_an_irreducible_error_rate_is_in_percent():
    law = PowerLaw(Estimate(0.4, 0.3, 0.5), 3.0, Estimate(0.2, 0.15, 0.25), 0.01)
    results = replace(make_scale(), metric="cer")
    laws = [replace(one, law=law, decided=True) for one in results.laws]
    results = replace(results, laws=laws)
    assert "above an irreducible 20.0 [15.0, 25.0]" in scaling_verdict(results)
    assert law_rows(results)[0].irreducible == "20.0 [15.0, 25.0]"


@pytest.mark.slow
def test_one_seed_decides_nothing_anywhere():
    results = make_scale(seeds=1)
    assert results.verdict.count("not decided") == 3  # two exponents and the pair
    assert all(check.holds is None for check in results.held_out)
    page = render_scaling(results)
    assert "not decided: one seed leaves the spread between seeds unknown" in page
    assert "does not hold" not in page


def test_laws_that_hold_are_said_to():
    verdict = make_scale((power(0.1), power(0.1))).verdict
    assert "Each law predicted the size that no fit had seen: lstm at 800,000 parameters, error " in verdict


def test_the_api_finds_laws_and_pairs_whichever_is_first(results):
    assert results.law("lstm").along == "parameters"
    assert results.law("my <lm>", "flops").along == "flops"
    assert results.law("gru") is None
    assert results.pair("lstm", "my <lm>") is results.pair("my <lm>", "lstm")
    assert results.archs == ["lstm", "my <lm>"]


def test_the_one_that_flattens_is_named(results):
    (pair,) = results.pairs
    assert bend_sentence(pair, 0).startswith("lstm flattens more than my <lm> (difference of bends 0.")


def test_the_tables_have_every_law_and_check(results, page):
    assert [(row.arch, row.along) for row in law_rows(results)] == [
        ("lstm", "parameters"), ("my <lm>", "parameters"), ("lstm", "FLOPs"), ("my <lm>", "FLOPs"),
    ]  # fmt: skip
    assert [row.holds for row in held_out_rows(results)] == [False, True]
    assert page.count('<span class="bad">does not hold</span>') == 1
    assert page.count('<span class="good">holds</span>') == 1
    assert page.count("sizes/params-800000/report.html") == 2


def test_the_page_is_one_file_and_escapes_names(page):
    page = without_scripts(page)
    assert "<script" not in page
    assert "my <lm>" not in page
    assert "my &lt;lm&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r'\b(src|href)="(?!#|sizes/)', page)


@pytest.mark.slow
def test_the_figures_are_written_and_described(results, tmp_path):
    names = [drawing.name for drawing in scaling_drawings(results)]
    assert names == ["loss-parameters", "loss-flops", "loss-by-position"]
    assert write_scaling(results, tmp_path).name == "scale.html"
    files = {path.name for path in (tmp_path / "figures").iterdir()}
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert "(held out)" in scaling_drawings(results)[0].description


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (50_000, "50k"),
        (999_600, "1M"),
        (999.6, "1k"),
        (1_600_000, "1.6M"),
        (2.5e9, "2.5G"),
        (9.999e9, "1e10"),
        (800, "800"),
        (5e11, "5e11"),
        (3e13, "3e13"),
    ],
)
def test_counts_on_axes_are_short(count, text):
    assert short(count) == text


def test_the_chart_of_a_law_has_its_points_its_dotted_end_and_what_it_predicted(results):
    chart = scaling_drawings(results)[0].chart
    of = [row for row in chart.rows if row["series"] == "lstm"]
    points = [row for row in of if row["part"] == "point"]
    assert [row["x"] for row in points] == [p.parameters for p in results.points if p.arch == "lstm"]
    assert [bool(row["hollow"]) for row in points] == [False] * 4 + [True]
    (predicted,) = (row for row in of if row["part"] == "interval")
    assert predicted["y"] == pytest.approx(results.held_out[0].predicted.mean)
    assert predicted["text"].endswith("the law does not hold")
    fitted, beyond = ([row for row in of if row["line"] == line] for line in ("lstm, law", "lstm, law beyond"))
    assert len(fitted) + len(beyond) == len(results.law("lstm").band.at) + 1  # they share the last fitted size
    assert max(row["x"] for row in fitted) == min(row["x"] for row in beyond) < points[-1]["x"]
    assert all(row["dotted"] for row in beyond)


@pytest.mark.slow
def test_it_fits_every_width_and_asks_for_nothing(results, tmp_path):
    path = write_scaling(results, tmp_path)
    with opened() as browser:
        for width, scheme in ((1240, "light"), (390, "dark")):
            page, complaints = _open(browser, path, width, scheme)
            draw_all(page)
            assert complaints == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.close()


@pytest.mark.slow
def test_the_page_is_made_without_torch():
    code = "import sys; import sightline.report.scaling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_says_whether_learning_rates_were_searched(page):
    assert ", search included." in page
    without = render_scaling(replace(make_scale(), settings={"comparison": {"search": 0.0}}))
    assert "search included" not in without
    assert "that of the preset, without a search." in without
    assert "a comparison of its own, without a search" in without


def test_the_page_says_the_outcome_of_a_pair_once_at_its_head(page):
    head = page.partition('id="evidence"')[0]
    assert head.count("falls faster with size than that of lstm") == 1
    assert "exponent 0.060" in without_spans(head)
