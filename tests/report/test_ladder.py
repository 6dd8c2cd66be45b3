"""The ladder's page and its words, from results alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.lab.ladder_results import LADDER, JudgedClaim, LadderResults
from sightline.lab.results import Estimate
from sightline.report.ladder import render_ladder, write_ladder
from sightline.report.ladder_figures import ladder_drawings
from sightline.report.ladder_text import (
    claim_line,
    difference_text,
    evidence_text,
    outcome_text,
    recipe,
    share_text,
    speed_text,
)
from tests.browser import opened
from tests.report.cells import without_spans
from tests.report.synthetic_ladder import make_ladder
from tests.report.test_browser import _open, draw_all
from tests.report.test_html import without_scripts


def test_results_survive_the_file_and_another_schema_is_refused(tmp_path: Path) -> None:
    results = make_ladder()
    results.save(tmp_path / LADDER)
    assert LadderResults.load(tmp_path / LADDER).to_dict() == results.to_dict()
    (tmp_path / LADDER).write_text('{"schema_version": 9}')
    with pytest.raises(InputError, match=r"ladder\.json: expected schema_version 1, found 9"):
        LadderResults.load(tmp_path / LADDER)


def test_the_verdict_counts_each_outcome_and_names_its_rungs() -> None:
    assert make_ladder().verdict == (
        "Of 9 reasons, on this data and in this budget: 5 hold (GRU, + attention, self-attention, + positions, "
        "sparse (window)); 2 do not hold (residual layers, linear); 2 are not decided (LSTM, several heads)."
    )


def test_differences_are_signed_and_in_the_unit_of_the_metric() -> None:
    results = make_ladder()
    assert difference_text(results, results.find("attention")) == "+82.5 [+80.5, +84.5]"
    assert difference_text(results, results.find("linear")) == "−9.3 [−11.3, −7.3]"
    assert difference_text(results, results.find("rnn")) == ""
    assert outcome_text(results, results.find("attention")) == "better"
    assert outcome_text(results, results.find("linear")) == "worse"
    assert outcome_text(replace(results, primary_metric="mse"), results.find("linear")) == "better"
    assert share_text(Estimate(1.2, 0.72, 1.8)) == "+120 % [+72, +180]"
    assert share_text(Estimate(-0.024, -0.05, 0.003)) == "−2.4 % [−5.0, +0.3]"


def test_the_speed_on_the_data_is_told_beside_that_of_the_other_rung() -> None:
    results = make_ladder()
    assert speed_text(results, results.find("rnn")) == ""
    assert speed_text(results, results.find("linear")) == (
        "On this data it trained 0.66 times as fast as + positions: 2,700 and 4,100 tokens per second."
    )


def test_a_claim_is_told_with_what_decided_it() -> None:
    results = make_ladder()
    (claim,) = results.find("attention").claims
    assert claim_line(results, claim) == (
        "Holds: attention against gru: +12.0 [+4.0, +20.0] points; p = 0.012 for a difference, p = 0.400 for the "
        "same within the margin."
    )
    counted = JudgedClaim("smaller state", "", "holds", "window", "positions", counted=[7176, 10**6])
    assert evidence_text(results, counted) == "7.18 kB and 1 MB"
    chain = replace(counted, kind="shorter chain", counted=[99, 2653])
    assert evidence_text(results, chain) == "99 and 2,653 operations"
    assert evidence_text(results, replace(counted, counted=None, missing="no run of window finished")) == (
        "no run of window finished"
    )


def test_a_rung_is_trained_alone_with_the_flags_of_its_settings() -> None:
    results = make_ladder()
    assert recipe(results, results.find("gru")) == (
        "--task translation --arch gru --model.bidirectional true --model.context every_step "
        "--model.reverse-source false"
    )
    assert recipe(results, results.find("window")) == (
        "--task translation --arch hybrid --model.mixers window --model.layers 2 --model.heads 4 "
        "--model.positions none --model.input-positions sinusoidal --model.options.window.window 8"
    )


def test_the_page_is_one_file_that_tells_every_rung_and_escapes_names() -> None:
    results = make_ladder(lambda text: f"{text} <b>&")
    page = without_spans(without_scripts(render_ladder(results)))
    assert "<script" not in page
    assert "<b>" not in page
    assert "pairs.tsv &lt;b&gt;&amp;" in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert page.count("<svg") == 2 * len(ladder_drawings(results)) == 4
    assert "NaN" not in page
    assert "None" not in page
    for rung in results.rungs:
        assert f'id="rung-{rung.name}"' in page
    assert (
        page.index("Of 9 reasons") < page.index('id="ladder"') < page.index('id="rungs"') < page.index('id="methods"')
    )


def test_the_charts_have_every_rung_with_the_texts_of_the_tables() -> None:
    results = make_ladder()
    differences, costs = (drawing.chart for drawing in ladder_drawings(results))
    assert [row["line"] for row in differences.rows] == [rung.name for rung in results.rungs[1:]]
    row = differences.rows[2]
    assert (row["series"], row["note"], row["difference"]) == ("holds", "holds", pytest.approx(82.5))
    assert row["text"].split("\n")[:2] == ["+ attention, against GRU", "+82.5 [+80.5, +84.5] points: better"]
    assert differences.bands == [(-1.0, 1.0)]
    assert [axis.field for axis in costs.x] == ["exact_match", "train_s", "steps", "speed", "parameters", "state_bytes"]
    assert costs.x[-1].log == 10
    assert "100,000 parameters" in costs.rows[0]["text"]
    (turned,) = ladder_drawings(replace(results, primary_metric="mse"))[0].chart.x
    assert turned.reverse


def test_a_ladder_of_which_nothing_finished_has_a_page() -> None:
    results = make_ladder()
    bare = [replace(r, quality=None, difference=None, by_quarter=[], finished=0, costs=None) for r in results.rungs]
    page = render_ladder(replace(results, rungs=bare, quarters=[], margin=None))
    assert "no run finished" in page
    assert "<svg" not in page


def test_figures_are_files_beside_the_page(tmp_path: Path) -> None:
    page = write_ladder(make_ladder(), tmp_path)
    assert page.name == "ladder.html"
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("ladder", "ladder-quality") for kind in ("png", "svg")}


@pytest.mark.slow
def test_the_page_needs_no_torch() -> None:
    script = "import sys, sightline.report.ladder; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_it_fits_every_width_and_asks_for_nothing(tmp_path: Path) -> None:
    path = write_ladder(make_ladder(), tmp_path)
    with opened() as browser:
        for width, scheme in ((1240, "light"), (390, "dark"), (320, "light")):
            page, complaints = _open(browser, path, width, scheme)
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            draw_all(page)
            assert complaints == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.close()
