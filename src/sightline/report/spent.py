"""The costs of each run of a comparison, in words: its training, its share of the search, planned and real seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from sightline.core.digits import amount, percent
from sightline.core.sourced import Place, sourced
from sightline.lab.cautions import speed_range
from sightline.lab.plan import written
from sightline.lab.results import Rate, Results, Run
from sightline.report.text import in_units
from sightline.training.budget import Budget


def training_each(results: Results) -> str:
    """The training of a run: "33 s of training each after 8 s of search".

    Seconds are those that the runs and trials had: on a CPU, of the processor. Other work makes them take longer, not
    have more.
    """
    plan, whole = results.budget, Budget.parse(results.budget.per_run)
    took = _measured(results, _field(results))
    if took and whole.unit in ("seconds", "wall"):
        each = _range(took)
    else:
        field = "final_each" if plan.final_each else "per_run"
        each = sourced(amount(getattr(plan, field)), ("budget", field))
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


def energy_places(results: Results, arch: str) -> list[Place]:
    """The places of the joules of `training_energy` in results.json."""
    runs = enumerate(results.runs)
    return [("runs", at, "energy_j") for at, run in runs if run.arch == arch and run.status == "done"]


def energy(results: Results) -> str:
    """What the energy of runs includes; nothing where the machine cannot measure it."""
    joules = _measured(results, lambda _: "energy_j")
    if not joules:
        return ""
    counters = ", ".join(results.environment.get("energy_counters", []))
    workers = sourced(str(results.budget.workers), ("budget", "workers"))
    shared = f", shared equally by the runs at once, up to {workers}" if results.budget.workers > 1 else ""
    low, high = joule_text(min(joules.values())), joule_text(max(joules.values()))
    least, most = sourced(low, *joules, how="least"), sourced(high, *joules, how="most")
    each = least if low == high else f"{least} to {most}"
    return f"Energy: {each} for each run ({counters}{shared}; idle power and other programs included)."


def joule_text(joules: float | None) -> str:
    """Joules as text: 850 J, 12.4 kJ, 1.3 MJ; an em dash where they are not known."""
    if joules is None:
        return "—"
    return in_units(joules, {"MJ": 1e6, "kJ": 1e3}) or f"{joules:.3g} J"


def cost_places(results: Results, arch: str, *, by_clock: bool = False) -> tuple[list[Place], list[Place]]:
    """The places of the values of `training_cost` in results.json: seconds, and tokens with their seconds in turns."""
    runs = [(at, run) for at, run in enumerate(results.runs) if run.arch == arch and run.status == "done"]
    fields = {at: "train_s" if by_clock else results.own_field(run) for at, run in runs}
    seconds: list[Place] = [("runs", at, fields[at]) for at, _ in runs]
    ratios: list[Place] = [
        ("runs", at, name) for at, run in runs if run.tokens is not None for name in ("tokens", fields[at])
    ]
    return seconds, ratios


def seconds_of_step(results: Results, arch: str) -> float | None:
    """The planned seconds of a step and its share of the validations; None where seconds did not become steps."""
    planned = results.planned(arch)
    return None if planned is None else planned.run.training_s / planned.run.steps


def _field(results: Results) -> Callable[[Run | Rate], Literal["train_s", "cpu_s"]]:
    """The field of a run or a trial that has the seconds that its budget counts."""
    return results.own_field if Budget.parse(results.budget.per_run).unit == "seconds" else lambda _: "train_s"


def _search(results: Results) -> str:
    """A run's share of the trials of its architecture, of which some may have had one more than others.

    Seconds are those that the trials had; in files from before these were kept, those that they were meant to have.
    """
    plan = results.budget
    trials = {a.arch: sum(rate.share for rate in a.rates) for a in results.architectures if a.rates}
    if not trials or plan.search_each is None:
        return ""
    each = Budget.parse(plan.search_each)
    if each.unit in ("seconds", "wall") and (took := _seconds_of_trials(results)):
        mean = {arch: sum(seconds.values()) / len(plan.seeds) for arch, seconds in took.items()}
        texts = {
            _brief(mean[arch]): arch for arch in (min(mean, key=mean.__getitem__), max(mean, key=mean.__getitem__))
        }
        ends = [sourced(text, *took[arch], ("budget", "seeds"), how="derived") for text, arch in texts.items()]
        return f" after {'–'.join(ends)} s of search"
    unit = "seconds" if each.unit == "wall" else each.unit
    ends = dict.fromkeys((min(trials, key=lambda arch: trials[arch]), max(trials, key=lambda arch: trials[arch])))
    shares = {arch: float(f"{trials[arch] * each.amount / len(plan.seeds):.3g}") for arch in ends}
    places = [("budget", "search_each"), ("budget", "seeds")]
    texts = {amount(written(share, unit)): ("architectures", arch, "rates") for arch, share in shares.items()}
    listed = " to ".join(sourced(text, place, *places, how="derived") for text, place in texts.items())
    return f" after {listed} of search"


def _seconds_of_trials(results: Results) -> dict[str, dict[Place, float]]:
    """The seconds of the trials of each architecture, by their places; of those that failed they are not known."""
    field = _field(results)
    seconds: dict[str, dict[Place, float]] = {}
    for architecture in results.architectures:
        for at, rate in enumerate(architecture.rates):
            if (took := getattr(rate, field(rate))) is not None:
                place = ("architectures", architecture.arch, "rates", at, field(rate))
                seconds.setdefault(architecture.arch, {})[place] = took
    return seconds


def timing(results: Results) -> str:
    """Planned and real seconds, and how evenly runs of one architecture went; nothing where it is not known."""
    parts, runs = [], _done(results)
    planned, took, own = (
        _measured(results, lambda _, field=field: field) for field in ("planned_s", "train_s", "cpu_s")
    )
    if planned and took:
        processor = f", {_range(own)} of them with the processor" if own and not results.by_clock else ""
        parts.append(f"Planned: {_range(planned)} of training on an idle machine; it took {_range(took)}{processor}.")
    spreads = {}
    for arch in dict.fromkeys(run.arch for run in runs):
        timed = [run for run in runs if run.arch == arch and run.tokens and run.train_s]
        if len(timed) > 1:
            low, high = speed_range(timed)
            spreads[arch] = high / low - 1
    widest = max(spreads, key=lambda arch: spreads[arch], default="")
    if spreads.get(widest):
        ratios = cost_places(results, widest, by_clock=True)[1]
        spread = sourced(percent(spreads[widest]), *ratios, how="spread of ratios")
        parts.append(f"Runs of one architecture differ by up to {spread} in {results.data.speed_unit} per second.")
    return " ".join(parts)


def _measured(results: Results, field: Callable[[Run], str]) -> dict[Place, float]:
    """A field of the finished runs that have it, by its place in the results."""
    values: dict[Place, float | None] = {
        ("runs", at, field(run)): getattr(run, field(run))
        for at, run in enumerate(results.runs)
        if run.status == "done"
    }
    return {place: value for place, value in values.items() if value is not None}


def _done(results: Results) -> list[Run]:
    return [run for run in results.runs if run.status == "done"]


def _range(seconds: Mapping[Place, float]) -> str:
    """`33 s` or `31–35 s`."""
    low, high = _brief(min(seconds.values())), _brief(max(seconds.values()))
    least, most = sourced(low, *seconds, how="least"), sourced(high, *seconds, how="most")
    return f"{least} s" if low == high else f"{least}–{most} s"


def _brief(seconds: float) -> str:
    """Seconds as text, whole ones from ten on."""
    return f"{seconds:.0f}" if seconds >= 9.5 else f"{seconds:.2g}"
