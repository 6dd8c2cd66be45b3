"""Pages pass an automated check (axe-core, WCAG 2.1 A and AA), and their charts can be used by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sightline.core.metrics import Baseline
from sightline.lab.differences import differences
from sightline.lab.dynamics import TrainingDynamics, training_dynamics
from sightline.lab.results import Estimate, Results
from sightline.report.claims import render_claims
from sightline.report.faithfulness import render_faithfulness
from sightline.report.heads import render_heads
from sightline.report.html import render
from sightline.report.ladder import render_ladder
from sightline.report.panel import render_panel
from sightline.report.scaling import render_scaling
from sightline.report.swap import render_swap
from sightline.report.training import render_training
from tests.browser import opened, wait_for
from tests.report.synthetic import make_results
from tests.report.synthetic_claims import make_claims
from tests.report.synthetic_faithfulness import with_retrained
from tests.report.synthetic_heads import make_heads
from tests.report.synthetic_ladder import make_ladder
from tests.report.synthetic_panel import make_panel, make_runs
from tests.report.synthetic_scale import make_scale
from tests.report.synthetic_swap import make_swap
from tests.report.synthetic_training import write_run
from tests.report.test_browser import draw_all

pytestmark = pytest.mark.slow
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as context:
        yield context


def forecasting() -> Results:
    results = make_results()
    architectures = [
        replace(a, metrics={"mse": Estimate(0.2 + i / 10, 0.1 + i / 10, 0.3 + i / 10)}, details=None, by_length=[])
        for i, a in enumerate(results.architectures)
    ]
    runs = [replace(run, metrics={"mse": 0.3}) for run in results.runs]
    baselines = [Baseline("naive", "the last value", {"mse": 0.1})]
    return replace(
        results, primary_metric="mse", architectures=architectures, runs=runs, baselines=baselines, attention=[],
        examples=[], lengths=[], margin=0.01, warnings=["Runs were short."], verdict="None. Runs were short.",
    )  # fmt: skip


def watched() -> TrainingDynamics:
    with TemporaryDirectory() as folder:
        return training_dynamics(write_run(Path(folder) / "run", layers=1))


def failed() -> Results:
    results = make_results()
    runs = [replace(run, status="failed", metrics={}, history=[], error="out of memory") for run in results.runs]
    architectures = [replace(a, metrics={}, by_length=[], details=None, finished=0) for a in results.architectures]
    return replace(results, runs=runs, architectures=architectures, pairs=[], attention=[], examples=[], baselines=[])


PAGES: dict[str, Callable[[], str]] = {
    "translation": lambda: render(make_results()),
    "classification": lambda: render(replace(make_results(), attention=[], examples=[], margin=0.01)),
    "forecasting": lambda: render(forecasting()),
    "nothing finished": lambda: render(failed()),
    "changes": lambda: render(make_results(), against=differences(make_results(), changed(), where="old")),
    "panel": lambda: render_panel(make_panel()),
    "panel of runs": lambda: render_panel(make_runs()),
    "claims": lambda: render_claims(make_claims()),
    "ladder": lambda: render_ladder(make_ladder()),
    "scale": lambda: render_scaling(make_scale()),
    "heads": lambda: render_heads(make_heads()),
    "swap": lambda: render_swap(make_swap()),
    "faithfulness": lambda: render_faithfulness(with_retrained()),
    "watched training": lambda: render_training(watched()),
}
DARK = ("translation", "ladder")  # are looked at in both schemes


def changed() -> Results:
    results = make_results()
    first = replace(results.architectures[0], metrics={"exact_match": Estimate(0.5, 0.4, 0.6)})
    return replace(results, architectures=[first, *results.architectures[1:]])


def show(browser: Any, html: str, folder: Path) -> Any:
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    page = browser.new_page()
    page.set_viewport_size({"width": 1240, "height": 900})
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    draw_all(page)
    return page


@pytest.mark.parametrize("kind", PAGES)
def test_no_rule_of_wcag_is_broken(browser: Any, tmp_path: Path, kind: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page = show(browser, PAGES[kind](), tmp_path)
    for scheme in ("light", "dark") if kind in DARK else ("light",):
        page.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(page, options=RULES).response
        assert len(found["passes"]) > 10
        broken = {one["id"]: [node["html"][:120] for node in one["nodes"]] for one in found["violations"]}
        assert broken == {}, scheme
    page.close()


def test_the_check_finds_what_is_wrong(browser: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    page = browser.new_page()
    (tmp_path / "page.html").write_text("<!doctype html><html><title>x</title><button></button><img src=a></html>")
    page.goto((tmp_path / "page.html").as_uri())
    found = {one["id"] for one in axe.Axe().run(page, options=RULES).response["violations"]}
    page.close()
    assert {"button-name", "html-has-lang", "image-alt"} <= found


@pytest.fixture(scope="module")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    page = show(browser, render(replace(make_results(), margin=0.01)), tmp_path_factory.mktemp("report"))
    yield page
    page.close()


def tip(page: Any, chart: str) -> list[str]:
    shown = page.eval_on_selector(f"{chart} .tip", "e => e.hidden ? '' : e.textContent")
    return shown.split("\n") if shown else []


def test_the_first_tab_is_a_link_to_the_evidence(report: Any) -> None:
    report.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    report.keyboard.press("Tab")
    assert report.evaluate("document.activeElement.textContent") == "Skip to the evidence"
    box = report.evaluate("(b => [b.left, b.top])(document.activeElement.getBoundingClientRect())")
    assert min(box) >= 0
    report.keyboard.press("Enter")
    report.keyboard.press("Tab")
    assert report.evaluate("document.getElementById('evidence').contains(document.activeElement)")


def test_arrow_keys_read_the_points_of_a_chart(report: Any) -> None:
    report.focus("#learning-curves .stage")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    report.keyboard.press("ArrowRight")
    assert report.evaluate(outline) != "none"
    first = tip(report, "#learning-curves")
    assert first[0] == "rnn, seed 0"
    assert first[1].startswith("step 40,")
    report.keyboard.press("ArrowRight")
    assert tip(report, "#learning-curves")[1].startswith("step 80,")
    report.keyboard.press("ArrowDown")
    assert tip(report, "#learning-curves")[0] == "lstm, seed 0"
    assert tip(report, "#learning-curves")[1].startswith("step 80,")
    report.keyboard.press("End")
    assert tip(report, "#learning-curves")[1].startswith("step 800,")
    report.keyboard.press("Escape")
    assert tip(report, "#learning-curves") == []


def test_the_pointer_reads_the_same_points(report: Any) -> None:
    report.focus("#learning-curves .stage")
    report.keyboard.press("ArrowRight")
    told = tip(report, "#learning-curves")
    box = report.eval_on_selector(
        "#learning-curves .ring", "e => (b => [b.left + b.width / 2, b.top + b.height / 2])(e.getBoundingClientRect())"
    )
    report.keyboard.press("Escape")
    report.mouse.move(*box)
    assert tip(report, "#learning-curves") == told
    report.mouse.move(0, 0)


def test_an_architecture_is_hidden_by_its_box_and_shown_again(report: Any) -> None:
    lines = "document.querySelectorAll('#learning-curves .canvas .mark-line path').length"
    assert report.evaluate(lines) == 9  # of ten runs one diverged before it was validated
    report.focus("#learning-curves .legend input[data-series=lstm]")
    report.keyboard.press("Space")
    wait_for(report, f"{lines} == 7")
    report.keyboard.press("Space")
    wait_for(report, f"{lines} == 9")


def test_the_axes_of_a_chart_are_chosen_in_lists(report: Any) -> None:
    titles = "[...document.querySelectorAll('.explore .role-axis-title text')].map(e => e.textContent)"
    assert report.evaluate(titles) == ["Training time (s)", "Exact match (%)"]
    report.select_option(".explore select >> nth=0", label="Perplexity")
    report.select_option(".explore select >> nth=1", label="Parameters")
    wait_for(report, f"{titles}.join() == 'Parameters,Perplexity'")


def test_differences_are_shown_to_the_architecture_that_is_chosen(report: Any) -> None:
    report.select_option("#pairs select", label="gru")
    report.focus("#pairs .stage")
    wait_for(report, "document.querySelectorAll('#pairs .canvas .mark-text.role-mark text').length == 4")
    report.keyboard.press("ArrowDown")
    assert tip(report, "#pairs")[0].endswith("minus gru")


def test_arrow_keys_read_the_weights_of_a_map(report: Any) -> None:
    report.focus("#attention table.heat[tabindex]")
    report.keyboard.press("ArrowRight")
    cell = "document.querySelector('#attention table.heat td.here')"
    said = report.evaluate("document.querySelector('body > .unseen[role=status]').textContent")
    assert said.endswith(report.evaluate(f"{cell}.title || '0.00'"))
    assert said.startswith("2, v: ")


def test_sources_are_shown_where_the_reader_asks_for_them(report: Any) -> None:
    content = "getComputedStyle(document.querySelector('#quality td[data-source]'), '::after').content"
    assert report.evaluate(content) == "none"
    report.focus("#show-sources")
    report.keyboard.press("Space")
    assert "results.json#/architectures/" in report.evaluate(content)
    report.keyboard.press("Space")


def test_arrow_keys_read_the_rungs_of_a_ladder(browser: Any, tmp_path: Path) -> None:
    page = show(browser, render_ladder(make_ladder()), tmp_path)
    page.focus("#ladder figure:nth-of-type(1) .stage")
    page.keyboard.press("ArrowDown")
    assert tip(page, "#ladder")[0] == "LSTM, against RNN"
    page.keyboard.press("ArrowDown")
    assert tip(page, "#ladder")[:2] == ["GRU, against LSTM", "+2.5 [+0.5, +4.5] points: better"]
    page.keyboard.press("End")
    assert tip(page, "#ladder")[-1] == "its reason: holds"
    page.select_option("#ladder select", label="Parameters")
    titles = "[...document.querySelectorAll('#ladder .role-axis-title text')].map(e => e.textContent)"
    wait_for(page, f"{titles}.includes('Parameters')")
    page.close()


def test_without_a_script_and_in_print_the_picture_is_shown(browser: Any, tmp_path: Path) -> None:
    html = render(make_results())
    page = show(browser, html, tmp_path)
    shown = "['.static', '.live'].map(e => document.querySelector(`#learning-curves ${e}`)?.offsetHeight > 100)"
    assert page.evaluate(shown) == [False, True]
    page.emulate_media(media="print")
    assert page.evaluate(shown) == [True, False]
    page.emulate_media(media="screen")
    page.close()
    barred = tmp_path / "barred.html"
    barred.write_text(html.replace("script-src", "style-src-attr"), encoding="utf-8")  # the policy bars all scripts
    page = browser.new_page()
    page.goto(barred.as_uri())
    assert page.evaluate(shown) == [True, False]
    assert page.evaluate("document.querySelector('.explore').offsetHeight") == 0
    page.close()
