"""What each run of a comparison had, in words: its training, its share of the search, planned and real seconds."""

from __future__ import annotations

from sightline.core.digits import percent
from sightline.lab.cautions import speed_range
from sightline.lab.plan import written
from sightline.lab.results import Results, Run
from sightline.report.text import amount
from sightline.training.budget import Budget


def training_each(results: Results) -> str:
    """The training of a run: "33 s of training each after 8 s of search".

    Seconds are those that the runs had: on a CPU, of the processor. Other work makes them take longer, not have more.
    """
    plan, whole = results.budget, Budget.parse(results.budget.per_run)
    own = whole.unit == "seconds"
    took = [s for run in _done(results) if (s := results.own_s(run) if own else run.train_s) is not None]
    each = _range(took) if took and whole.unit in ("seconds", "wall") else amount(plan.final_each or plan.per_run)
    return f"{each} of training each{_search(results)}"


def training_cost(results: Results, arch: str) -> tuple[float | None, float | None]:
    """The mean of `Results.own_s` over the finished runs of an architecture, and its tokens per second of training."""
    runs = [(run, s) for run in _done(results) if run.arch == arch and (s := results.own_s(run)) is not None]
    if not runs:
        return None, None
    speeds = [run.tokens / max(seconds, 1e-9) for run, seconds in runs if run.tokens is not None]
    return sum(seconds for _, seconds in runs) / len(runs), sum(speeds) / len(speeds) if speeds else None


def cost_places(results: Results, arch: str) -> tuple[list[tuple[str | int, ...]], list[tuple[str | int, ...]]]:
    """Where the values of `training_cost` stand in results.json: seconds, and tokens with their seconds in turns."""
    runs = [(at, run) for at, run in enumerate(results.runs) if run.arch == arch and run.status == "done"]
    field = "train_s" if results.environment.get("gpus") or any(run.cpu_s is None for _, run in runs) else "cpu_s"
    seconds: list[tuple[str | int, ...]] = [("runs", at, field) for at, _ in runs]
    ratios: list[tuple[str | int, ...]] = [
        ("runs", at, name) for at, run in runs if run.tokens is not None for name in ("tokens", field)
    ]
    return seconds, ratios


def seconds_of_step(results: Results, arch: str) -> float | None:
    """The planned seconds of a step and its share of the validations; None where seconds did not become steps."""
    planned = results.budget.steps_of(arch)
    return None if planned is None else planned.run.training_s / planned.run.steps


def _search(results: Results) -> str:
    """A run's share of the trials of its architecture, of which some may have had one more than others."""
    plan = results.budget
    trials = {len(a.rates) for a in results.architectures if a.rates}
    if not trials or plan.search_each is None:
        return ""
    each = Budget.parse(plan.search_each)
    unit = "seconds" if each.unit == "wall" else each.unit
    shares = [float(f"{count * each.amount / len(plan.seeds):.3g}") for count in (min(trials), max(trials))]
    return f" after {' to '.join(dict.fromkeys(amount(written(share, unit)) for share in shares))} of search"


def timing(results: Results) -> str:
    """Planned and real seconds, and how evenly runs of one architecture went; nothing where it is not known."""
    parts, runs = [], _done(results)
    planned = [run.planned_s for run in runs if run.planned_s is not None]
    took = [run.train_s for run in runs if run.train_s is not None]
    if planned and took:
        own = [run.cpu_s for run in runs if run.cpu_s is not None]
        processor = f", {_range(own)} of them with the processor" if own and not results.environment.get("gpus") else ""
        parts.append(f"Planned: {_range(planned)} of training on an idle machine; it took {_range(took)}{processor}.")
    spread = 0.0
    for arch in dict.fromkeys(run.arch for run in runs):
        timed = [run for run in runs if run.arch == arch and run.tokens and run.train_s]
        if len(timed) > 1:
            low, high = speed_range(timed)
            spread = max(spread, high / low - 1)
    if spread:
        parts.append(
            f"Runs of one architecture differ by up to {percent(spread)} in {results.data.speed_unit} per second."
        )
    return " ".join(parts)


def _done(results: Results) -> list[Run]:
    return [run for run in results.runs if run.status == "done"]


def _range(seconds: list[float]) -> str:
    """`33 s` or `31–35 s`, whole seconds from ten on."""
    low, high = (f"{value:.0f}" if value >= 9.5 else f"{value:.2g}" for value in (min(seconds), max(seconds)))
    return f"{low} s" if low == high else f"{low}–{high} s"
