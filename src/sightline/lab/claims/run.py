"""Measure claims one by one; what is in claims.json with the same settings is not measured again."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.files import faults, locked
from sightline.core.suggest import unknown
from sightline.lab.claims import CLAIMS
from sightline.lab.claims.claim import Claim, Effort
from sightline.lab.claims.results import ClaimResult, ClaimsResults, not_measured
from sightline.lab.load import OthersLoad

FILE = "claims.json"
NOT_YET = "Nothing measures this claim yet."


def find_claims(names: Sequence[str]) -> list[Claim]:
    """The claims with these names, in the order of the table; all without names.

    Raises:
        InputError: "unknown claim 'C21', did you mean 'C2'?".
    """
    table = {claim.name: claim for claim in CLAIMS}
    for name in names:
        if name.upper() not in table:
            raise InputError(unknown("claim", name, table))
    chosen = {name.upper() for name in names}
    return [claim for claim in CLAIMS if not chosen or claim.name in chosen]


def run_claims(
    claims: Sequence[Claim], directory: Path, effort: Effort, facts: dict[str, Any], *, overwrite: bool = False
) -> ClaimsResults:
    """Measure the claims and write claims.json to `directory` after each; `facts` has the command and the environment.

    A claim with a result of the same settings in the file is not measured again, except with `overwrite`, which also
    removes results of other settings.

    Raises:
        InputError: "out/claims.json: was measured in the quick form, not in the full form: replace it with --overwrite,
            or choose another --out-dir".
        EnvironmentFault: another process measures in it, see `locked`.
    """
    with faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        results = _started(directory / FILE, effort, facts, overwrite=overwrite)
        known = {one.claim for one in results.results if one.outcome != "not measured"}
        left = list(claims) if overwrite else [claim for claim in claims if claim.name not in known]
        for line in _plan(claims, left, effort, directory / FILE):
            effort.say(line)
        return _measured(left, directory, effort, results)


def _plan(claims: Sequence[Claim], left: Sequence[Claim], effort: Effort, path: Path) -> list[str]:
    """The claims that are measured already, those that are left, and about how long they take, in words."""
    lines = []
    before = [claim for claim in claims if claim not in left]
    if before:
        lines.append(f"{path}: {number_of(len(before), 'claim')} measured before: {_names(before)}")
    if not left:
        return [*lines, "all these claims are measured; --overwrite measures them again"]
    seconds = sum(effort.choose(claim.full_s, claim.quick_s) for claim in left)
    form = effort.choose("full", "quick")
    takes = f"about {number_of(math.ceil(seconds / 60), 'minute')} on two idle cores in the {form} form"
    return [*lines, f"{number_of(len(left), 'claim')} to measure, {takes}: {_names(left)}"]


def _names(claims: Sequence[Claim]) -> str:
    return ", ".join(claim.name for claim in claims)


def _measured(claims: Sequence[Claim], directory: Path, effort: Effort, results: ClaimsResults) -> ClaimsResults:
    """The results with these claims, each stored when it is measured."""
    for number, claim in enumerate(claims, 1):
        effort.say(f"{claim.name} ({number} of {len(claims)}): {claim.how}")
        began, others = time.monotonic(), OthersLoad()
        if claim.function:
            result = claim.measure(replace(effort, directory=directory / "runs" / claim.name))
        else:
            result = not_measured(claim.name, NOT_YET)
        took = round(time.monotonic() - began, 1)
        result = replace(result, command=command_of(claim, effort), seconds=took)
        results = _with(results, claim, result, others.cores())
        results.save(directory / FILE)
        effort.say(f"{claim.name}: {result.outcome} ({took:.0f} s)")
    return results


def command_of(claim: Claim, effort: Effort) -> str:
    """The command that measures the claim again."""
    flags = ["--quick"] if effort.quick else []
    flags += ["--seed", str(effort.seed)] if effort.seed else []
    return shlex.join(["sightline", "claims", claim.name, *flags])


def _started(path: Path, effort: Effort, facts: dict[str, Any], *, overwrite: bool) -> ClaimsResults:
    """The results in the file where they have the same settings; new ones if there is none, or with `overwrite`."""
    new = ClaimsResults(facts["command"], facts["environment"], effort.settings())
    if not path.exists():
        return new
    try:
        old = ClaimsResults.load(path)
    except InputError:
        if overwrite:
            return new
        raise
    other = [name for name, value in new.settings.items() if old.settings.get(name) != value]
    if not other:
        return old
    if overwrite:
        return new
    other = [name for name in other if name != "seeds" or "quick" not in other]  # they follow from the form
    was, now = ([_spelled(name, each.settings.get(name)) for name in other] for each in (old, new))
    message = f"was measured {' and '.join(was)}, not {' and '.join(now)}"
    raise InputError(f"{message}: replace it with --overwrite, or choose another --out-dir", where=path)


def _spelled(name: str, value: Any) -> str:
    """A setting of an effort in words."""
    match name:
        case "quick":
            return f"in the {'quick' if value else 'full'} form"
        case "devices":
            return f"on {' and '.join(value)}"
        case "threads":
            return f"with {number_of(value, 'thread')}"
        case _:
            return f"with {name} {value}"


def _with(results: ClaimsResults, claim: Claim, result: ClaimResult, busy: float | None) -> ClaimsResults:
    """The results with this one in its place of the table."""
    order = {one.name: place for place, one in enumerate(CLAIMS)}
    sayings = [one for one in results.sayings if one.name != claim.name]
    others = [one for one in results.results if one.claim != claim.name]
    load = {name: cores for name, cores in results.busy.items() if name != claim.name}
    return replace(
        results,
        sayings=sorted([*sayings, claim.saying()], key=lambda one: order.get(one.name, len(order))),
        results=sorted([*others, result], key=lambda one: order.get(one.claim, len(order))),
        busy=load if busy is None else {**load, claim.name: round(busy, 2)},
    )
