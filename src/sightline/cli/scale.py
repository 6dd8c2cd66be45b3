"""`sightline scale`: architectures at several sizes under the same budget, and the power law of their loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sightline.cli import flags
from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.lab.scaling import ScaleConfig
    from sightline.lab.scaling_results import ScaleResults, SizePoint

QUICK = {"budget": "200ktok", "sizes": 4, "seeds": 2}
FULL = {"budget": "2Mtok", "sizes": 5, "seeds": 3}


def scale(
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    data: flags.DataPlace,
    task: flags.TaskName = None,
    archs: flags.Archs = None,
    budget: str | None = None,
    smallest: int = 50_000,
    ratio: float = 2.0,
    sizes: int | None = None,
    held_out: int = 1,
    seeds: int | None = None,
    plugin: Plugins = None,
    out_dir: flags.OutDir = None,
    search: Annotated[float, Parameter(help=f"{flags.SEARCH_HELP} Each size has its own search.")] = 0.2,
    runs: flags.RunFlags = flags.RunFlags(),
    metric: str = "auto",
    tested: flags.Tested = 1000,
    limit: flags.Limit = None,
    cluster: flags.Cluster = None,
    quick: bool = False,
    dry_run: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Train architectures at several sizes under the same budget, and fit how fast their loss falls with size.

    The power law is fitted to all sizes but the largest, predicts that one, and is then checked against its
    measurement. Exponents have intervals over seeds and test items, and so have their differences between
    architectures. Writes scale.html, scale.json and a comparison for each size. Every other key of the task's
    configuration is a flag too, as with `sightline train`, and applies to all models. Without --tokenizer.kind texts
    are split into bytes or characters, which leaves small models more than a vocabulary.

    Args:
        budget: Budget of each run at every size, in tokens (2Mtok) or training FLOPs (1e13flop). Default: 2Mtok.
        smallest: Parameters of the smallest models.
        ratio: Ratio of the parameters of neighbouring sizes.
        sizes: Number of sizes. Default: 5.
        held_out: Number of the largest sizes to leave out of the fit and to check it against.
        seeds: Number of runs of each architecture at each size; intervals need at least 2. Default: 3.
        metric: Loss to fit. auto: bits per byte of text; the loss where a higher value of the task's metric is better.
        quick: Four sizes, two seeds and 200ktok, unless flags say otherwise.
        dry_run: Build every model, show its parameters and its planned training; train nothing.
        resume: Continue the ladder in --out-dir after a kill, or add architectures, seeds and sizes to it.
        overwrite: Replace the ladder in --out-dir.
    """
    from sightline.lab.scaling import ScaleConfig

    flags.check_exclusive(out_dir=out_dir, resume=resume, overwrite=overwrite, what="ladder")
    usual: dict[str, Any] = QUICK if quick else FULL
    comparison = flags.comparison_of(
        data,
        task,
        runs,
        archs,
        settings=flags.settings_of(overrides, limit=limit),
        budget=budget or usual["budget"],
        seeds=usual["seeds"] if seeds is None else seeds,
        plugin=tuple(plugin or ()),
        search=search,
        metric=metric,
        tested=tested,
    )
    config = ScaleConfig(comparison, smallest, ratio, usual["sizes"] if sizes is None else sizes, held_out)
    if dry_run:
        _show_plan(config, json=json)
        return

    from sightline.cli.messages import command_line, progress_lines
    from sightline.cli.tables import show_results
    from sightline.lab.directory import LADDER_OF_SIZES, free_directory, name_of_data, occupied
    from sightline.lab.progress import Display
    from sightline.lab.scaling import scale as run_ladder
    from sightline.report.scaling import write_scaling_pages

    directory = out_dir or free_directory(Path("runs"), f"scale-{name_of_data(data)}")
    with occupied(directory, overwrite=overwrite or resume, what=LADDER_OF_SIZES):
        results = run_ladder(
            config,
            directory,
            command=command_line(),
            overwrite=overwrite,
            resume=resume,
            cluster=cluster,
            display=Display(quiet=quiet),
            say=progress_lines(quiet=quiet),
        )
        page = write_scaling_pages(results, directory)
    show_results(results, print_scale, f"report: {page}", json=json)


def _show_plan(config: ScaleConfig, *, json: bool) -> None:
    """The sizes of all models and what their training would be."""
    from sightline.cli.messages import print_json
    from sightline.core.digits import amount, number_of
    from sightline.lab.scaling import planned_sizes
    from sightline.report.text import quantity
    from sightline.training.budget import Budget

    metric, points = planned_sizes(config)
    budget = Budget.parse(config.comparison.budget)
    each = [point.flops_per_token * budget.amount if budget.unit == "tokens" else budget.amount for point in points]
    total = config.comparison.seeds * sum(each)
    if json:
        rows = [_planned(point, flops) for point, flops in zip(points, each, strict=True)]
        print_json({"schema_version": 1, "metric": metric, "sizes": rows, "flops": total})
        return
    headings = ("architecture", "asked for", "parameters", "d_model", "FLOPs/token", "FLOPs/run", "")
    rows = [
        (
            point.arch, f"{point.target:,}", f"{point.parameters:,}", str(point.d_model),
            quantity(point.flops_per_token), f"{flops:.2e}", "held out" if point.held_out else "",
        )
        for point, flops in zip(points, each, strict=True)
    ]  # fmt: skip
    _table(headings, rows)
    runs = number_of(config.trainings, "run")
    searched = ", searches for learning rates included" if config.comparison.searches else ""
    print(f"{runs} of {amount(config.comparison.budget)}, {total:.2e} FLOPs in all{searched}; fitted: {metric}")
    print("dry run: nothing was trained or written")


def _planned(point: SizePoint, flops: float) -> dict[str, object]:
    names = ("arch", "target", "parameters", "d_model", "flops_per_token", "held_out")
    return {**{name: getattr(point, name) for name in names}, "flops_per_run": flops}


def print_scale(results: ScaleResults) -> None:
    """The verdict, the losses by size and the laws."""
    from sightline.report.scaling import held_out_rows, law_rows, text_of
    from sightline.report.text import quantity, visible

    info = results.info
    print(visible(results.verdict), end="\n\n")
    points = [
        (
            point.arch, quantity(point.parameters), "—" if point.flops is None else f"{point.flops:.2e}",
            text_of(point.loss, info.digits, info.factor) or "no run finished", "held out" if point.held_out else "",
        )
        for point in results.points
    ]  # fmt: skip
    _table(("architecture", "parameters", "FLOPs/run", f"{info.label} [95 %]", ""), points)
    laws = [(law.arch, law.along, law.exponent or "—", law.bend or "—", law.note) for law in law_rows(results)]
    _table(("architecture", "along", "exponent [95 %]", "bend [95 %]", ""), laws)
    checks = [
        (one.arch, quantity(one.parameters), one.predicted, one.measured, one.error,
         "not decided" if one.holds is None else "holds" if one.holds else "does not hold")
        for one in held_out_rows(results)
    ]  # fmt: skip
    if checks:
        _table(("held out", "parameters", "predicted [95 %]", "measured [95 %]", "error", "the law"), checks)
    for warning in results.warnings:
        print(visible(warning))


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from sightline.cli.tables import console_for, table_of

    table = table_of(headings, rows)
    console = console_for(table, 120)
    console.print(table)
    console.print()
