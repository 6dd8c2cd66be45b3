"""`sightline ladder`: the lineage of mechanisms as an experiment on the user's data; writes a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sightline.cli import flags
from sightline.cli.plugins import PLUGIN_HELP, Plugins

if TYPE_CHECKING:
    from sightline.lab.ladder_results import LadderResults
    from sightline.lab.plan import CompareConfig

QUICK = {"budget": "10s", "seeds": 2, "search": 0.0, "tested": 300, "length": 512}
USUAL = {"budget": "60s", "seeds": 3, "search": 0.2, "tested": 1000, "length": 2048}


def ladder(
    data: flags.DataPlace,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    task: flags.TaskName = None,
    budget: str | None = None,
    plan: Path | None = None,
    seeds: int | None = None,
    match: str | None = None,
    plugin: Annotated[Plugins, Parameter(help=f"{PLUGIN_HELP} Each mechanism is one more rung.")] = None,
    out_dir: flags.OutDir = None,
    search: Annotated[float | None, Parameter(help=f"{flags.SEARCH_HELP} Default: 0.2, with --quick 0.")] = None,
    runs: flags.RunFlags = flags.RunFlags(),
    metric: str = "auto",
    tested: Annotated[int | None, Parameter(help=f"{flags.TESTED_HELP} Default: 1000, with --quick 300.")] = None,
    margin: flags.Margin = None,
    length: int | None = None,
    read: flags.DataFlags = flags.DataFlags(),
    cluster: Annotated[
        str | None, Parameter(help=f"{flags.CLUSTER_HELP} Layers alone are timed on this machine.")
    ] = None,
    quick: bool = False,
    dry_run: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Climb from RNN to linear attention on your data: does the historical reason for each step hold here?

    RNN, LSTM, GRU, attention, residual layers, self-attention, several heads, positions, sparse and linear attention:
    each rung changes one thing against the one before it, at the same number of parameters and in the same budget. For
    each the paired difference with its interval, whether the reason holds, does not hold or is not decided, and the
    cost. Writes ladder.html, ladder.json and figures, and report.html and results.json of the underlying comparison.
    Every key of the task's configuration is a flag too, as with `sightline compare`.

    Args:
        budget: Budget of each run: 60s, 5min, 500steps, 2Mtok or 1e15flop. Default: 60s, with --quick 10s.
        plan: Directory or results.json of an earlier ladder with a budget in seconds; use its numbers of steps.
        seeds: Number of runs of each rung; a verdict needs at least 2. Default: 3, with --quick 2.
        match: Number of parameters of each rung, such as params=2M. Default: that of the rung with positions, as its
            preset has it.
        metric: Metric that decides. auto: the task's default.
        length: Positions at which the layers are timed alone. Default: 2048, with --quick 512.
        quick: Shorter runs, two seeds and no search, to see what a ladder looks like.
        dry_run: Read the data, show the rungs and their sizes; write nothing.
        resume: Continue the ladder in --out-dir after a kill, or add seeds to it.
        overwrite: Replace the ladder or the comparison in --out-dir.
    """
    from sightline.cli.messages import command_line, messages, tell
    from sightline.core.settings import check_in_range
    from sightline.lab.ladder import check_meant

    flags.check_exclusive(out_dir=out_dir, resume=resume, overwrite=overwrite, what="ladder", budget=budget, plan=plan)
    check_in_range("--length", length, at_least=16)
    asked: dict[str, Any] = {
        "budget": budget, "seeds": seeds, "search": search, "tested": tested, "length": length
    }  # fmt: skip
    usual = QUICK if quick else USUAL
    sizes: dict[str, Any] = {key: usual[key] if value is None else value for key, value in asked.items()}
    positions: int = sizes.pop("length")
    settings = flags.settings_of(overrides, **vars(read))
    check_meant(settings)
    config = flags.comparison_of(
        data, task, runs, settings=settings, match=match, plugin=tuple(plugin or ()), metric=metric, margin=margin,
        **sizes,
    )  # fmt: skip
    if dry_run:
        with messages(quiet=quiet):
            _dry(config, json=json)
        return

    from sightline.cli.tables import show_results
    from sightline.lab.directory import RESULTS, free_directory, name_of_data, occupied
    from sightline.lab.ladder_run import run_ladder
    from sightline.lab.progress import Display
    from sightline.lab.results import Results
    from sightline.report.html import write_report
    from sightline.report.ladder import write_ladder

    directory = out_dir or free_directory(Path("runs"), f"ladder-{name_of_data(data)}")
    how: dict[str, Any] = {"overwrite": overwrite, "plan": plan, "resume": resume, "cluster": cluster}
    command = command_line()
    with occupied(directory, overwrite=overwrite or resume):
        results = run_ladder(config, directory, command=command, length=positions, display=Display(quiet=quiet), **how)
        write_report(Results.load(directory / RESULTS), directory)
        page = write_ladder(results, directory)
    for note in results.data.notes:
        tell(note)
    show_results(results, print_ladder, f"page: {page}", json=json)


def _dry(config: CompareConfig, *, json: bool) -> None:
    """Print the rungs with their changes and sizes."""
    from sightline.cli.messages import print_json
    from sightline.core.digits import amount, number_of
    from sightline.lab.ladder_costs import rung_sizes
    from sightline.lab.ladder_run import planned

    config, lineage = planned(config)
    sizes = {size.name: size for size in rung_sizes(config, lineage.names)}
    rows = [
        {"rung": rung.name, "over": rung.over, "change": rung.change, "keys": list(rung.keys),
         "parameters": sizes[rung.name].parameters, "d_model": sizes[rung.name].model.d_model}
        for rung in lineage.rungs
    ]  # fmt: skip
    if json:
        print_json({"schema_version": 1, "task": config.task, "match": config.match, "rungs": rows,
                    "omitted": dict(lineage.omitted)})  # fmt: skip
        return
    each = f"{amount(config.budget)} for each run, {number_of(config.seeds, 'seed')}"
    print(f"{config.task}, {config.match}, {each}; dry run: nothing written")
    for row in rows:
        change = f"against {row['over']}: {row['change']}" if row["over"] else "the first rung"
        print(f"{row['rung']:<16} {row['parameters']:>10,} parameters, width {row['d_model']:>4}  {change}")
    for name, reason in lineage.omitted.items():
        print(f"left out: {name}: {reason}")


def print_ladder(results: LadderResults) -> None:
    """The verdict, the table of rungs, and what decided each."""
    from rich.text import Text

    from sightline.cli.tables import console_for, table_of
    from sightline.report.ladder_text import claim_line, difference_text, quality_text
    from sightline.report.text import quantity, size, visible

    metric = results.metric
    headings = ("rung", "reason", f"difference, {metric.unit_of_difference} [95 %]", metric.label, "train s",
                f"{results.data.speed_unit}/s", "params", "state")  # fmt: skip
    rows = [
        (
            rung.title, rung.verdict or "", difference_text(results, rung),
            quality_text(results, rung).partition(" [")[0],  # the page has the interval
            quantity(rung.train_s), quantity(rung.speed), quantity(rung.parameters), size(rung.state_bytes),
        )
        for rung in results.rungs
    ]  # fmt: skip
    table = table_of(headings, rows, left=2)
    console = console_for(table, 120)
    print(visible(results.verdict), end="\n\n", flush=True)
    console.print(table)
    for rung in results.rungs:
        if rung.verdict is not None:
            console.print(Text(f"\n{rung.title}, against {rung.over}: {rung.verdict}. {rung.reason} ({rung.paper})"))
            for claim in rung.claims:
                console.print(Text(f"  {claim_line(results, claim)}"))
    for warning in results.warnings:
        console.print(Text(f"\n{visible(warning)}"))
    print(flush=True)
