"""The measured run of docs/tutorials/scale.md: its verdict, figure and tables, from the results of `make scale`."""

from __future__ import annotations

import re
from pathlib import Path

from sightline.core.digits import amount, number_of
from sightline.lab.scaling_results import ScaleResults
from sightline.report.drawing import Drawing
from sightline.report.scaling import held_out_rows, law_rows, text_of
from sightline.report.scaling_figures import scaling_drawings

BEGIN, END = "<!-- a measured run: written by docs/generate.py -->", "<!-- end -->"
FIGURES = "figures/scale"
RESULTS = "scale-shakespeare.json"


def scale_page(page: str, results: ScaleResults | None) -> str:
    """The page with its measured run written again; as it is without one."""
    if results is None:
        return page
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{measured_run(results)}\n\n{END}{after}"


def load_scale(directory: Path) -> ScaleResults | None:
    """The results of `make scale`, None where there are none."""
    file = directory / RESULTS
    return ScaleResults.load(file) if file.exists() else None


def draw_scale(results: ScaleResults, directory: Path) -> None:
    """Write the figure of the page as SVG to `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    first_figure(results).save(directory, ("svg",))


def first_figure(results: ScaleResults) -> Drawing:
    """The losses by parameters, with the laws and the held-out size."""
    return scaling_drawings(results)[0]


def measured_run(results: ScaleResults) -> str:
    """The section in Markdown."""
    figure, info = first_figure(results), results.info
    cores, cpu = results.environment.get("cores"), results.environment.get("cpu")
    lines = [
        "## A measured run",
        "",
        (
            f"Language models of tiny Shakespeare (Karpathy 2015), {amount(results.fixed)} for each run, "
            f"{number_of(len(results.seeds), 'seed')}:"
        ),
        "",
        *(f"- {sentence}" for sentence in re.split(r"(?<=\.) ", results.verdict)),
        "",
        f"![{figure.description}](../{FIGURES}/{figure.name}.svg)",
        "",
        f"*{figure.title}.*",
        "",
        "The laws, with 95 % intervals:",
        "",
        "| architecture | along | exponent α | bend | largest residual | |",
        "|---|---|--:|--:|--:|---|",
    ]
    lines += [
        f"| {row.arch} | {row.along} | {row.exponent} | {row.bend} | {row.worst} | {row.note} |"
        for row in law_rows(results)
    ]
    lines += ["", *_held_out(results)]
    label = f"{info.label}, {info.unit}" if info.unit else info.label
    lines += [
        "Every size:",
        "",
        f"| architecture | parameters | d_model | FLOPs of a run | learning rate | {label} |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for point in results.points:
        name = f"{point.arch} (held out)" if point.held_out else point.arch
        rate = "" if point.learning_rate is None else f"{point.learning_rate:g}"
        loss = text_of(point.loss, info.digits, info.factor)
        flops = "" if point.flops is None else f"{point.flops:.3g}"
        cells = (name, f"{point.parameters:,}", str(point.d_model), flops, rate, loss)
        lines.append(f"| {' | '.join(cells)} |")
    lines += [""]
    lines += [f"*{warning}*\n" for warning in results.warnings]
    torch = results.environment.get("packages", {}).get("torch", "").partition("+")[0]
    machine = f"{number_of(cores, 'core')} of an {cpu}" if cores else str(cpu)
    lines.append(f"Command: `make scale`, on {machine}, torch {torch}. Numbers: `benchmarks/results/{RESULTS}`.")
    return "\n".join(lines)


def _held_out(results: ScaleResults) -> list[str]:
    rows = held_out_rows(results)
    if not rows:
        return []
    lines = [
        "The size that no fit had seen:",
        "",
        "| architecture | parameters | predicted | measured | error | the law |",
        "|---|--:|--:|--:|--:|---|",
    ]
    outcomes = {True: "holds", False: "does not hold", None: "not decided"}
    lines += [
        f"| {row.arch} | {row.parameters:,} | {row.predicted} | {row.measured} | {row.error} | {outcomes[row.holds]} |"
        for row in rows
    ]
    return [*lines, ""]
