"""One self-contained HTML page about the attention heads of a model. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path

from sightline.core.files import write_file
from sightline.core.metrics import defined, find_metric
from sightline.inspect.head_report import HeadsReport, InspectedHead, PruningCurve
from sightline.report.frame import render_page
from sightline.report.heads_figures import ORDERS, profile_drawings, pruning_drawings

ROLE_WORDS = {
    "previous": "the weight on the position before",
    "first": "the weight on the first position, a sink",
    "duplicate": "the weight on earlier occurrences of the query's own token",
    "induction": "the weight on the positions after earlier occurrences of the query's token",
    "rare": "how often the heaviest key is the rarest token in view",
    "distance": "the mean distance by weight, in units of that of even weights",
    "entropy": "the entropy of the weights, 1 = even over all keys in view",
}
DARKEST = 9  # of 20 shades, that of the most important head: text on it can be read
MOST_COLUMNS = 12  # heads of a layer in one row of the overview


def write_heads(report: HeadsReport, path: Path) -> Path:
    """Write the page to the file `path`."""
    write_file(path, render_heads(report))
    return path


def render_heads(report: HeadsReport) -> str:
    """The page as HTML."""
    curves, profiles = pruning_drawings(report), profile_drawings(report)
    return render_page(
        "heads.html.j2",
        "heads.json",
        report,
        [*curves, *profiles],
        curves=curves,
        profiles=profiles,
        verdict=verdict(report),
        metric=find_metric(report.metric),
        roles={name: words for name, words in ROLE_WORDS.items() if any(name in head.scores for head in report.heads)},
        shades=shades(report),
        row_unit=f"{report.loss_unit.partition('/')[0] or 'loss'} per row",
        rows=overview(report),
        orders=ORDERS,
    )


def verdict(report: HeadsReport) -> str:
    """How many heads have a clear role, and how many can be removed before the metric worsens by its margin."""
    clear = sum(bool(head.role) for head in report.heads)
    sentences = [f"{clear} of {len(report.heads)} heads have a clear role."]
    metric = find_metric(report.metric)
    if report.curves and defined(report.value):
        margin, worsens = metric.margin_at(report.value), "falls" if metric.higher_is_better else "rises"
        counts = {curve.order: removable(report, curve, margin) for curve in report.curves}
        by_chance = counts.pop("random", None)
        best = max((count, ORDERS[order]) for order, count in counts.items())
        sentence = (
            f"{best[0]} can be removed, {best[1]}, before {metric.label} {worsens} by more than "
            f"{metric.amount(margin)} from {metric.text(report.value)}"
        )
        sentences.append(sentence + ("." if by_chance is None else f"; in random order {by_chance or 'none'} can."))
    relations = [] if report.arcs is None else report.arcs.relations
    if every := [one for one in relations if one.relation and one.p_value is not None]:  # not of an older version
        better = [one for one in every if one.differs > 0.0]
        sentences.append(
            f"For {len(better)} of {len(every)} dependency relations a head finds more arcs than the best fixed "
            "offset, at 5 % after Holm's correction."
        )
    return " ".join(sentences)


def removable(report: HeadsReport, curve: PruningCurve, margin: float) -> int:
    """The largest number of heads, of those tried, up to which the metric falls by at most the margin."""
    sign = 1.0 if find_metric(report.metric).higher_is_better else -1.0
    count = 0
    for point in curve.points:
        if not defined(point.metric) or sign * ((report.value or 0.0) - point.metric) > margin:
            break
        count = point.removed
    return count


def shades(report: HeadsReport) -> list[int]:
    """The shade of every head: its importance by ablation beside that of the most important one."""
    most = max((head.ablation or 0.0 for head in report.heads), default=0.0)
    return [round(DARKEST * max(head.ablation or 0.0, 0.0) / most) if most > 0 else 0 for head in report.heads]


def overview(report: HeadsReport) -> list[tuple[str, list[tuple[int, InspectedHead]]]]:
    """Rows of the overview: the layer's name, and its heads with their indices; wide layers take several rows."""
    rows = []
    for index, layer in enumerate(report.layers):
        heads = [(place, head) for place, head in enumerate(report.heads) if head.layer == index]
        for first in range(0, max(len(heads), 1), MOST_COLUMNS):
            rows.append((layer.name if not first else "", heads[first : first + MOST_COLUMNS]))
    return rows
