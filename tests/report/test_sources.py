"""Every number in a table stands in the file of results, at the place that the cell names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightline.lab.results import Estimate
from sightline.report.claims import render_claims
from sightline.report.html import render
from sightline.report.ladder import render_ladder
from sightline.report.panel import render_panel
from sightline.report.scaling import render_scaling
from sightline.report.sources import locators, pointer
from sightline.report.swap import render_swap
from tests.report.cells import wrong_cells
from tests.report.synthetic import make_results
from tests.report.synthetic_claims import make_claims
from tests.report.synthetic_ladder import make_ladder
from tests.report.synthetic_panel import make_panel
from tests.report.synthetic_scale import make_scale
from tests.report.synthetic_swap import make_swap


def timed():
    """Results whose runs have processor times, as new ones have."""
    results = make_results()
    return replace(results, runs=[replace(run, cpu_s=run.train_s and 0.9 * run.train_s) for run in results.runs])


@pytest.fixture(scope="module")
def page():
    return render(timed())


def test_a_pointer_escapes_what_it_must():
    assert pointer("architectures", 2, "a/b~c") == "/architectures/2/a~1b~0c"


def test_unknown_values_have_no_source():
    at = locators("r.json", {"a": [1, None]})["at"]
    assert at("a", 0) == ' data-source="r.json#/a/0" title="r.json#/a/0"'
    assert at("a", -2) == at(("a",), 0)
    assert at("a", 1) == at("a", 7) == at("b") == ""


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
    assert len(wrong) == 4  # mean and both ends, and parameters


@pytest.mark.slow
def test_every_number_of_a_panel_is_in_its_results():
    panel = make_panel()
    right, wrong = wrong_cells(render_panel(panel), "panel.json", panel.to_dict())
    assert wrong == []
    assert right > 80


def test_every_number_of_a_ladder_is_in_its_results():
    ladder = make_ladder()
    right, wrong = wrong_cells(render_ladder(ladder), "ladder.json", ladder.to_dict())
    assert wrong == []
    assert right > 200


@pytest.mark.slow
def test_every_number_of_a_ladder_of_sizes_is_in_its_results():
    scale = make_scale()
    right, wrong = wrong_cells(render_scaling(scale), "scale.json", scale.to_dict())
    assert wrong == []
    assert right > 100


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
    first, *rest = claims.results
    numbers = [replace(first.numbers[0], value=0.5), *first.numbers[1:]]
    other = replace(claims, results=[replace(first, measured="A | B is 2.", numbers=numbers), *rest])
    assert len(wrong_cells(page, "claims.json", other.to_dict())[1]) == 2


@pytest.mark.slow
def test_the_file_is_linked_where_it_is_beside_the_page(page):
    empty = make_panel(growth=[], crossovers=[], saturation=[], reach=[], serial=[])
    assert '<a href="panel.json" download>panel.json</a>' in render_panel(empty, linked=True)
    assert 'href="results.json"' not in page
