"""The findings of a ladder of sizes in sentences, and cautions for its reader. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import starmap

from sightline.core.sourced import Place, sourced
from sightline.lab.cautions import FEW_STEPS
from sightline.lab.results import Estimate, Results, Run
from sightline.lab.scaling_results import ArchitectureLaw, HeldOut, PowerLaw, ScaleResults

REPEATED = 4  # passes over the data, from which on more of them are worth less and less (Muennighoff et al. 2023)


def interval(estimate: Estimate, digits: int = 3, place: Place = (), factor: float = 1.0) -> str:
    """A number times `factor` with its interval: "0.081 [0.073, 0.089]"; place: of the estimate in the results."""
    if estimate.mean is None:
        return "undefined"
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high or 0.0}
    mean, low, high = (
        sourced(_fixed(value, digits), (*place, end)) if place else _fixed(value, digits)
        for end, value in ((end, factor * (value or 0.0)) for end, value in values.items())
    )
    return mean if estimate.low is None else f"{mean} [{low}, {high}]"


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def scaling_verdict(results: ScaleResults) -> str:
    """The main result: how the loss of each architecture falls, who falls faster, and whether the laws held."""
    sentences = [_law(at, law, results) for at, law in enumerate(results.laws) if law.along == "parameters"]
    sentences += [pair_sentence(results, at) for at in range(len(results.pairs))]
    return " ".join([*sentences, *_held(results)])


def _law(at: int, law: ArchitectureLaw, results: ScaleResults) -> str:
    own = [(place, p) for place, p in enumerate(results.points) if p.arch == law.arch and p.loss is not None]
    note = sourced(law.note, ("laws", at, "note"), how="text")
    if law.law is None or not own:
        return f"{law.arch}: {note}."
    info, ends = results.info, (own[0], own[-1])
    losses = [
        sourced(info.number(p.loss.mean), ("points", place, "loss", "mean")) for place, p in ends if p.loss is not None
    ]
    first, last = (sourced(f"{p.parameters:,}", ("points", place, "parameters")) for place, p in ends)
    change = f"{law.arch}: {info.label} {' to '.join(losses)} from {first} to {last} parameters"
    exponent = interval(law.law.exponent, place=("laws", at, "law", "exponent"))
    if law.law.exponent.low is None:
        return f"{change}, exponent {exponent}, {note}."
    shown = ", which is not shown to differ from 0"
    if law.decided:
        shown = ": it rises with size" if (law.law.exponent.mean or 0.0) < 0 else ""
    return f"{change}, exponent {exponent}{_floor(at, law.law, results)}{shown}."


def _floor(at: int, law: PowerLaw, results: ScaleResults) -> str:
    if law.irreducible is None:
        return ""
    info = results.info
    irreducible = interval(law.irreducible, info.digits, ("laws", at, "law", "irreducible"), info.factor)
    return f" above an irreducible {irreducible}"


def pair_sentence(results: ScaleResults, at: int) -> str:
    """The outcome of the pair at that place of the results, with the difference of exponents."""
    pair = results.pairs[at]
    difference = f"difference of exponents {interval(pair.difference, place=('pairs', at, 'difference'))}"
    if any(one.along == "parameters" and one.law and one.law.irreducible for one in results.laws):
        difference += ", both without an irreducible loss"
    if pair.outcome == "falls faster":
        laws = [one.law for one in results.laws if one.arch == pair.first and one.along == "parameters"]
        rises = any(law is not None and (law.exponent.mean or 0.0) < 0 for law in laws)
        faster = "rises more slowly" if rises else "falls faster"
        return f"The loss of {pair.first} {faster} with size than that of {pair.second} ({difference})."
    if pair.outcome == "practically the same":
        return f"The losses of {pair.first} and {pair.second} fall practically alike ({difference})."
    return f"Whether the loss of {pair.first} falls faster than that of {pair.second} is not decided ({difference})."


def _held(results: ScaleResults) -> list[str]:
    checked = [(at, check) for at, check in enumerate(results.held_out) if check.holds is not None]
    failed = [(at, check) for at, check in checked if not check.holds]
    if not checked:
        return []
    if not failed:
        return [f"Each law predicted the size that no fit had seen: {'; '.join(starmap(_held_out, checked))}."]
    return [
        f"The law of {check.arch} did not hold at the size that no fit had seen: {_held_out(at, check)}; "
        "do not extrapolate it."
        for at, check in failed
    ]


def _held_out(at: int, check: HeldOut) -> str:
    """A prediction beside the measurement, as relative error with its interval."""
    ends = {end: getattr(check.error, end) for end in ("mean", "low", "high")}
    percents = [
        sourced(f"{100 * value:+.1f}".replace("-", "−"), ("held_out", at, "error", end))
        for end, value in ends.items()
        if value is not None
    ]
    interval = f" [{percents[1]}, {percents[2]}]" if len(percents) == 3 else ""
    parameters = sourced(f"{check.parameters:,}", ("held_out", at, "parameters"))
    return f"{check.arch} at {parameters} parameters, error {percents[0]}{interval} %"


def scaling_warnings(results: ScaleResults, sizes: Sequence[tuple[int, Results]]) -> list[str]:
    """Reasons that make a law less certain than its interval: whole sentences."""
    few, repeated = _listed(sizes, _few), _listed(sizes, _repeated)
    lost, open_search = _listed(sizes, _lost), _listed(sizes, _open)
    warnings = []
    if lost:
        warnings.append(f"Runs failed or diverged ({lost}); the laws are those of the others.")
    if few:
        warnings.append(f"Fewer than {FEW_STEPS} steps of training ({few}): give a larger --budget.")
    if open_search:
        warnings.append(
            f"The largest or smallest learning rate that was tried was the best ({open_search}): raise --rates."
        )
    if repeated:
        warnings.append(
            f"More than {REPEATED} passes over the training data ({repeated}): repeated data is worth less than new "
            "data (Muennighoff et al. 2023), so that a curve may flatten for lack of data."
        )
    held = {point.target for point in results.points if point.held_out}
    if not held:
        warnings.append("No size was held out: nothing says how far the laws can be extrapolated.")
    return warnings


def _listed(sizes: Sequence[tuple[int, Results]], chosen: Callable[[Results], list[str]]) -> str:
    """The architectures that `chosen` names at each size, as "lstm at 50,000 and 100,000"."""
    by_arch: dict[str, list[str]] = {}
    for target, results in sizes:
        for arch in chosen(results):
            by_arch.setdefault(arch, []).append(f"{target:,}")
    total = len(sizes)
    return ", ".join(f"{arch} at {'all sizes' if len(at) == total else ', '.join(at)}" for arch, at in by_arch.items())


def _few(results: Results) -> list[str]:
    return _archs(results, lambda run: run.steps is not None and run.steps < FEW_STEPS)


def _repeated(results: Results) -> list[str]:
    return _archs(results, lambda run: run.epochs is not None and run.epochs > REPEATED)


def _lost(results: Results) -> list[str]:
    return list(dict.fromkeys(run.arch for run in results.runs if run.status != "done"))


def _open(results: Results) -> list[str]:
    return [a.arch for a in results.architectures if a.rate_edge is not None]


def _archs(results: Results, chosen: Callable[[Run], bool]) -> list[str]:
    return list(dict.fromkeys(run.arch for run in results.runs if run.status == "done" and chosen(run)))
