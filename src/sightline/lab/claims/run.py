"""Measure claims one by one; what is in claims.json with the same settings is not measured again."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.core.errors import InputError
from sightline.core.files import faults
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


def run_claims(claims: Sequence[Claim], directory: Path, effort: Effort, facts: dict[str, Any]) -> ClaimsResults:
    """Measure the claims and write claims.json to `directory` after each; `facts` has the command and the environment.

    A claim with a result of the same settings in the file is not measured again.

    Raises:
        InputError: "out/claims.json: it was measured with other settings (quick): choose another --out-dir, or
            --overwrite".
    """
    with faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
    results = _started(directory / FILE, effort, facts)
    for claim in claims:
        before = results.result(claim.name)
        if before is not None and before.outcome != "not measured":
            effort.say(f"{claim.name}: measured before")
            continue
        effort.say(f"{claim.name}: {claim.how}")
        began, others = time.monotonic(), OthersLoad()
        if claim.function:
            result = claim.measure(replace(effort, directory=directory / "runs" / claim.name))
        else:
            result = not_measured(claim.name, NOT_YET)
        took = round(time.monotonic() - began, 1)
        result = replace(result, command=command_of(claim, effort), seconds=took)
        results = _with(results, claim, result, others.cores())
        results.save(directory / FILE)
        effort.say(f"{claim.name}: {result.outcome}, in {took:.0f} s")
    return results


def command_of(claim: Claim, effort: Effort) -> str:
    """The command that measures the claim again."""
    flags = ["--quick"] if effort.quick else []
    flags += ["--seed", str(effort.seed)] if effort.seed else []
    return shlex.join(["sightline", "claims", claim.name, *flags])


def _started(path: Path, effort: Effort, facts: dict[str, Any]) -> ClaimsResults:
    new = ClaimsResults(facts["command"], facts["environment"], effort.settings())
    if not path.exists():
        return new
    old = ClaimsResults.load(path)
    other = [name for name, value in new.settings.items() if old.settings.get(name) != value]
    if other:
        message = f"it was measured with other settings ({', '.join(other)}): choose another --out-dir, or --overwrite"
        raise InputError(message, where=path)
    return old


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
