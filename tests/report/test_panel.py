"""The panel's page and its numbers, from results alone."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from sightline.core.errors import InputError
from sightline.lab.panel_results import PanelResults
from sightline.lab.recall_tasks import RECALL_TASKS
from sightline.report.drawing import LIGHT
from sightline.report.panel import render_panel, write_panel
from sightline.report.panel_figures import panel_drawings
from sightline.report.panel_lines import BandLine, lines
from sightline.report.panel_text import cost_rows, crossover_text, findings, reaches, uses
from sightline.report.recall_panel import gap_text, recall_rows, token_rows
from tests.report.cells import without_spans
from tests.report.synthetic_panel import band, make_panel, make_runs, recall
from tests.report.test_html import without_scripts

WITHOUT = {part: [] for part in ("growth", "crossovers", "saturation", "reach", "recall", "contexts", "gaps")}


@pytest.fixture(scope="module")
def page() -> str:
    return render_panel(make_panel())


def test_results_survive_the_file(tmp_path):
    results = make_panel()
    results.save(tmp_path / "panel.json")
    assert PanelResults.load(tmp_path / "panel.json") == results


def test_another_schema_is_refused(tmp_path):
    (tmp_path / "panel.json").write_text('{"schema_version": 7}')
    with pytest.raises(InputError, match=r"panel\.json: expected schema_version 1, found 7"):
        PanelResults.load(tmp_path / "panel.json")


def test_the_reach_is_the_last_distance_above_a_hundredth():
    assert reaches(band([0, 1, 2, 4, 8], [9.0, 1.0, 0.2, 0.01, 0.009])) == 4
    assert reaches(band([0, 1, 2], [9.0, 1.0, 2.0])) == 2
    assert reaches(band([0, 1], [1.0, 0.0])) == 0


def test_the_used_reach_is_the_least_context_within_one_percent():
    assert uses(band([1, 2, 4, 8], [3.0, 2.01, 2.5, 2.0])) == 8  # from there on, not for a moment
    assert uses(band([1, 2, 4, 8], [3.0, 2.5, 2.01, 2.0])) == 4


def test_the_table_has_exponents_in_brackets_where_they_are_not_settled():
    lstm, dense, run = cost_rows(make_panel())
    assert lstm.chain == "3,589"
    assert lstm.chain_growth.startswith("1.00 [")
    assert dense.chain_growth == "constant"
    assert lstm.time["training"].startswith("(1.00 [")  # two lengths alone are three times the first
    assert dense.time["training"].startswith("2.00 [")
    assert lstm.time["decode"].startswith("(0.00 [")
    assert lstm.memory["decode"].startswith("0.00 [")  # counted
    assert (lstm.reach, lstm.used) == ("4", "")  # 0.5^4 is an eighth of 0.5, 0.5^8 less than a hundredth
    assert (run.reach, run.used) == ("32", "8")


def test_the_sentences_name_what_grows_and_what_is_used():
    text = " ".join(findings(make_panel()))
    assert "grows with the length in lstm" in text
    assert "The chain is the same at every length in softmax+weights" in text
    assert "time of a training step grows faster than n^1.5 in softmax+weights (2.00" in text
    assert "runs/my <lm>: gradients reach 32 positions back (at initialisation 4); 8 positions of context give" in text
    assert (
        "Untrained, the gradient falls below a hundredth of that at distance 1 within 32 positions in lstm (4);" in text
    )


def test_recall_is_told_with_its_ceiling_and_what_was_not_learned():
    text = " ".join(findings(make_panel()))
    assert (
        "Multi-query recall: of 16 values, models of width 32 recall after 400 steps: softmax+weights (60 %)." in text
    )
    assert "softmax+weights can see 70 % of these answers at most, and gives 60 %." in text
    missed = "Multi-query recall: not learned in 400 steps, so that the numbers do not show what the state could store"
    assert f"{missed}: lstm." in text


def test_every_planted_task_has_its_figure_its_sentence_and_its_rows():
    rows = [recall("gru", 16, [0.9, 0.8], task=task) for task in RECALL_TASKS]
    results = make_panel(**{**WITHOUT, "recall": rows})
    names = [drawing.name for drawing in panel_drawings(results)["recall"]]
    assert names == [
        "recall-accuracy", "recall-accuracy-copy", "recall-accuracy-selective-copy", "recall-accuracy-needle"
    ]  # fmt: skip
    text = " ".join(findings(results))
    assert "Selective copy: of 16 values, models of width 16 recall" in text
    assert "Needle: of one value in 64 positions, models of width 16 recall" in text
    table = recall_rows(results)
    assert [(row.task, row.size, row.unit) for row in table[-3:]] == [
        ("Selective copy", "16", "values"), ("Needle", "16", "positions"), ("Needle", "64", "positions")
    ]  # fmt: skip


def test_repeats_and_gaps_are_told_with_their_intervals():
    text = " ".join(findings(make_panel()))
    assert "runs/my <lm>: loss 0.50 nats/token on bigrams that repeat an earlier one of the context" in text
    assert "runs/my <lm> has a lower loss than b by 0.100 [0.050, 0.150]; repeats that are not in the" in text
    assert "have 50.0 [40.0, 60.0] % of this gap." in text
    (gap,) = make_panel().gaps
    assert gap_text(replace(gap, shares={}), 0).endswith("by 0.100 [0.050, 0.150]; this does not differ from 0.")


def test_the_table_has_the_most_bits_per_byte_and_brackets_where_nothing_was_learned():
    lstm, softmax, run = cost_rows(make_panel())
    assert lstm.bits_per_byte == "(0.010)"  # 8 · 4 · 0.2 bits in 640 bytes
    assert softmax.bits_per_byte == "0.10"  # 8 · 16 · 0.5 bits in 640 bytes; the wider model stores fewer per byte
    assert run.bits_per_byte == ""


def test_the_kinds_of_tokens_are_rows_that_add_up():
    all_tokens, *kinds = token_rows(make_panel())
    assert all_tokens.loss == "1.520 [1.500, 1.540]"
    assert [row.share for row in kinds] == ["10.0 %", "30.0 %", "60.0 %"]
    assert sum(float(row.adds) for row in kinds) == pytest.approx(1.52)


def test_a_crossover_is_told_with_its_check():
    found, missing, predicted = map(crossover_text, make_panel().crossovers, range(3))
    assert found == (
        "Training: lstm was predicted to take less time than softmax+weights from 700 positions on; measured at "
        "held-out lengths: 680, an error of 3%."
    )
    assert missing.endswith("between 540 and 900 no crossing was measured.")
    assert predicted == (
        "Prefill: lstm was predicted to take less time than softmax+weights from 1,234 positions on; not checked."
    )


def test_predictions_without_a_check_are_apart(page):
    assert 'data-source="panel.json#/crossovers/2/predicted"' in page[page.index("predicted and not checked") :]
    page = without_spans(page)
    assert page.index("an error of 3%") < page.index("1 more crossover, predicted and not checked")
    assert page.index("1 more crossover, predicted and not checked") < page.index(
        "from 1,234 positions on; not checked"
    )


@pytest.mark.slow
def test_the_page_is_one_file_with_the_scripts_of_its_charts_and_escapes_names(page):
    page = without_scripts(page)
    assert "<script" not in page
    assert "runs/my &lt;lm&gt;" in page
    assert "my <lm>" not in page
    assert not re.search(r"""\b(?:src|href)=["'](?!#)""", page)
    assert page.count("<svg") == 2 * sum(map(len, panel_drawings(make_panel()).values()))
    assert "NaN" not in page
    assert "None" not in page


def test_only_measured_parts_have_sections():
    page = render_panel(make_panel(**WITHOUT))
    assert 'id="serial"' in page
    assert not re.search(r'id="(growth|saturation|reach|recall)"', page)


def test_a_warning_stands_with_the_findings():
    notes = ["Other programs kept 1.5 cores busy."]
    page = render_panel(make_panel(**WITHOUT, notes=notes))
    assert page.index("grows with the length") < page.index("Other programs kept") < page.index('id="summary"')


@pytest.mark.slow
def test_figures_are_files_beside_the_page(tmp_path):
    page = write_panel(
        make_panel(growth=[], crossovers=[], saturation=[], reach=[], recall=[], contexts=[], gaps=[]), tmp_path
    )
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert page.name == "panel.html"
    assert names == {"serial-forward.png", "serial-forward.svg"}


@pytest.mark.slow
def test_the_page_needs_no_torch():
    script = "import sys, sightline.report.panel; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def of_runs():
    return without_scripts(render_panel(make_runs()))


@pytest.mark.slow
def test_runs_have_a_figure_for_each_input_and_each_side(of_runs):
    names = {part: [drawing.name for drawing in drawings] for part, drawings in panel_drawings(make_runs()).items()}
    assert names["reach"] == [
        *(f"reach-input-{side}" for side in ("source", "target", "lookback")),
        *(f"reach-state-{side}" for side in ("encoder", "decoder")),
        *(f"reach-used-{side}" for side in ("source", "target", "lookback")),
    ]
    assert names["serial"] == ["serial-forward", "serial-source", "serial-target"]
    assert names["recall"] == ["past-target", "past-length", "past-ahead"]
    assert "not measured" not in of_runs[of_runs.index('id="serial"') : of_runs.index('id="saturation"')]
    assert of_runs.count("a state of its own") == 1


def test_positions_of_a_source_count_from_its_end_which_is_1():
    drawings = panel_drawings(make_runs())["reach"]
    points = {drawing.name: {row["x"] for row in drawing.chart.rows} for drawing in drawings}
    assert points["reach-input-source"] == points["reach-input-lookback"] == {1.0, 2.0, 3.0, 5.0, 9.0}
    assert points["reach-input-target"] == {1.0, 2.0, 4.0, 8.0}
    assert points["reach-used-source"] == {1.0, 2.0, 4.0, 8.0, 9.0}


def test_runs_are_compared_in_one_sentence_for_each_axis():
    grown = "in brackets operations for each position of the"
    last = "to 1 %: bahdanau 9 of 9 (0.1000 nats/token) and lstm 4 of 9 (1.000 nats/token)."
    first = "from the first to the last"
    assert findings(make_runs()) == [
        "The chain of dependent operations grows with the length in bahdanau.",
        f"With the source alone the chain grows in bahdanau (5); {grown} source.",
        f"With the target alone the chain grows in bahdanau (13); {grown} target.",
        f"Positions at the end of the source that give the loss of the whole source, {last}",
        f"Tokens of the target, back from each token, that give the loss of the whole target, {last}",
        (
            "Steps at the end of the look-back that give the error of the whole look-back, to 1 %: dlinear 4 of 9 "
            "(1.000 scaled mse)."
        ),
        f"Loss by position of the target, {first}: bahdanau from 0.100 (at 1) to 0.400 nats/token (at 4).",
        f"Loss by length of the source, {first}: bahdanau from 0.100 (at 7) to 0.300 nats/token (at 34).",
        f"Error by step of the horizon, {first}: dlinear from 0.500 (at 1) to 0.900 scaled mse (at 3).",
    ]


@pytest.mark.slow
def test_what_is_missing_is_a_line_of_its_section_also_where_nothing_else_is(of_runs):
    line = "lstm and dlinear: saturation not measured: no layer has softmax attention."
    page = without_spans(of_runs)
    assert page.index('id="saturation"') < page.index(line)
    assert 'data-source="panel.json#/unmeasured/0/reason"' in of_runs
    assert "dlinear: gain from state to state not measured: the model has no layers with a state." in page


@pytest.mark.slow
def test_states_are_rows_and_the_table_is_about_the_source(of_runs):
    table = of_runs[of_runs.index("State of the decoder") :]
    assert "5.6 kB" in table
    assert "23.8 kB" in table
    assert "Of an encoder-decoder both reaches are of the source, from its end." in of_runs
    bahdanau, lstm, dlinear = cost_rows(make_runs())
    assert (bahdanau.chain, bahdanau.used, lstm.used, dlinear.used) == ("9,221", "9", "4", "4")
    assert "decoding time" not in of_runs  # nothing decodes


def test_an_axis_within_a_decade_has_labels():
    def labels(values):
        line = BandLine([1.0, 2.0], values, values, values)
        drawing = lines("a", "A", ("x", "y"), {"r": line}, {"r": 0})
        figure, axes = plt.subplots()
        drawing.draw(axes, LIGHT, False)
        figure.canvas.draw()
        plt.close(figure)
        return {label.get_color() for label in axes.get_yticklabels(minor=True) if label.get_text()}

    assert labels([0.2, 0.5]) == {LIGHT.ink}
    assert labels([0.02, 5.0]) == set()
