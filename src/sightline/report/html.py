"""One self-contained HTML page from the results of a comparison. Runs no model, imports no torch."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sightline.core.digits import significant
from sightline.core.metrics import Metric, defined
from sightline.core.sourced import Place, with_sources
from sightline.lab.cautions import warnings_of
from sightline.lab.differences import Differences
from sightline.lab.map_results import ArchitectureMaps, AttentionExample
from sightline.lab.results import Architecture, Example, Pair, Results
from sightline.lab.verdict import judgement_of
from sightline.report.attention import MOST_ROWS, learnt, save_attention
from sightline.report.details import comparison_drawings, label_figures
from sightline.report.differences import data_line, differences_rows
from sightline.report.drawing import Drawing
from sightline.report.figures import drawings
from sightline.report.frame import SHADES, environment_rows, render_page, write_page
from sightline.report.fronts import front_drawings, front_explorer
from sightline.report.longer import lengths, longer
from sightline.report.recommendation import chosen_by, predicting, recommendation_line, using_recommended
from sightline.report.spent import (
    cost_places,
    energy,
    energy_places,
    joule_text,
    timing,
    training_cost,
    training_each,
    training_energy,
)
from sightline.report.text import visible

OTHER_METRICS = 2  # columns of the table beside the primary metric


def write_report(results: Results, directory: Path, against: Differences | None = None) -> Path:
    """Write `report.html` and the figures as PNG and SVG to `directory`; return the path of the page.

    against: the differences to another comparison, for a section of the page
    """
    shown = [
        *all_drawings(results),
        *front_drawings(results),
        *(d for a in results.architectures for d in label_figures(a)),
    ]
    page = write_page(directory, "report.html", render(results, directory, against, linked=True), shown)
    save_attention(results, directory / "figures")
    return page


def using(results: Results, directory: Path) -> str:
    """The command line that uses the winner of the comparison in the directory; "" where no run finished."""
    if not any(architecture.finished for architecture in results.architectures):
        return ""
    return predicting(results, directory)


def render(
    results: Results, directory: Path | None = None, against: Differences | None = None, *, linked: bool = False
) -> str:
    """The page as HTML; it ends with the command line that uses the winner where its directory is known.

    linked: whether results.json is beside the page, for a link to it
    """
    figures = {d.name: d for d in all_drawings(results)}
    info = results.metric
    with with_sources():
        judged, warnings, recommended = judgement_of(results), warnings_of(results), recommendation_line(results)
        each, power = training_each(results), results.power_note
        times = f"{timing(results)} {energy(results)}".strip()
    return render_page(
        "report.html.j2",
        "results.json",
        results,
        figures.values(),
        linked=linked,
        each=each,
        judged=sentences(judged),
        cautions=warnings[: len(results.cautions)],
        warnings=warnings[len(results.cautions) :],
        meaning=meaning(info),
        timing=times,
        power_note=power,
        joules={
            a.arch: (joule_text(joules), energy_places(results, a.arch))
            for a in results.architectures
            if (joules := training_energy(results, a.arch)) is not None
        },
        longer=longer(results),
        lengths=lengths(results),
        info=info,
        figures=figures,
        rows=_rows(results),
        place={a.arch: i for i, a in enumerate(results.architectures)},
        brief=partial(brief, results),
        against=against,
        against_data=data_line(against) if against else "",
        against_rows=differences_rows(against, results) if against else [],
        use_recommended=using_recommended(results, directory) if directory else "",
        recommended=recommended,
        fronts=front_drawings(results),
        explored=front_explorer(results),
        metrics=_other_metrics(results),
        series={a.arch: i % 8 for i, a in enumerate(results.architectures)},
        examples=[_example(example) for example in results.examples],
        unfinished=[run for run in results.runs if run.status != "done"],
        unfinished_at=[("runs", at) for at, run in enumerate(results.runs) if run.status != "done"],
        without_attention=_without_attention(results),
        labels={a.arch: shown for a in results.ranked if (shown := label_figures(a))},
        environment=environment_rows(results.environment),
        using=using(results, directory) if directory else "",
        chosen_by=chosen_by(results),
        timed=next((a for a in results.architectures if a.ms is not None), None),
        carried=next((a for a in results.architectures if a.state_bytes is not None), None),
        SHADES=SHADES,
        MOST_ROWS=MOST_ROWS,
        attention=[_attended(example) for example in results.attention],
    )


def all_drawings(results: Results) -> list[Drawing]:
    """The figures of the whole comparison."""
    return [*drawings(results), *comparison_drawings(results)]


class _Ranked(NamedTuple):
    """One architecture in the main table.

    pair: its difference to the best one, None for the best one itself; pair_at: its place in results.json
    train_s, tokens_per_s: see `training_cost`; train_from, speed_from: their places in results.json
    """

    architecture: Architecture
    pair: Pair | None
    pair_at: int
    train_s: float | None
    tokens_per_s: float | None
    train_from: list[Place]
    speed_from: list[Place]


class _Prediction(NamedTuple):
    """A prediction, with all architectures that made it."""

    text: str
    archs: list[str]
    right: bool


def _rows(results: Results) -> list[_Ranked]:
    ranked = results.ranked
    behind = {pair.second: (pair, at) for at, pair in enumerate(results.pairs) if pair.first == ranked[0].arch}
    return [
        _Ranked(a, *behind.get(a.arch, (None, 0)), *training_cost(results, a.arch), *cost_places(results, a.arch))
        for a in ranked
    ]


def _other_metrics(results: Results) -> list[Metric]:
    """The first of the further metrics, in the task's order."""
    names = dict.fromkeys(name for architecture in results.architectures for name in architecture.metrics)
    return [results.metric_named(name) for name in names if name != results.primary_metric][:OTHER_METRICS]


def brief(results: Results, metric: Metric, architecture: Architecture) -> str:
    """A further metric of an architecture with three significant digits, four where three show all the same."""
    values = {a.arch: e.mean for a in results.architectures if (e := a.metrics.get(metric.name)) is not None}
    known = {arch: value * metric.factor for arch, value in values.items() if defined(value)}
    if architecture.arch not in known:
        return metric.number(None) if architecture.arch in values else "—"
    texts = {arch: significant(value, 3) for arch, value in known.items()}
    if len(set(texts.values())) == 1:
        texts = {arch: significant(value, 4) for arch, value in known.items()}
    return texts[architecture.arch].replace("-", "−")


def _example(example: Example) -> tuple[Example, list[_Prediction]]:
    archs: dict[str, list[str]] = {}
    for arch, text in example.predictions.items():
        archs.setdefault(text, []).append(arch)
    predictions = [_Prediction(text, names, text == example.reference) for text, names in archs.items()]
    return example, sorted(predictions, key=lambda r: not r.right)


def _attended(example: AttentionExample) -> tuple[AttentionExample, list[ArchitectureMaps], list[ArchitectureMaps]]:
    """An example with the architectures that have learnt it, and the others."""
    mapped = [maps for maps in example.architectures if maps.maps]
    known = [maps for maps in mapped if learnt(maps, example.reference)]
    return example, known, [maps for maps in mapped if maps not in known]


def _without_attention(results: Results) -> list[str]:
    mapped = {maps.arch for example in results.attention for maps in example.architectures}
    return [a.arch for a in results.architectures if a.finished and a.arch not in mapped]


def sentences(text: str) -> list[str]:
    """A verdict as sentences, so that the page can emphasise the first."""
    return re.split(r"(?<=\.) (?=\S)", visible(text))


def meaning(metric: Metric) -> str:
    """What values of a metric mean, in a sentence."""
    better = "More is better." if metric.higher_is_better else "Less is better."
    unit = f" in {metric.unit}" if metric.unit else ""
    best = metric.limits[1] if metric.higher_is_better else metric.limits[0]
    ideal = f" The best possible value is {metric.number(best)}." if math.isfinite(best) else ""
    return f"The score that decides{unit}. {better}{ideal}"
