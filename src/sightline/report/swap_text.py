"""The results of a swap in numbers and sentences. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.core.digits import significant
from sightline.core.metrics import defined
from sightline.lab.results import Estimate
from sightline.lab.swap.results import LayerSwap, SwapResults, SwapRow, SwapVerdict
from sightline.lab.swap.units import SwapUnit
from sightline.report.estimates import amount_of, with_ends
from sightline.report.text import names_of, size

REFERENCES = {"original": "the original", "control": "the original, trained as long"}
WORDS: tuple[SwapVerdict, ...] = ("kept", "lost", "not decided")


def row_name(row: SwapRow, results: SwapResults) -> str:
    """The layers or heads of a row: "layer 2", "layers 1 and 2", "all 4 layers", "head 2.1"."""
    if 1 < len(row.units) == len(results.mechanisms) and not any(unit.heads for unit in row.units):
        return f"all {len(row.units)} layers"
    return units_text(row.units)


def units_text(units: Sequence[SwapUnit]) -> str:
    """Layers and heads in words: "layer 1 and heads 2.1 and 2.3"; heads that are replaced as one are "heads 2.1+3"."""
    parts = []
    for word, named in (
        ("layer", [unit for unit in units if not unit.heads]),
        ("head", [unit for unit in units if unit.heads]),
    ):
        several = len(named) > 1 or any(len(unit.heads) > 1 for unit in named)
        if named:
            parts.append(f"{word}{'s' if several else ''} {names_of(unit.text for unit in named)}")
    return " and ".join(parts)


def score_text(results: SwapResults, score: Estimate) -> str:
    """The metric with its interval: "1.832 [1.790, 1.871]"."""
    return with_ends(score, results.metric.number)


def lost_text(results: SwapResults, lost: Estimate) -> str:
    """Quality lost with its interval, positive where it is worse, without its unit."""
    return amount_of(results.metric, lost)


def lost_per_mb_text(results: SwapResults, row: SwapRow) -> str:
    """Quality lost for each MB of state saved; an em dash where nothing is saved."""
    value = row.lost_per_mb
    return "—" if value is None else significant(value * results.metric.factor, 2).replace("-", "−")


def saved_text(saved: int | None) -> str:
    """Bytes of state saved; what is not saved but added has a sign."""
    if saved is None:
        return "—"
    return size(saved) if saved >= 0 else f"−{size(-saved)}"


def share_text(results: SwapResults, row: SwapRow) -> str:
    """The share of these layers' state that is saved, "" where it is unknown."""
    layers = {layer.layer: layer.state_before or 0 for layer in results.layers if layer.layer in row.layers}
    before = sum(layers.values())
    return "" if not before or row.saved_bytes is None else f"{100 * row.saved_bytes / before:.1f} %".replace("-", "−")


def step_text(layer: LayerSwap) -> str:
    """The time of a step of the layer, before and after: "181 → 154 µs"."""
    before, after = layer.step_before_us, layer.step_after_us
    if before is None or after is None:
        return "—"
    return f"{significant(before, 3)} → {significant(after, 3)} µs"


def error_text(layer: LayerSwap) -> str:
    """The error of the layer's output, before and after the first stage: "83 % → 12 %"."""
    return f"{_percent(layer.error_start)} → {_percent(layer.error_matched)}"


def _percent(share: float) -> str:
    if not share:
        return "0 %"
    return f"{significant(100 * share, 2)} %" if share >= 1e-5 else f"{100 * share:.0e} %"


def verdict(results: SwapResults) -> str:
    """Which layers can be replaced at which cost, in whole sentences."""
    alone = [row for row in results.rows if len(row.layers) == 1]
    named: dict[SwapVerdict, list[SwapUnit]] = {word: [] for word in WORDS}
    for row in alone:
        named[row.verdict] += row.units
    parts = []
    unit, margin = results.metric.unit_of_difference, results.margin
    within = "" if margin is None else f" within the margin of {results.metric.amount(margin)}"
    if named["kept"]:
        parts.append(f"{units_text(named['kept'])} can become {results.target}: quality is kept{within}")
    if named["lost"]:
        costs = [lost_text(results, row.lost) for row in alone if row.verdict == "lost"]
        several = len(named["lost"]) > 1 or len(named["lost"][0].heads) > 1
        verb = "lose" if several else "loses"
        parts.append(f"{units_text(named['lost'])} {verb} quality ({'; '.join(costs)} {unit})")
    if named["not decided"]:
        parts.append(f"for {units_text(named['not decided'])} it is not decided")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}. {_together(results)}".strip()


def _together(results: SwapResults) -> str:
    """The last sentence: losses and savings of the model that was written."""
    row = results.rows[-1]
    saved = ""
    if row.saved_bytes is not None and row.saved_bytes > 0:
        share = share_text(results, row)
        saved = f" and saves {size(row.saved_bytes)} of state, {share}, after {results.plan.length:,} positions"
    elif row.saved_bytes is not None:
        saved = f" and saves no state after {results.plan.length:,} positions"
    what = "The model" if len(results.rows) == 1 else f"With {row_name(row, results)} replaced, the model"
    return f"{what} loses {lost_text(results, row.lost)} {results.metric.unit_of_difference}{saved}."


def terms(results: SwapResults) -> str:
    """The meaning of the words of the verdict."""
    margin = "unknown" if results.margin is None else results.metric.amount(results.margin)
    return (
        f"Lost: how much worse the model is on the same test items than {REFERENCES[results.reference]}, with its 95 % "
        f"interval over items; below zero it is better. Kept: the interval ends within the margin ({margin}). "
        "Lost: it begins beyond it."
    )


def copied_text(layer: LayerSwap) -> str:
    """The parameters that the new layer began with."""
    return ", ".join(dict.fromkeys(layer.copied)) or "nothing"


def settings_text(results: SwapResults) -> str:
    """The settings of the new layers, as options."""
    shown = {name: value for name, value in results.settings.items() if value is not None and name != "causal"}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def known(estimate: Estimate) -> bool:
    """Whether there is a mean to draw."""
    return defined(estimate.mean)
