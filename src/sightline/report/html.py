"""One self-contained HTML page from the results of a comparison. Runs no model, imports no torch.

The page fetches nothing. Its content security policy is `default-src 'none'` and allows only the style sheet and the
scripts with the given hashes. The template engine escapes all foreign text.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import jinja2
from markupsafe import Markup

from sightline.core.digits import significant
from sightline.core.files import write_file
from sightline.core.metrics import Metric, defined
from sightline.lab.differences import Differences
from sightline.lab.results import Architecture, ArchitectureMaps, AttentionExample, Example, Pair, Results
from sightline.report.attention import MOST_ROWS, learnt, save_attention
from sightline.report.details import comparison_drawings, label_figures
from sightline.report.differences import data_line, differences_rows
from sightline.report.drawing import Drawing
from sightline.report.figures import drawings
from sightline.report.fronts import front_drawings, front_explorer
from sightline.report.longer import lengths, longer
from sightline.report.page import chart_scripts, drawn, explorer, script_policy, small, source_hash
from sightline.report.recommendation import recommendation_line, using_recommended
from sightline.report.sources import locators
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
from sightline.report.text import amount, piece, quantity, size, visible

SHADES = 20  # shades of the attention maps
OTHER_METRICS = 2  # columns of the table beside the primary metric


def write_report(results: Results, directory: Path, against: Differences | None = None) -> Path:
    """Write `report.html` and the figures as PNG and SVG to `directory`; return the path of the page.

    against: the differences to another comparison, for a section of the page
    """
    figures = directory / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    shown = [
        *all_drawings(results),
        *front_drawings(results),
        *(d for a in results.architectures for d in label_figures(a)),
    ]
    for drawing in shown:
        drawing.save(figures)
    save_attention(results, figures)
    page = directory / "report.html"
    write_file(page, render(results, directory, against, linked=True))
    return page


def using(results: Results, directory: Path) -> str:
    """The command line that uses the winner of the comparison in the directory; "" where no run finished."""
    if not any(architecture.finished for architecture in results.architectures):
        return ""
    example = shlex.quote(results.examples[0].source) if results.examples else "INPUT"
    plugins = "".join(f"--plugin {shlex.quote(named)} " for named in results.environment.get("plugins", {}))
    return f"sightline predict {plugins}{shlex.quote(str(directory))} {example}"


def render(
    results: Results, directory: Path | None = None, against: Differences | None = None, *, linked: bool = False
) -> str:
    """The page as HTML; it ends with the command line that uses the winner where its directory is known.

    linked: whether results.json is beside the page, for a link to it
    """
    figures = {d.name: d for d in all_drawings(results)}
    info = results.metric
    plain = results.to_dict()
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            **page_parts(charts=any(drawing.chart for drawing in figures.values())),
            **locators("results.json", plain),
            linked=linked,
            results=results,
            each=training_each(results),
            judged=sentences(results.judgement),
            cautions=[warning for warning in results.warnings if warning in results.verdict],
            meaning=meaning(info),
            timing=f"{timing(results)} {energy(results)}".strip(),
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
            recommended=recommendation_line(results),
            fronts=front_drawings(results),
            explored=front_explorer(results),
            metrics=_other_metrics(results),
            series={a.arch: i % 8 for i, a in enumerate(results.architectures)},
            examples=[_example(example) for example in results.examples],
            unfinished=[run for run in results.runs if run.status != "done"],
            without_attention=_without_attention(results),
            labels={a.arch: made for a in results.ranked if (made := label_figures(a))},
            environment=environment_rows(results.environment),
            using=using(results, directory) if directory else "",
            timed=next((a for a in results.architectures if a.ms is not None), None),
            carried=next((a for a in results.architectures if a.state_bytes is not None), None),
            SHADES=SHADES,
            MOST_ROWS=MOST_ROWS,
            attention=[_attended(example) for example in results.attention],
        )
    )


def page_parts(*, charts: bool) -> dict[str, Any]:
    """What `page.html.j2` needs: style and policy, and the scripts where the page has charts."""
    style = style_sheet()
    return {"style": Markup(style), "style_hash": Markup(source_hash(style)), "charts": charts}


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
    train_from: list[tuple[str | int, ...]]
    speed_from: list[tuple[str | int, ...]]


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


def environment_rows(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts of a machine and its software, as a page lists them."""
    rows = []
    for key, value in environment.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        elif key.endswith("_bytes") and isinstance(value, int):
            key, value = key.removesuffix("_bytes"), size(value)
        if value not in (None, ""):
            rows.append((key.replace("_", " "), str(value)))
    return rows


def fixed(value: int | float | None, digits: int = 1) -> str:
    """A number with `digits` decimals, or an em dash."""
    return "—" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def shown(value: int | float | None, digits: int = 4) -> str:
    """A number with so many significant digits, or an em dash."""
    return significant(value, digits).replace("-", "−") if defined(value) else "—"


def sentences(text: str) -> list[str]:
    """A verdict in sentences, so that the first can stand out."""
    return re.split(r"(?<=\.) (?=\S)", visible(text))


def asides(sentence: str) -> Markup:
    """The sentence with what is in parentheses in smaller letters, and units beside their numbers."""
    parts = re.split(r"(\([^()]*\)|\[[^\[\]]*\])", unbroken(sentence))
    return Markup("").join(Markup("<small>{}</small>").format(part) if i % 2 else part for i, part in enumerate(parts))


def meaning(metric: Metric) -> str:
    """What values of a metric mean, in a sentence."""
    better = "More is better." if metric.higher_is_better else "Less is better."
    unit = f" in {metric.unit}" if metric.unit else ""
    best = metric.limits[1] if metric.higher_is_better else metric.limits[0]
    ideal = f" The best possible value is {metric.number(best)}." if math.isfinite(best) else ""
    return f"The score that decides{unit}. {better}{ideal}"


def shade(weight: int | float) -> int:
    """The shade of an attention weight, 0 to `SHADES`."""
    return 0 if not math.isfinite(weight) else round(min(max(weight, 0.0), 1.0) * SHADES)


def long(pieces: list[str]) -> bool:
    """Whether the pieces are too long for horizontal column headings."""
    return any(len(text) > 2 for text in pieces if text != "</s>")


def unbroken(text: str) -> str:
    """The text with non-breaking spaces between numbers and units."""
    return re.sub(r"(?<=\d) (?=%|points\b|to\b)", "\u00a0", text)


def probability(value: float) -> str:
    """A p-value as text."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def measured(metrics: Mapping[str, float | None], metric: Metric) -> str:
    """The metric among those that were measured, as text; an em dash where it was not."""
    return metric.text(metrics[metric.name]) if metric.name in metrics else "—"


@cache
def templates() -> jinja2.Environment:
    """The templates of pages; text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sightline.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible, "piece": piece, "size": size, "quantity": quantity, "fixed": fixed, "significant": shown,
        "shade": shade, "probability": probability, "long": long, "unbroken": unbroken, "asides": asides,
        "amount": amount,
    }  # fmt: skip
    cast("dict[str, Any]", environment.globals).update(
        measured=measured, drawn=drawn, small=small, explorer=explorer, chart_scripts=chart_scripts,
        script_policy=script_policy,
    )  # fmt: skip
    return environment


@cache
def style_sheet() -> str:
    """The style of every page."""
    loader = templates().loader
    assert loader is not None
    source, _, _ = loader.get_source(templates(), "report.css")
    shades = "\n".join(f".w{i}{{background:rgb(var(--heat)/{i / SHADES:g})}}" for i in range(1, SHADES + 1))
    return source + shades
