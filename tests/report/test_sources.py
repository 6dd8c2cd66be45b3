"""Every number in a table stands in the file of results, at the place that the cell names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from sightline.core.metrics import Baseline
from sightline.core.sourced import replace_sources, with_sources
from sightline.lab.cautions import cautions
from sightline.lab.claims.results import ClaimsResults
from sightline.lab.dynamics import training_dynamics
from sightline.lab.results import BudgetPlan, Decision, Estimate, Power, Results, Rounds
from sightline.lab.verdict import verdict
from sightline.report.claims import render_claims
from sightline.report.faithfulness import render_faithfulness
from sightline.report.heads import render_heads
from sightline.report.html import render
from sightline.report.ladder import render_ladder
from sightline.report.panel import render_panel
from sightline.report.scaling import render_scaling
from sightline.report.sources import locators
from sightline.report.swap import render_swap
from sightline.report.training import render_training
from tests.report.cells import NUMBER, value_at, wrong_cells, wrong_sentences
from tests.report.synthetic import make_results
from tests.report.synthetic_claims import make_claims
from tests.report.synthetic_faithfulness import results as make_faithfulness
from tests.report.synthetic_heads import make_heads
from tests.report.synthetic_ladder import make_ladder
from tests.report.synthetic_panel import make_panel, make_runs
from tests.report.synthetic_scale import make_scale
from tests.report.synthetic_swap import make_swap
from tests.report.synthetic_training import write_run


def timed():
    """Results whose runs have processor times, as new ones have."""
    results = make_results()
    return replace(results, runs=[replace(run, cpu_s=run.train_s and 0.9 * run.train_s) for run in results.runs])


@pytest.fixture(scope="module")
def page():
    return render(timed())


def test_unknown_values_have_no_source():
    at = locators("r.json", {"a": [1, None]})["at"]
    assert at("a", 0) == ' data-source="r.json#/a/0" title="r.json#/a/0"'
    assert at("a", -2) == at(("a",), 0)
    assert at("a", 1) == at("a", 7) == at("b") == ""


@pytest.mark.parametrize("kind", ["heads", "faithfulness", "training"])
def test_places_are_pointers_into_one_file_without_spaces(kind, tmp_path):
    if kind == "training":
        results, file = training_dynamics(write_run(tmp_path / "run")), "my numbers #1.json"
        page = render_training(results, tmp_path / file)
    else:
        results, file = {"heads": make_heads, "faithfulness": make_faithfulness}[kind](), f"{kind}.json"
        page = {"heads": render_heads, "faithfulness": render_faithfulness}[kind](results)
    places = [place for text in re.findall(r' data-source="([^"]+)"', page) for place in text.split()]
    assert len(places) > 20
    for place in places:
        name, _, fragment = place.partition("#")
        assert unquote(name) == file
        assert value_at(results.to_dict(), unquote(fragment)) is not None


def test_every_number_of_a_comparison_is_in_its_results(page):
    right, wrong = wrong_cells(page, "results.json", timed().to_dict())
    assert wrong == []
    assert right > 200


def test_a_number_that_is_not_in_the_results_is_found(page):
    results = timed()
    first = results.architectures[0]
    changed = replace(first, metrics={**first.metrics, "exact_match": Estimate(0.5, 0.4, 0.6)}, parameters=7)
    other = replace(results, architectures=[changed, *results.architectures[1:]])
    _, wrong = wrong_cells(page, "results.json", other.to_dict())
    assert len(wrong) == 5  # mean in two tables, both ends, and parameters


EVERY_PAGE = ("95 %", "SHA-256")
OF_COMPARISONS = (
    *EVERY_PAGE, "Costs that differ by less than 5 %", "The best possible value is 100.0", "Fewer than 100 steps",
    "less than 80 % of their time", "by more than 20 %", "died 2 times",
)  # fmt: skip


OF_PANELS = (
    "at distance 1", "at least 1 %", "to 1 %", "it is 1 at k = 0", "stays at least 1", "the last one 1", "float64",
    "faster than n^1.5", "the other has 8.",
)  # fmt: skip


OF_LAWS = (
    "Exponent: how fast the loss falls, 0.1 means that ten times the size leaves 0.79 of it", "below 0 the curve",
    "Kaplan et al. 2020, eq. 1.1", "Hoffmann et al. 2022, eq. 2", "lies above 0 for every", "text <1>.txt",
)  # fmt: skip


def told(results: Results) -> tuple[int, list[str]]:
    """`wrong_sentences` of the page of results that have this verdict, less what is about the machine."""
    warned = [
        c.sentence for c in cautions(results.runs, results.budget, results.architectures, others_cores=0.8, cores=2)
    ]
    results = replace(results, attention=[], others_cores=0.8, warnings=[*warned, "died 2 times", "2 notes"])
    results = replace(results, verdict=" ".join([judged(results), *warned]))
    page = render(results)
    page = page[: page.index("<dt>processes</dt>")] + page[page.index("</dl>", page.index("<dt>processes</dt>")) :]
    return wrong_sentences(page, "results.json", results.to_dict(), OF_COMPARISONS)


def judged(results: Results) -> str:
    """The verdict as `summarise` writes it."""
    name = results.primary_metric
    return verdict(
        name,
        {a.arch: a.metrics[name] for a in results.ranked},
        results.pairs,
        seeds=min(a.finished for a in results.architectures),
        margin=results.margin,
        rounds=results.rounds,
        baselines=results.baselines,
    )


def several(outcome: Decision | None = None, **changes) -> Results:
    """`timed` with two finished seeds of each, the outcome of the first pair, and changes."""
    results = timed()
    first, *rest = [replace(pair, outcome="better") for pair in results.pairs]
    done = [replace(a, finished=2) for a in results.architectures]
    pairs = [first if outcome is None else replace(first, outcome=outcome, shown=False), *rest]
    return replace(results, **{"architectures": done, "pairs": pairs, "margin": 0.01, **changes})


SAME: Decision = "practically the same"


def hurried() -> Results:
    """Runs that had few steps and little of the processor, at uneven speeds, with energy and plans."""
    results = several(budget=BudgetPlan("60s", [0, 1], 0.25, 3, "10s", "45s", workers=2))
    runs = [
        replace(run, steps=40 + at, cpu_s=(0.5 + at / 100) * run.train_s, tokens=10_000 * (1 + at % 2),
                planned_s=30.0 + at, energy_j=900.0 + 50 * at)
        for at, run in enumerate(results.runs)
        if run.train_s is not None
    ]  # fmt: skip
    return replace(results, runs=runs, environment={**results.environment, "energy_counters": ["package"]})


VERDICTS = {
    "hurried": hurried(),
    "one seed": timed(),
    "a winner": several(),
    "not decided": several("not decided", rounds=Rounds(2, 9, False), power=Power("a", "b", 0.01, 12, 2, 0.034)),
    "the same, quality": several(SAME, rounds=Rounds(2, 9, True), power=Power("a", "b", 0.01, None, 2, 0.034)),
    "the same, speed": several(SAME, prefer="speed"),
    "the same, memory": several(SAME, prefer="memory"),
    "the same, balanced": several(SAME, prefer="balanced"),
    "a baseline": several(baselines=[Baseline("copying", "the source", {"exact_match": 0.997})]),
}


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch):
    """Pages without figures, which take seconds to draw."""
    for name in ("all_drawings", "front_drawings", "label_figures"):
        monkeypatch.setattr(f"sightline.report.html.{name}", lambda results: [])


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("results", VERDICTS.values(), ids=VERDICTS)
def test_every_number_in_a_sentence_of_a_comparison_is_in_its_results(results):
    right, wrong = told(results)
    assert wrong == []
    assert right > 40


@pytest.mark.usefixtures("without_figures")
def test_a_number_in_a_sentence_that_is_not_in_the_results_is_found():
    results = several()
    page = render(replace(results, verdict=judged(results), attention=[]))
    first = replace(results.pairs[0], difference=Estimate(0.5, 0.4, 0.6))
    other = replace(results, pairs=[first, *results.pairs[1:]]).to_dict()
    _, wrong = wrong_sentences(page, "results.json", other, OF_COMPARISONS)
    assert [text for text in wrong if "pairs/0" in text] == [
        f"'{shown}' is not [{value}] (results.json#/pairs/0/difference/{end})"
        for shown, value, end in (("3.2", 0.5, "mean"), ("2.0", 0.4, "low"), ("4.4", 0.6, "high"))
    ]


@pytest.mark.usefixtures("without_figures")
def test_the_verdict_of_another_version_is_shown_as_it_is_stored():
    page = render(replace(timed(), verdict="gru won by 7."))
    assert '<p class="verdict" data-source="results.json#/verdict"' in page
    assert ">gru won by 7.</p>" in page


@pytest.mark.slow
@pytest.mark.parametrize(("make", "cells", "sentences"), [(make_panel, 80, 40), (make_runs, 12, 25)])
def test_every_number_of_a_panel_is_in_its_results(make, cells, sentences):
    panel = make()
    page = render_panel(panel)
    right, wrong = wrong_cells(page, "panel.json", panel.to_dict())
    assert wrong == []
    assert right > cells
    page = page.partition('<section id="reproduce">')[0]
    right, wrong = wrong_sentences(page, "panel.json", panel.to_dict(), (*EVERY_PAGE, *OF_PANELS))
    assert wrong == []
    assert right > sentences


def test_every_number_of_a_ladder_is_in_its_results():
    ladder = make_ladder()
    page = render_ladder(ladder)
    right, wrong = wrong_cells(page, "ladder.json", ladder.to_dict())
    assert wrong == []
    assert right > 200
    page = page.partition('<section id="reproduce">')[0]
    right, wrong = wrong_sentences(page, "ladder.json", ladder.to_dict(), (*EVERY_PAGE, "about 5 %"))
    assert wrong == []
    assert right > 60


@pytest.mark.slow
def test_every_number_of_a_ladder_of_sizes_is_in_its_results():
    scale = make_scale()
    page = render_scaling(scale)
    right, wrong = wrong_cells(page, "scale.json", scale.to_dict())
    assert wrong == []
    assert right > 100
    page = page.partition('<section id="reproduce">')[0]
    right, wrong = wrong_sentences(page, "scale.json", scale.to_dict(), (*EVERY_PAGE, *OF_LAWS))
    assert wrong == []
    assert right > 30


@pytest.mark.slow
def test_every_number_of_a_swap_is_in_its_results():
    swap = make_swap()
    right, wrong = wrong_cells(render_swap(swap), "swap.json", swap.to_dict())
    assert wrong == []
    assert right > 50


@pytest.mark.slow
def test_every_number_of_the_claims_is_in_their_results():
    claims = make_claims()
    page = render_claims(claims)
    right, wrong = wrong_cells(page, "claims.json", claims.to_dict())
    assert wrong == []
    assert right >= 6
    sentences, names = page.partition('<section id="reproduce">')[0], [one.claim for one in claims.results]
    right, wrong = wrong_sentences(sentences, "claims.json", claims.to_dict(), names)
    assert wrong == []
    assert right >= 6
    first, *rest = claims.results
    numbers = [replace(first.numbers[0], value=0.5), *first.numbers[1:]]
    other = replace(claims, results=[replace(first, numbers=numbers), *rest]).to_dict()
    assert len(wrong_cells(page, "claims.json", other)[1]) == 2  # in the summary, and among all numbers
    assert len(wrong_sentences(sentences, "claims.json", other, names)[1]) == 1


# Numbers of the sentences themselves: limits of an exponent and of lengths, the distance of the reference, ln 2.
OF_CLAIMS = ("n^1.5", "100 steps or more", "that at distance 1", "of 0.69 nats")


def test_every_number_that_was_measured_for_a_claim_is_in_its_results(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sightline.report.claims.chart_drawings", lambda result: [])
    monkeypatch.setattr("sightline.report.claims.map_drawings", lambda result: [])
    stored = ClaimsResults.load(Path(__file__).parents[2] / "benchmarks/results/claims.json")
    page = render_claims(stored).partition('<section id="reproduce">')[0]
    right, wrong = wrong_cells(page, "claims.json", stored.to_dict())
    assert wrong == []
    assert right > 1500
    right, wrong = wrong_sentences(page, "claims.json", stored.to_dict(), [one.claim for one in stored.results])
    assert wrong == []
    assert right > 500
    lacking = {}
    for one in stored.results:
        with with_sources():
            rest = replace_sources(one.text_with_places(()), lambda number, places, how: "")
        for constant in OF_CLAIMS:
            rest = rest.replace(constant, "")
        if numbers := NUMBER.findall(rest):
            lacking[one.claim] = numbers
    assert lacking == {}


@pytest.mark.slow
def test_the_file_is_linked_where_it_is_beside_the_page(page):
    empty = make_panel(growth=[], crossovers=[], saturation=[], reach=[], serial=[])
    assert '<a href="panel.json" download>panel.json</a>' in render_panel(empty, linked=True)
    assert 'href="results.json"' not in page
