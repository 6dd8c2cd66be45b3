"""The page of the battery: every number beside its rates, and no foreign text as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.cli.inspect_faithfulness import print_tests
from sightline.inspect.faithfulness_results import Faithfulness
from sightline.inspect.faithfulness_tests import TESTS
from sightline.report.faithfulness import (
    TITLES,
    agreement_rows,
    faithfulness_drawings,
    items_text,
    map_words,
    render_faithfulness,
    title_of,
    write_faithfulness,
)
from tests.report.synthetic_faithfulness import HOSTILE, results, with_retrained


@pytest.mark.slow
def test_every_score_stands_beside_the_rates_of_its_test():
    page = render_faithfulness(results())
    row = next(part for part in page.split("<tr>") if 'href="#test-test_of_erasure"' in part)
    for text in ("0.40", "[0.30, 0.50]", "95 %", "[85, 100]", "5 %", "[0, 15]", "72 %", "[60, 83]"):
        assert text in row, text
    assert "does not count" in next(part for part in page.split("<tr>") if 'href="#test-test_of_agreement"' in part)
    assert page.index("Attention may be shown as an explanation") < page.index("Maps of the model")


@pytest.mark.slow
def test_every_test_has_a_title_without_the_spelling_of_a_name():
    for test in TESTS:
        assert test.name in TITLES
        assert "_" not in title_of(test.name)
    page = render_faithfulness(results())
    assert "tau gradient" not in page
    assert "Tests that need models to be trained again are not among these" in page


@pytest.mark.slow
def test_foreign_text_is_text():
    page = render_faithfulness(results())
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r'(src|href)="https?:', page)


def test_what_a_forecast_loses_has_its_unit():
    (plain, *_), (scaled, *_) = (
        faithfulness_drawings(replace(results(), answer_unit=unit)) for unit in ("", "units that the model reads")
    )
    assert plain.chart is not None
    assert scaled.chart is not None
    assert plain.chart.y[0].title == "Loss of the answer"
    assert scaled.chart.y[0].title == "Loss of the answer (units that the model reads)"


def test_every_pair_of_methods_is_in_the_table_twice():
    names, cells = agreement_rows(results())
    assert names == ["softmax pooling.weights", "jacobian encoder", "effect"]
    assert [[cell is None for cell in row] for row in cells] == [
        [row == column for column in range(3)] for row in range(3)
    ]
    assert cells[0][2] == cells[2][0]


def test_a_method_with_several_layers_names_them():
    found = results()
    assert map_words(found.maps)["softmax pooling.weights"] == "attention weights"
    assert map_words([found.maps[0], found.maps[0]])["softmax pooling.weights"] == "attention weights 1"


@pytest.mark.slow
def test_the_result_is_read_back_and_written_as_a_page(tmp_path: Path) -> None:
    found: Faithfulness = results()
    found.save(tmp_path / "a.json")
    assert Faithfulness.load(tmp_path / "a.json") == found
    assert write_faithfulness(found, tmp_path / "a.html").read_text("utf-8").count("<h1>") == 1


@pytest.mark.slow
def test_models_that_were_trained_again_are_shown_where_there_are_any(tmp_path: Path) -> None:
    found = with_retrained()
    page = render_faithfulness(found)
    for text in (
        "each for 40 steps",
        "20.0",
        "[12.5, 27.5]",
        "points",
        "0.100",
        "nats",
        "the same with even attention",
    ):
        assert text in page, text
    assert HOSTILE not in page
    assert "are not among these" not in page
    assert "Trained again" not in render_faithfulness(results())
    found.save(tmp_path / "a.json")
    assert Faithfulness.load(tmp_path / "a.json") == found


def test_the_columns_of_the_terminal_do_not_run_into_each_other(monkeypatch, capsys):
    """The longest title once touched its score."""
    longest = max((title_of(test.name) for test in TESTS), key=len)
    some = results()
    monkeypatch.setitem(TITLES, some.tests[0].name, longest)
    print_tests(some)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(longest)]
    assert lines
    assert all(line.removeprefix(longest).startswith("  ") for line in lines)


@pytest.mark.parametrize(
    ("data", "words"), [("test part of a.csv", "of the test part of a.csv"), ("b.csv", "of b.csv")]
)
def test_what_was_tested_is_in_words(data: str, words: str) -> None:
    some = replace(results(), data=data)
    assert items_text(some) == f"{some.items} {some.unit} {words}"
