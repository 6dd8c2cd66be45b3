"""Saturation of the softmax in a trained run: every layer of attention, over itself, over a memory, or of a pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sightline.core.errors import InputError
from sightline.lab.dynamics import layer_names
from sightline.lab.forms.form import TrainedRun
from sightline.lab.panel_results import Band, Saturation
from sightline.lab.watching import seen_attention

KINDS = {"layer": "", "cross": ", cross-attention"}  # how lines are named; others have the part of the model


def run_saturation(run: TrainedRun, lacks: Callable[[str, str], object]) -> list[Saturation]:
    """Quartiles over queries and heads, layer by layer, a line for each part of the model that attends.

    Raises:
        InputError: "no layer has softmax attention".
    """
    seen, keys = seen_attention(run.task, run.model, run.part)
    if seen["left_out"]:
        count = len(seen["left_out"])
        lacks(f"{count} of the layers", "patterns of blocks and capped logits have no statistics")
    if not seen["attention"]:
        raise InputError("no layer has softmax attention", where=run.name)
    names = layer_names([(one["layer"], one["over"]) for one in seen["attention"]], [])
    lines: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for one in seen["attention"]:
        kind, _, number = names[one["layer"], one["over"]].partition(" ")
        line = run.name + KINDS.get(kind, f", {kind}")
        lines.setdefault(line, []).append((int(number or 1), one))
    return [_along_layers(name, keys, layers) for name, layers in lines.items()]


def _along_layers(name: str, keys: int, layers: Sequence[tuple[int, Mapping[str, Any]]]) -> Saturation:
    bands = []
    for field in ("entropy", "largest", "gradient"):
        low, middle, high = (list(part) for part in zip(*(one[field] for _, one in layers), strict=True))
        bands.append(Band([float(number) for number, _ in layers], middle, low, high))
    return Saturation(name, "layer", keys, *bands)
