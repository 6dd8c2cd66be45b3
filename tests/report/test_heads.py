"""The page about attention heads, from a report alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.inspect.head_report import HeadsReport
from sightline.report.heads import removable, render_heads, verdict, write_heads
from sightline.report.heads_figures import profile_drawings, pruning_drawings
from tests.report.synthetic_heads import make_heads
from tests.report.test_html import without_scripts


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    report = make_heads()
    report.save(tmp_path / "heads.json")
    assert HeadsReport.load(tmp_path / "heads.json") == report
    assert report.head_name(5) == "causal self 1.1"


def test_the_verdict_counts_roles_removable_heads_and_relations() -> None:
    assert verdict(make_heads()) == (
        "3 of 12 heads have a clear role. 3 can be removed, least loss first, before exact match falls by more than "
        "1.0 points from 98.0 %; in random order none can. For 1 of 2 dependency relations a head finds more arcs than "
        "the best fixed offset, at 5 % after Holm's correction."
    )


def test_an_error_rises_where_heads_are_removed() -> None:
    curves = [replace(curve, points=[replace(p, metric=2.0 - p.metric) for p in curve.points])
              for curve in make_heads().curves]  # fmt: skip
    report = replace(make_heads(), metric="bits_per_byte", value=1.02, curves=curves)
    assert (
        "3 can be removed, least loss first, before bits per byte rises by more than 0.010 bits per byte from 1.020"
        in (verdict(report))
    )


def test_heads_are_removable_until_the_metric_falls_by_the_margin() -> None:
    report = make_heads()
    own = report.curves[0]
    assert [removable(report, own, margin) for margin in (0.004, 0.005, 0.02, 0.09)] == [0, 3, 6, 12]
    worse = replace(report, metric="mse", value=0.98)  # less is better: it never rises above its first value
    assert removable(worse, own, 0.0) == 12


@pytest.mark.slow
def test_every_head_and_curve_is_on_the_page_and_text_stays_text(tmp_path: Path) -> None:
    page = write_heads(make_heads(), tmp_path / "page.html").read_text()
    body = without_scripts(page)
    assert "<b>hostile" not in body
    assert "runs/&lt;b&gt;hostile&lt;/b&gt;" in body
    assert len(re.findall(r'<tr id="head-\d+">', body)) == 12
    for words in (
        "previous",
        "induction",
        "Share of weight by distance",
        "Exact match by the number of heads",
        "nsubj",
    ):
        assert words in body
    heads = [replace(head, before=[], after=[], entropy=[]) for head in make_heads().heads]
    less = render_heads(replace(make_heads(), curves=[], arcs=None, heads=heads))
    for part in ("pruning", "syntax"):
        assert f'<section id="{part}">' in body
        assert f'<section id="{part}">' not in less


@pytest.mark.parametrize(
    ("unit", "of_a_row", "loss"),
    [
        ("nats/token", "nats per row", "loss 0.1000 nats/token, "),
        ("nats/item", "nats per row", "loss 0.1000 nats/item, "),
        ("", "loss per row", "loss 0.1000, "),
    ],
)
def test_the_gradient_has_the_unit_of_the_task_s_loss(unit: str, of_a_row: str, loss: str) -> None:
    """A forecaster's loss is an error in the units that it reads, without a name."""
    heads = [replace(head, before=[], after=[], entropy=[]) for head in make_heads().heads]
    report = replace(make_heads(), curves=[], arcs=None, heads=heads, loss_unit=unit, metric="mse")
    body = without_scripts(render_heads(report))
    assert f"<small>{of_a_row}</small>" in body
    assert ("nats" in body) == bool(unit)
    assert loss in re.sub("<[^>]+>", "", body)


def test_figures_have_a_part_for_each_layer() -> None:
    distance, entropy = profile_drawings(make_heads())
    assert 1 + len(distance.parts) == 2  # a memory has no distances
    assert 1 + len(entropy.parts) == 3
    assert distance.chart is not None
    labels = "−16…−9 −8…−4 −3 −2 −1 0 +1 +2 +3 +4…+8 +9…+16"
    assert list(distance.chart.x[0].labels) == labels.split()
    assert [drawing.name for drawing in pruning_drawings(make_heads())] == ["pruning-metric", "pruning-loss"]
