"""Measurement of one scenario at one size: equality, time and memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, final

import torch

from sightline.core.processes import CallFailed, in_child
from sightline.core.subnormals import flush_subnormals
from sightline.lab.bench.equality import check_case
from sightline.lab.bench.limits import Limits
from sightline.lab.bench.memory import peak_bytes
from sightline.lab.bench.scenario import Aim, Case, Scenario, Unavailable
from sightline.lab.bench.timing import in_turns, spread
from sightline.training.environment import installed_version

Side = Literal["ours", "other"]
T = TypeVar("T")


@final
@dataclass(frozen=True)
class Settings:
    """Minimum number of pairs, CPU threads, and the device."""

    pairs: int = 10
    threads: int = 1
    device: str = "cpu"


def measure(scenario: Scenario, size: int, settings: Settings) -> dict[str, Any]:
    """The row of one scenario at one size, in plain JSON types; `status` is measured, failed, missing or broken.

    One process checks and times; another process per side calls it once and reads its peak memory. `failed`: the
    results differ and nothing is timed; `missing`: the peer is not installed; `broken`: the process died or raised.
    """
    row: dict[str, Any] = {
        "scenario": scenario.name,
        "family": scenario.family,
        "kind": scenario.kind,
        "question": scenario.question,
        "peer": scenario.peer,
        "package": scenario.package,
        "version": installed_version(scenario.package),
        "size": size,
        "size_unit": scenario.size,
        "checked": scenario.checked,
        "tolerance": scenario.tolerance,
    }
    try:
        row |= _apart(examine, scenario, size, settings)
        if row["status"] == "measured":
            sides: tuple[Side, ...] = ("ours", "other") if scenario.kind == "ratio" else ("ours",)
            row["peak_bytes"] = {side: _apart(weigh, scenario, size, settings, side) for side in sides}
    except Unavailable as error:
        row |= {"status": "missing", "detail": str(error)}
    except CallFailed as error:
        row |= {"status": "broken", "detail": str(error)}
    aim = scenario.aims.get(size)
    if aim is not None:
        row["aim"] = {"of": aim.of, "relation": aim.relation, "value": aim.value, "met": _met(aim, row)}
    return row


def _apart(function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)` in a process of its own; nothing is computed in the process that it is forked from."""
    return in_child(_flushed, function, *arguments, passing=(Unavailable,), preload=["sightline.lab.bench.table"])


def _flushed(function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)`, with subnormal numbers as commands treat them."""
    flush_subnormals()
    return function(*arguments)


def examine(scenario: Scenario, size: int, settings: Settings) -> dict[str, Any]:
    """Check equality and, if the results agree, measure times; runs in one process."""
    case, device = _built(scenario, size, settings)
    error = check_case(case)
    row: dict[str, Any] = {"error": float(f"{error:.3g}") if error < float("inf") else None}
    if not error <= scenario.tolerance:
        detail = f"the results differ by {error:.1e}, more than {scenario.tolerance:.0e}"
        return row | {"status": "failed", "detail": detail}
    limits = Limits(device)
    runs = [case.ours] if case.other is None else [case.ours, case.other]
    rounds = in_turns(runs, settings.pairs, device, limits.sample)
    ours_s = spread([times[0] for times in rounds])
    row |= {"status": "measured", "pairs": len(rounds), "ours_s": ours_s}
    if case.other is not None:
        row["other_s"] = spread([times[1] for times in rounds])
        row["ratio"] = spread([times[1] / times[0] for times in rounds])
    return row | _shares(case, limits, ours_s["median"])


def weigh(scenario: Scenario, size: int, settings: Settings, side: Side) -> int | None:
    """Peak memory of the first call of one side, beyond its inputs."""
    case, device = _built(scenario, size, settings)
    run = case.ours if side == "ours" else case.other
    if run is None:
        raise ValueError(f"{scenario.name} has no peer")
    return peak_bytes(run, device)


def _built(scenario: Scenario, size: int, settings: Settings) -> tuple[Case, torch.device]:
    warnings.simplefilter("ignore")  # warnings of peers are irrelevant here
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    device = torch.device(settings.device)
    return scenario.build(size, device), device


def _shares(case: Case, limits: Limits, ours_s: float) -> dict[str, Any]:
    """The minimum time at the measured rates as a fraction of our time, and which rate limits it."""
    rates = {"flops_per_s": float(f"{limits.flops_per_s:.4g}"), "bytes_per_s": float(f"{limits.bytes_per_s:.4g}")}
    if not case.flops:
        return {"limits": rates}
    product_s, copy_s = case.flops / limits.flops_per_s, case.moved_bytes / limits.bytes_per_s
    binding = "products" if product_s >= copy_s else "copies"
    share = float(f"{max(product_s, copy_s) / ours_s:.3g}")
    return {
        "limits": rates,
        "flops": case.flops,
        "moved_bytes": case.moved_bytes,
        "of_limit": {"share": share, "binding": binding},
    }


def _met(aim: Aim, row: dict[str, Any]) -> bool | None:
    """Whether a measured row meets the target, with the ratio rounded as in the tables; None without a number."""
    if row["status"] != "measured":
        return None
    value = round(row["ratio"]["median"], 2) if aim.of == "ratio" else row["peak_bytes"]["ours"]
    return None if value is None else aim.met(float(value))
