"""Cautions that limit the conclusions of a comparison: short runs, open searches, other load. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from sightline.core.digits import number_of, percent
from sightline.core.sourced import Place, sourced, without_sources
from sightline.lab.results import Architecture, BudgetPlan, Results, Run
from sightline.training.budget import Budget

FEW_STEPS = 100
FEW_TRIAL_STEPS = 25  # after 21 no rate had learned anything of SST; 29 to 39 ranked rates on dates and digits
STARVED = 0.8  # processor time of the thread that trains, as a share of the time that passed
SPREAD = 1.2  # the largest speed of an architecture's runs over the smallest
BUSY = 0.15  # share of the cores that other programs used

PlacedRun = tuple[int, Run]  # a run with its place among the runs


@final
@dataclass(frozen=True)
class Caution:
    """A warning in one sentence, and the architectures that it is about, each with a few words for a table."""

    sentence: str
    marks: dict[str, str]


def cautions(
    runs: Sequence[Run],
    plan: BudgetPlan,
    architectures: Sequence[Architecture] = (),
    *,
    on_cpu: bool = True,
    others_cores: float | None = None,
    cores: int = 1,
    deaths: Mapping[str, int] | None = None,
) -> list[Caution]:
    """All that apply, the gravest first.

    architectures: with the trials of each
    deaths: how often processes of an architecture's runs and trials died and were started again
    others_cores: the cores that other programs kept busy meanwhile, of `cores`
    """
    done = [(at, run) for at, run in enumerate(runs) if run.status == "done"]
    by_clock = not plan.steps and plan.per_run.endswith("s-wall")
    harm = "trained less than they would have" if by_clock else "took longer, for the same steps"
    listed = [_few_steps(done, plan), _short_epochs(done)]
    listed.append(_short_trials(plan, architectures))
    listed += [_open_search(architectures, side) for side in ("largest", "smallest")]
    listed += [_open_sizes(architectures, side) for side in ("largest", "smallest")]
    if on_cpu:
        listed.append(_starved(done, harm))
    listed.append(_uneven(done))
    listed.append(_died(deaths or {}))
    cautious = [caution for caution in listed if caution.marks]
    busy = None if others_cores is None else others_cores / max(cores, 1)
    if busy is not None and busy >= BUSY:
        share = sourced(percent(busy), ("others_cores",), ("environment", "cores"), how="ratio")
        used = f"other programs used {share} of {sourced(number_of(cores, 'core'), ('environment', 'cores'))}"
        cautious.append(Caution(f"The machine was busy: {used}; runs {harm}.", {}))
    return cautious


def warnings_of(results: Results) -> list[str]:
    """The warnings of a comparison, those about its trainings written again from its results, so that their numbers can
    have their places.
    """
    again = cautions(
        results.runs,
        results.budget,
        results.architectures,
        on_cpu=not results.by_clock,
        others_cores=results.others_cores,
        cores=int(results.environment.get("cores", 1)),
    )
    written = {without_sources(caution.sentence): caution.sentence for caution in again}
    return [written.get(warning, warning) for warning in results.warnings]


def marks(listed: Sequence[Caution], arch: str) -> list[str]:
    """The few words about one architecture."""
    return [caution.marks[arch] for caution in listed if arch in caution.marks]


def _few_steps(runs: Sequence[PlacedRun], plan: BudgetPlan) -> Caution:
    few = _by_arch(runs, lambda run: run.steps is not None and run.steps < FEW_STEPS)
    fewest = {arch: min(run.steps or 0 for _, run in of) for arch, of in few.items()}
    shown = {arch: sourced(str(fewest[arch]), *_places(of, "steps"), how="least") for arch, of in few.items()}
    listed = ", ".join(f"{arch} {steps}" for arch, steps in shown.items())
    more = _for_more_steps(few, {planned.arch for planned in plan.steps if planned.run.bounded})
    return Caution(
        f"Fewer than {FEW_STEPS} steps of training ({listed}): too few to rank architectures; {more}.",
        {arch: f"{steps} steps" for arch, steps in fewest.items()},
    )


def _for_more_steps(archs: Iterable[str], bounded: Collection[str]) -> str:
    """What gives architectures more steps, some of which `most_epochs` bounds whatever the budget."""
    ended = [arch in bounded for arch in archs]
    passes = "more passes over the data with --most-epochs"
    if not any(ended):
        return "give a larger --budget"
    return f"allow {passes}" if all(ended) else f"give a larger --budget and allow {passes}"


def _short_epochs(runs: Sequence[PlacedRun]) -> Caution:
    short = _by_arch(runs, lambda run: run.epochs == 0)
    sentence = f"Less than one pass over the training data ({', '.join(short)}): give a larger --budget."
    return Caution(sentence, dict.fromkeys(short, "less than one pass over the data"))


def _short_trials(plan: BudgetPlan, architectures: Sequence[Architecture]) -> Caution:
    """Of those whose best trial, one of the longest, had few steps; trials of other budgets are not counted."""
    each = None if plan.search_each is None else Budget.parse(plan.search_each)
    in_steps = each.amount if each is not None and each.unit == "steps" else math.inf
    short, shown = {}, []
    bounded: set[str] = set()
    for a in architectures:
        planned, best = plan.steps_of(a.arch, a.parameters), a.best_trial
        if best is None:
            continue
        steps, length = best.share * in_steps, ("search_each",)
        if planned is not None and planned.trial is not None:
            length = ("steps", plan.steps.index(planned), "trial", "steps")
            steps = round(planned.trial.longer(best.share) * planned.trial.steps)
            bounded |= {a.arch} if steps == planned.trial.most_steps else set()
        if steps < FEW_TRIAL_STEPS:
            short[a.arch] = int(steps)
            places = ("budget", *length), ("architectures", a.arch, "rates", a.rates.index(best), "share")
            shown.append(f"{a.arch} {sourced(str(short[a.arch]), *places, how='derived')}")
    listed = ", ".join(shown)
    return Caution(
        f"Fewer than {FEW_TRIAL_STEPS} steps in each trial of a learning rate ({listed}): too few to rank rates; "
        f"{_for_more_steps(short, bounded)}.",
        {arch: f"{steps} steps in a trial" for arch, steps in short.items()},
    )


def _open_search(architectures: Sequence[Architecture], side: str) -> Caution:
    archs = [a.arch for a in architectures if a.rate_edge == side]
    sentence = f"{', '.join(archs)}: the {side} learning rate that was tried was the best; raise --rates to try others."
    return Caution(sentence, dict.fromkeys(archs, f"the {side} rate that was tried was the best"))


def _open_sizes(architectures: Sequence[Architecture], side: str) -> Caution:
    """Of those whose runs have the largest or the smallest size: what longer trials chose, not the shortest alone."""
    end = max if side == "largest" else min
    archs = [a.arch for a in architectures if len(a.tried_sizes) > 1 and a.parameters == end(a.tried_sizes)]
    sentence = f"{', '.join(archs)}: the {side} size that was tried was chosen; raise --sizes to try others."
    return Caution(sentence, dict.fromkeys(archs, f"the {side} size that was tried was chosen"))


def _starved(runs: Sequence[PlacedRun], harm: str) -> Caution:
    starved = _by_arch(runs, lambda run: _share(run) is not None and (_share(run) or 0.0) < STARVED)
    least = {arch: min(_share(run) or 0.0 for _, run in of) for arch, of in starved.items()}
    listed = ", ".join(
        f"{arch} {sourced(percent(least[arch]), *_places(of, 'cpu_s', 'train_s'), how='least of ratios')}"
        for arch, of in starved.items()
    )
    return Caution(
        f"Runs had the processor for less than {percent(STARVED)} of their time ({listed}): they {harm}.",
        {arch: f"had the processor {percent(share)} of the time" for arch, share in least.items()},
    )


def _share(run: Run) -> float | None:
    """The share of its time for which a run had the processor."""
    return run.cpu_s / run.train_s if run.cpu_s is not None and run.train_s else None


def _uneven(runs: Sequence[PlacedRun]) -> Caution:
    uneven, listed = {}, []
    for arch, of in _by_arch(runs, lambda run: bool(run.tokens and run.train_s)).items():
        low, high = speed_range(run for _, run in of)
        if high > SPREAD * low:
            uneven[arch] = high / low - 1
            above = sourced(percent(uneven[arch]), *_places(of, "tokens", "train_s"), how="spread of ratios")
            listed.append(f"{arch} {above}")
    return Caution(
        f"Speeds of runs of one architecture differ by more than {percent(SPREAD - 1)} ({', '.join(listed)}): "
        "times are not reliable.",
        {arch: f"speeds differ by {percent(above)}" for arch, above in uneven.items()},
    )


def _died(deaths: Mapping[str, int]) -> Caution:
    listed = ", ".join(f"{arch} {number_of(times, 'time')}" for arch, times in deaths.items())
    return Caution(
        f"Processes died, for lack of memory perhaps, and were started again from their newest checkpoints ({listed}); "
        "results are the same, times are not reliable.",
        {arch: f"a process died {number_of(times, 'time')}" for arch, times in deaths.items()},
    )


def speed_range(runs: Iterable[Run]) -> tuple[float, float]:
    """The lowest and the highest number of tokens per second."""
    speeds = [run.tokens / run.train_s for run in runs if run.tokens and run.train_s]
    return min(speeds), max(speeds)


def _by_arch(runs: Sequence[PlacedRun], chosen: Callable[[Run], bool]) -> dict[str, list[PlacedRun]]:
    """The chosen runs by architecture."""
    by_arch: dict[str, list[PlacedRun]] = {}
    for at, run in runs:
        if chosen(run):
            by_arch.setdefault(run.arch, []).append((at, run))
    return by_arch


def _places(runs: Sequence[PlacedRun], *fields: str) -> list[Place]:
    """Where fields of the runs are in the results, those of one run side by side."""
    return [("runs", at, field) for at, _ in runs for field in fields]
