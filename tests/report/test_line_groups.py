"""Lines that are too many for one figure."""

from __future__ import annotations

from sightline.lab.panel_results import Chain
from sightline.report.drawing import LIGHT
from sightline.report.line_groups import MOST_LINES, line_groups
from sightline.report.panel_figures import panel_drawings
from tests.report.synthetic_panel import make_panel

NAMES = [f"mechanism-{place}" for place in range(17)]


def many():
    """A panel of 17 mechanisms, whose chains are counted."""
    chains = [
        Chain(name, "forward", [8, 16], [9 + place, 17 + place], [40, 80], None) for place, name in enumerate(NAMES)
    ]
    empty = {"growth": [], "crossovers": [], "saturation": [], "reach": [], "recall": [], "contexts": [], "gaps": []}
    return make_panel(names=NAMES, serial=chains, **empty)


def test_few_lines_are_one_group_and_many_are_neighbours_in_groups_of_about_one_size():
    assert line_groups(NAMES, NAMES[2:5]) == [NAMES[2:5]]
    groups = line_groups(NAMES, NAMES)
    assert [name for group in groups for name in group] == NAMES
    assert {len(group) for group in groups} == {5, 6}
    assert all(len(group) <= MOST_LINES for group in groups)
    assert len(LIGHT.series) == MOST_LINES


def test_a_name_has_the_same_group_in_every_figure():
    groups = line_groups(NAMES, NAMES)
    others = line_groups(NAMES, NAMES[:12])
    assert others == [group for group in ([n for n in g if n in NAMES[:12]] for g in groups) if group]


def test_a_figure_of_many_lines_has_a_part_for_each_group_on_the_same_axes():
    (drawing,) = panel_drawings(many())["serial"]
    assert len(drawing.parts) == 2
    with drawing._figure(7.6, LIGHT, narrow=False, title=False) as figure:
        limits = {(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}
        assert len(figure.axes) == 3
        assert len(limits) == 1
        names = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert names == [set(group) for group in line_groups(NAMES, NAMES)]


def test_its_chart_shows_one_group_at_a_time_or_all():
    (drawing,) = panel_drawings(many())["serial"]
    assert drawing.chart.groups == [
        "mechanism-0 to mechanism-5",
        "mechanism-6 to mechanism-10",
        "mechanism-11 to mechanism-16",
        "",
    ]
    of = {row["series"]: row["group"] for row in drawing.chart.rows}
    assert of["mechanism-10"] == "mechanism-6 to mechanism-10"
    few = panel_drawings(make_panel())["serial"][0].chart
    assert list(few.groups) == []
