"""The measurement of a swap: every layer alone and all together, after every stage of distillation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import nn

from sightline.core.config import encode
from sightline.core.digits import number_of
from sightline.core.metrics import find_metric
from sightline.lab.swap.costs import state_bytes, step_seconds
from sightline.lab.swap.distil import Announce, errors, held_out, match_layers, tune
from sightline.lab.swap.patient import Started
from sightline.lab.swap.prepare import PreparedSwap, SwapConfig
from sightline.lab.swap.results import LayerSwap, LostFrom, SwapPlan, SwapResults, SwapRow
from sightline.lab.swap.scores import SwapScores, verdict_of
from sightline.lab.swap.surgery import composed_layers, swapped_mixers, swapped_task
from sightline.lab.swap.units import SwapUnit, heads_by_layer
from sightline.training.environment import environment

ORIGINAL, CONTROL = "original", "control"
FEW = 30  # items, below which an interval is hardly one
STAGES = ("replaced", "matched", "tuned")


@final
@dataclass(frozen=True)
class Replacement:
    """A unit, the layer that it is of, and its replacement, as it begins and after the first stage."""

    unit: SwapUnit
    old: Any
    started: Started
    matched: nn.Module


def operate(
    prepared: PreparedSwap, path: Path, config: SwapConfig, command: str, say: Announce
) -> tuple[SwapResults, Any]:
    """The results, and the task with all chosen layers replaced."""
    began, task, plan = time.monotonic(), prepared.task, config.plan
    layers, facts = _first_stage(prepared, plan, say)
    rows = {ORIGINAL: _tested(task, prepared)}
    control = swapped_task(prepared.patient, prepared.target, {})
    tune(control, task, prepared.data.train, plan, say, "the original, trained further")
    rows[CONTROL] = _tested(control, prepared)
    groups = [[layer] for layer in layers] + ([layers] if len(layers) > 1 else [])
    swapped = control
    for group in groups:
        swapped, of_group = _second_stage(prepared, group, plan, say)
        rows |= {_key(group, stage): one for stage, one in of_group.items()}
    scored = SwapScores.of(rows, find_metric(prepared.metric), plan.seed)
    margin = scored.metric.margin_at(scored.mean(ORIGINAL))
    reference: LostFrom = "control" if scored.better(CONTROL, ORIGINAL) else "original"
    results = SwapResults(
        command=command,
        environment=environment(),
        run=str(path),
        task=task.name,
        arch=task.arch,
        parameters=task.parameters,
        data=prepared.data.name,
        data_sha256=prepared.data.sha256,
        tested=len(prepared.part),
        resampled=len(rows[ORIGINAL]),
        unit=task.unit,
        loss_unit=task.loss_unit,
        side=prepared.patient.side,
        target=prepared.target.mixer,
        settings=encode(prepared.target.config),
        plan=plan,
        primary_metric=prepared.metric,
        original=scored.score(ORIGINAL),
        control=scored.score(CONTROL),
        control_gain=scored.lost(ORIGINAL, CONTROL),
        reference=reference,
        layers=facts,
        rows=[_row(scored, group, reference, margin, _saved(prepared, group, facts, plan.length)) for group in groups],
        mechanisms=list(swapped_mixers(prepared.patient, prepared.units, prepared.target.mixer)),
        margin=margin,
        notes=_notes(prepared, layers, len(rows[ORIGINAL])),
        seconds=time.monotonic() - began,
    )
    return results, swapped


def _first_stage(prepared: PreparedSwap, plan: SwapPlan, say: Announce) -> tuple[list[Replacement], list[LayerSwap]]:
    """The new layers, begun and matched, with their errors and costs."""
    task, patient, units = prepared.task, prepared.patient, prepared.units
    old = [patient.modules()[unit.layer - 1] for unit in units]
    started = [patient.start(unit, prepared.target.config, plan.seed) for unit in units]
    new = [_alone(prepared, unit, one.module.to(task.device)) for unit, one in zip(units, started, strict=True)]
    matched = match_layers(task, old, new, prepared.data.train, plan, say)
    held = held_out(task, prepared.data.valid, plan.seed)
    errors_start, errors_matched = errors(task, old, new, held), errors(task, old, matched, held)
    # A layer that began exact only moves away from that: it stays as it began.
    better = [end < start for start, end in zip(errors_start, errors_matched, strict=True)]
    matched = [one if lower else first for one, first, lower in zip(matched, new, better, strict=True)]
    errors_matched = [min(pair) for pair in zip(errors_start, errors_matched, strict=True)]
    parts = [_part_of(unit, layer) for unit, layer in zip(units, matched, strict=True)]
    layers = [Replacement(*one) for one in zip(units, old, started, parts, strict=True)]
    facts = []
    for layer, whole, start, end in zip(layers, matched, errors_start, errors_matched, strict=True):
        before_s, after_s = step_seconds([layer.old, whole], plan.length)
        facts.append(
            LayerSwap(
                layer=layer.unit.layer,
                mechanism=patient.layers.layer_mixers[layer.unit.layer - 1],
                copied=layer.started.copied,
                fresh=layer.started.fresh,
                error_start=start,
                error_matched=end,
                state_before=state_bytes(layer.old, plan.length),
                state_after=state_bytes(whole, plan.length),
                step_before_us=None if before_s is None else 1e6 * before_s,
                step_after_us=None if after_s is None else 1e6 * after_s,
                heads=list(layer.unit.heads),
            )
        )
    return layers, facts


def _alone(prepared: PreparedSwap, unit: SwapUnit, part: nn.Module) -> Any:
    """The layer with one unit replaced; heads that stay do not learn."""
    layer = prepared.patient.composed(unit.layer, {unit.heads: part}).eval()
    if unit.heads:
        layer.get_submodule("groups.0").requires_grad_(False)
    return layer


def _part_of(unit: SwapUnit, layer: nn.Module) -> nn.Module:
    """The module that `_alone` put in the place of the unit."""
    return layer.get_submodule("groups.1") if unit.heads else layer


def _second_stage(
    prepared: PreparedSwap, group: Sequence[Replacement], plan: SwapPlan, say: Announce
) -> tuple[Any, dict[str, np.ndarray]]:
    """The task with these layers replaced, tuned, and its test items after each stage."""
    names = _named(group)
    tested = {}
    swapped = swapped_task(prepared.patient, prepared.target, {one.unit: one.started.module for one in group})
    tested["replaced"] = _tested(swapped, prepared)
    modules = prepared.patient.modules(swapped.model)
    for number, layer in composed_layers(prepared.patient, {one.unit: one.matched for one in group}).items():
        modules[number - 1].load_state_dict(layer.state_dict())
    tested["matched"] = _tested(swapped, prepared)
    tune(swapped, prepared.task, prepared.data.train, plan, say, names)
    tested["tuned"] = _tested(swapped, prepared)
    return swapped, tested


def _tested(task: Any, prepared: PreparedSwap) -> np.ndarray:
    """The rows of the test items that the metric is made of."""
    return task.measure(prepared.part).items[prepared.metric]


def _key(group: Sequence[Replacement], stage: str) -> str:
    return f"{_named(group)} {stage}"


def _named(group: Sequence[Replacement]) -> str:
    return f"layer{'s' if len(group) > 1 else ''} {', '.join(one.unit.text for one in group)}"


def _saved(prepared: PreparedSwap, group: Sequence[Replacement], facts: Sequence[LayerSwap], length: int) -> int | None:
    """Bytes of state that the units save together: measured again where several are of one layer."""
    units = {one.unit for one in group}
    saved: list[int | None] = []
    for number, groups in heads_by_layer(units).items():
        of_layer = [fact for fact in facts if fact.layer == number and fact.unit in units]
        if len(groups) == 1:
            saved.append(of_layer[0].saved_bytes)
            continue
        parts = {one.unit: one.matched for one in group if one.unit.layer == number}
        (layer,) = composed_layers(prepared.patient, parts).values()
        before, after = of_layer[0].state_before, state_bytes(layer, length)
        saved.append(None if before is None or after is None else before - after)
    known = [one for one in saved if one is not None]
    return sum(known) if len(known) == len(saved) else None


def _row(
    scored: SwapScores, group: Sequence[Replacement], reference: LostFrom, margin: float, saved: int | None
) -> SwapRow:
    replaced, matched, tuned = (_key(group, stage) for stage in STAGES)
    lost = scored.lost(tuned, reference)
    return SwapRow(
        layers=[one.unit.layer for one in group],
        replaced=scored.score(replaced),
        matched=scored.score(matched),
        tuned=scored.score(tuned),
        lost_replaced=scored.lost(replaced, ORIGINAL),
        lost_matched=scored.lost(matched, ORIGINAL),
        lost=lost,
        saved_bytes=saved,
        verdict=verdict_of(lost, margin),
        heads=[list(one.unit.heads) for one in group] if any(one.unit.heads for one in group) else [],
    )


def _notes(prepared: PreparedSwap, layers: Sequence[Replacement], resampled: int) -> list[str]:
    """Whole sentences about what the new layers could not take over."""
    old, new, notes = layers[0].old, layers[0].started, []
    copied = ", ".join(dict.fromkeys(new.copied))
    begins = f"begins with the trained {copied}" if copied else "begins untrained"
    rest = f"; {', '.join(new.fresh)} as the mechanism draws them" if new.fresh else ""
    of_heads = any(one.unit.heads for one in layers)
    notes.append(f"{'What replaces the heads' if of_heads else 'Each new layer'} {begins}{rest}.")
    if of_heads:
        notes.append("The heads of a layer that stay are the original's; they learn in the second stage alone.")
    kind = old.positions.kind
    had = {
        "qk_norm": old.heads.query_norm is not None,
        "softcap": old.softcap is not None,
        "positions": kind != "none",
    }
    for name in (name for name, present in had.items() if present and not hasattr(prepared.target.config, name)):
        what = f"{kind} positions" if name == "positions" else name
        notes.append(f"The replaced layers have {what}, for which {prepared.target.mixer} has no option.")
    if prepared.patient.side == "encoder":
        notes.append("An encoder reads its input at once and carries no state that could be saved.")
    if resampled < FEW:
        notes.append(f"{number_of(resampled, 'item')} of test data say little about others: intervals are wide.")
    return notes
