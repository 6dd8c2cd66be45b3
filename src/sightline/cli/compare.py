"""`sightline compare`: compare architectures under one budget; prints a verdict and writes a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sightline.cli import flags
from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.lab.plan import CompareConfig
    from sightline.lab.results import Results


def compare(
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    data: flags.DataPlace,
    task: flags.TaskName = None,
    archs: flags.Archs = None,
    budget: str | None = None,
    plan: Path | None = None,
    seeds: int = 3,
    match: str | None = None,
    plugin: Plugins = None,
    out_dir: flags.OutDir = None,
    search: flags.SearchShare = 0.2,
    runs: flags.RunFlags = flags.RunFlags(),
    sizes: int = 1,
    metric: str = "auto",
    tested: flags.Tested = 1000,
    margin: flags.Margin = None,
    until_decided: bool = False,
    max_seeds: int = 10,
    read: flags.DataFlags = flags.DataFlags(),
    cluster: flags.Cluster = None,
    prefer: Literal["quality", "speed", "memory", "balanced"] = "quality",
    resume: bool = False,
    overwrite: bool = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Train several architectures under one budget and report which is best, with the uncertainty of that verdict.

    Writes report.html, results.json and figures; progress goes to standard error. Every other key of the task's
    configuration is a flag too, as with `sightline train`, and applies to all architectures: --source-column, for
    instance.

    Args:
        budget: Budget of each run: 60s, 5min, 500steps, 2Mtok, 1e15flop or 5kJ. Seconds and joules become a number of
            steps, measured first, so that other work on the machine changes nothing later; 60s-wall follows the clock.
            Default: 60s.
        plan: Directory or results.json of an earlier comparison with a budget in seconds; use its numbers of steps.
        seeds: Number of runs of each architecture; with --until-decided, the number to begin with. A verdict needs at
            least 2.
        match: Scale every architecture to the same size: parameters (params=2M), training operations per token
            (flops=1.5M) or bytes of state after a number of tokens (state=64KB@1024).
        sizes: Number of sizes that the search tries with each rate, a factor of 4 in parameters apart, by successive
            halving; 1 keeps the preset's.
        metric: Metric that decides the ranking. auto: the task's default (translation: exact match of single words,
            chrF of targets up to four words, otherwise BLEU).
        until_decided: Add seeds, one of each architecture at a time, until the best one is better than every other one
            or practically the same, or until --max-seeds. The verdict is as reliable as with --seeds alone.
        max_seeds: Maximum number of seeds of each architecture with --until-decided.
        prefer: Priority by which one architecture is recommended; `sightline report` changes it later.
        resume: Continue the comparison in --out-dir after a kill, or add architectures and seeds to it; finished runs
            are not trained again.
        overwrite: Replace the comparison in --out-dir.
    """
    from sightline.lab.directory import name_of_data

    flags.check_exclusive(
        out_dir=out_dir, resume=resume, overwrite=overwrite, what="comparison", budget=budget, plan=plan
    )
    config = flags.comparison_of(
        data,
        task,
        runs,
        archs,
        settings=flags.settings_of(overrides, **vars(read)),
        budget=budget or "60s",
        seeds=seeds,
        match=match,
        plugin=tuple(plugin or ()),
        search=search,
        sizes=sizes,
        metric=metric,
        tested=tested,
        margin=margin,
        until_decided=until_decided,
        max_seeds=max_seeds,
        prefer=prefer,
    )
    where = {"overwrite": overwrite, "plan": plan, "resume": resume, "cluster": cluster}
    run(config, out_dir, name=name_of_data(data), json=json, quiet=quiet, **where)


def run(
    config: CompareConfig,
    out_dir: Path | None,
    *,
    name: str,
    overwrite: bool,
    json: bool,
    quiet: bool,
    plan: Path | None = None,
    resume: bool = False,
    cluster: str | None = None,
) -> None:
    """Compare and write the report; print the verdict, the table and the report's path, or the results as JSON."""
    from sightline.cli.messages import command_line, print_json, tell
    from sightline.lab.compare import NoRunFinished
    from sightline.lab.compare import compare as run_comparison
    from sightline.lab.directory import free_directory, occupied
    from sightline.lab.progress import Display
    from sightline.report.html import using, write_report
    from sightline.report.recommendation import using_recommended
    from sightline.report.text import visible

    directory = out_dir or free_directory(Path("runs"), f"compare-{name}")
    failure = None
    with occupied(directory, overwrite=overwrite or resume):
        try:
            results = run_comparison(
                config,
                directory,
                command=command_line(),
                overwrite=overwrite,
                resume=resume,
                display=Display(quiet=quiet),
                plan=plan,
                cluster=cluster,
            )
        except NoRunFinished as error:
            results, failure = error.results, error
        report = write_report(results, directory)
    for note in results.data.notes:
        tell(note)
    if json:
        print_json(results.to_dict())
    else:
        print_table(results)
        print(f"report: {report}")
        if use := using(results, directory):
            print(f"use the winner: {visible(use)}")
        if use := using_recommended(results, directory):
            print(f"use the recommended: {visible(use)}")
    if failure is not None:
        raise failure


def print_table(results: Results) -> None:
    """The verdict and the table of architectures, best first."""
    from rich.text import Text

    from sightline.cli.tables import console_for, table_of
    from sightline.core.digits import significant
    from sightline.report.estimates import score_of
    from sightline.report.longer import longer_lines
    from sightline.report.recommendation import fronts_line, recommendation_line
    from sightline.report.spent import energy, joule_text, timing, training_cost, training_each, training_energy
    from sightline.report.text import capitalised, quantity, size, visible

    info = results.metric
    rows = []
    per = next((a.ms_per for a in results.architectures if a.ms is not None), "item")
    known = any(run.energy_j is not None for run in results.runs)
    headings = (
        "architecture",
        f"{info.label} [95 %]",
        "train s",
        *(["energy"] if known else []),
        f"{results.data.speed_unit}/s",
        "params",
        "memory",
        f"ms/{per}",
        "state",
    )
    for a in results.ranked:
        score = a.metrics.get(results.primary_metric)
        quality = "no run finished" if score is None else score_of(info, score)
        name = a.arch + "*" * bool(a.cautions)
        seconds, speed = training_cost(results, a.arch)
        joules = [joule_text(training_energy(results, a.arch))] if known else []
        rows.append(
            (name, quality, quantity(seconds), *joules, quantity(speed), quantity(a.parameters),
             size(a.peak_memory_bytes), "—" if a.ms is None else significant(a.ms, 3), size(a.state_bytes))
        )  # fmt: skip
    table = table_of(headings, rows)
    console = console_for(table, 100)
    print("\n".join(map(visible, (results.judgement, *(f"caution: {each}" for each in results.cautions)))), end="\n\n")
    print(f"{capitalised(training_each(results))}. {timing(results)} {energy(results)}".strip(), flush=True)
    console.print(table)
    for line in longer_lines(results):
        console.print(Text(visible(line)))
    for unfinished in (run for run in results.runs if run.status != "done"):
        text = f"{unfinished.arch}, seed {unfinished.seed}: {unfinished.status}: {unfinished.error}"
        console.print(Text(visible(text)))
    for a in results.ranked:
        if a.cautions:
            console.print(Text(visible(f"* {a.arch}: {', '.join(a.cautions)}")))
    if note := results.power_note:
        console.print(Text(visible(note)))
    for warning in results.warnings[len(results.cautions) :]:
        console.print(Text(visible(warning)))
    for line in filter(None, (fronts_line(results), recommendation_line(results))):
        print(visible(line), flush=True)
    console.print()
