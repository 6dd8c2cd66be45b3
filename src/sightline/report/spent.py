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


def training_energy(results: Results, arch: str) -> float | None:
    """The mean joules of the finished runs of an architecture; None where the machine does not tell."""
    joules = [run.energy_j for run in _done(results) if run.arch == arch and run.energy_j is not None]
    return sum(joules) / len(joules) if joules else None


def energy_places(results: Results, arch: str) -> list[tuple[str | int, ...]]:
    """Where the joules of `training_energy` stand in results.json."""
    runs = enumerate(results.runs)
    return [("runs", at, "energy_j") for at, run in runs if run.arch == arch and run.status == "done"]


def energy(results: Results) -> str:
    """What the energy of runs is that of; nothing where the machine does not tell."""
    joules = [run.energy_j for run in _done(results) if run.energy_j is not None]
    if not joules:
        return ""
    counters = ", ".join(results.environment.get("energy_counters", []))
    shared = f", an equal share of {results.budget.workers} runs at once" if results.budget.workers > 1 else ""
    low, high = joule_text(min(joules)), joule_text(max(joules))
    each = low if low == high else f"{low} to {high}"
    return f"Energy: {each} for each run ({counters}{shared}; idle power and other programs included)."


def joule_text(joules: float | None) -> str:
    """Joules as text: 850 J, 12.4 kJ, 1.3 MJ; an em dash where they are not known."""
    if joules is None:
        return "—"
    for unit, factor in (("MJ", 1e6), ("kJ", 1e3)):
        if joules >= factor:
            return f"{joules / factor:.3g} {unit}"
    return f"{joules:.3g} J"


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
    planned = results.planned(arch)
    return None if planned is None else planned.run.training_s / planned.run.steps


def _search(results: Results) -> str:
    """A run's share of the trials of its architecture, of which some may have had one more than others."""
    plan = results.budget
    trials = {sum(rate.share for rate in a.rates) for a in results.architectures if a.rates}
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
