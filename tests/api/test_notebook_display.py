"""What a notebook shows of each result object: its numbers in a table, and foreign text as text."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from sightline.api.comparison import ComparisonResult
from sightline.api.ladder import LadderResult
from sightline.api.swap import SwapResult
from sightline.data.series.grid import Grid
from sightline.data.series.panel import Panel, Series
from sightline.lab.dynamics import TrainingDynamics, training_dynamics
from sightline.report.training import training_findings
from sightline.tasks.evaluation import Evaluation
from sightline.tasks.forecasting.forecast import Forecast
from tests.report.synthetic import make_results
from tests.report.synthetic_claims import make_claims
from tests.report.synthetic_faithfulness import results as make_faithfulness
from tests.report.synthetic_heads import make_heads
from tests.report.synthetic_inspection import recurrent, translation
from tests.report.synthetic_ladder import make_ladder
from tests.report.synthetic_panel import make_panel
from tests.report.synthetic_scale import make_scale
from tests.report.synthetic_swap import make_swap
from tests.report.synthetic_training import write_run

HOSTILE = "<script>alert('x')</script>"


class Tables(HTMLParser):
    """The cells of tables by row, and the names of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def hostile(text: str) -> str:
    return f"{text}{HOSTILE}"


def forecast() -> Forecast:
    """Twelve steps of one column."""
    empty = np.zeros((2, 0))
    panel = Panel("x", Grid("number", 0, 1), (hostile("a"),), (), (), (Series("", 0, np.zeros((2, 1)), empty, empty),))
    return Forecast(panel, np.arange(12.0).reshape(1, 12, 1), np.zeros((1, 12, 1, 0)))


def watched() -> TrainingDynamics:
    with TemporaryDirectory() as folder:
        return training_dynamics(write_run(Path(folder) / "run", layers=3))


RESULTS = {
    "comparison": lambda: ComparisonResult(replace(make_results(), verdict=HOSTILE), Path("a"), Path("a/report.html")),
    "ladder": lambda: LadderResult(make_ladder(hostile), Path("a"), Path("a/ladder.html")),
    "sizes": lambda: replace(make_scale(), verdict=HOSTILE),
    "evaluation": lambda: Evaluation("translation", "gru", HOSTILE, "pairs", 7, {"bleu": 31.25}),
    "forecast": forecast,
    "heads": lambda: replace(make_heads(), notes=[HOSTILE]),
    "faithfulness": lambda: replace(make_faithfulness(), verdict=HOSTILE),
    "training": lambda: replace(watched(), run=HOSTILE),
    "panel": lambda: replace(make_panel(), notes=[HOSTILE]),
    "claims": make_claims,
    "swap": lambda: SwapResult(replace(make_swap(), notes=[HOSTILE]), Path("a"), Path("a/swap.html")),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_is_a_table_of_text(name: str) -> None:
    shown = Tables(RESULTS[name]()._repr_html_())
    assert shown.elements <= {"p", "b", "table", "tr", "th", "td", "a"}
    assert {len(row) for row in shown.rows} == {len(shown.rows[0])}
    assert len(shown.rows) > 1 or name == "evaluation"


def test_heads_and_faithfulness_say_their_verdict_first() -> None:
    heads, faithfulness = make_heads(), make_faithfulness()
    assert heads._repr_html_().startswith(f"<p>{html.escape(heads.verdict)}</p>")
    assert "heads have a clear role" in heads.verdict
    assert len(Tables(heads._repr_html_()).rows) == 1 + len(heads.heads)
    assert faithfulness._repr_html_().startswith(f"<p>{html.escape(faithfulness.verdict)}</p>")
    assert len(Tables(faithfulness._repr_html_()).rows) == 1 + len(faithfulness.maps)


def test_a_forecast_shows_its_first_steps() -> None:
    shown = Tables(forecast()._repr_html_())
    assert shown.rows[0] == ["time", "column", "value"]
    assert [row[2] for row in shown.rows[1:]] == [*map(str, range(7)), "…"]


def test_laws_of_sizes_show_their_exponents() -> None:
    results = make_scale()
    rows = Tables(results._repr_html_()).rows
    law = results.law("my <lm>")
    assert [f"{law.law.exponent.mean:.3f}" in row for row in rows if row[:2] == ["my <lm>", "parameters"]] == [True]


def test_a_watched_training_shows_its_findings_and_every_layer() -> None:
    dynamics = watched()
    shown = dynamics._repr_html_()
    assert shown.startswith(f"<p>{html.escape(training_findings(dynamics)[0])}</p>")
    assert [row[0] for row in Tables(shown).rows[1:]] == [one.name for one in dynamics.attention]


def test_claims_show_their_outcomes_and_a_panel_its_mechanisms() -> None:
    claims, panel = make_claims(), make_panel()
    rows = Tables(claims._repr_html_()).rows[1:]
    assert [(row[0], row[2]) for row in rows] == [(one.claim, one.outcome) for one in claims.results]
    assert HOSTILE.replace("'x'", "1") in rows[1][1]
    assert [row[0] for row in Tables(panel._repr_html_()).rows[1:]] == panel.names


def embedded(frame: str) -> list[str]:
    """The names of the models of the page in a frame."""
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])
    packed = re.search(r'id="inspections">([^<]*)<', page)[1]
    return [one["model"]["name"] for one in json.loads(gzip.decompress(base64.b64decode(packed)))["inspections"]]


def test_influence_maps_show_their_page_in_a_frame() -> None:
    assert embedded(recurrent()._repr_html_()) == ["runs/lstm"]
    assert embedded(recurrent().beside(translation())._repr_html_()) == ["runs/lstm", "runs/transformer"]
    assert Tables(recurrent()._repr_html_()).elements == {"iframe"}
    without = replace(recurrent(), maps=[], notes=[HOSTILE])._repr_html_()
    assert Tables(without).elements == {"p"}
    assert repr(recurrent()) == "Inspection(runs/lstm: 1 maps by jacobian; 9 positions in, 9 out)"
