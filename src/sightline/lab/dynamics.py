"""The record of a watched training over its steps, from the log of its run. Imports no torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, final

from sightline.core.errors import InputError
from sightline.core.files import read_regular
from sightline.core.notebook import html_lines, html_table
from sightline.core.stored import SavedResults
from sightline.core.yaml12 import read_yaml
from sightline.lab.panel_results import Band

LOG, CONFIG = "metrics.jsonl", "config.yaml"

AttendedTo = Literal["self", "memory", "pooling"]


@final
@dataclass(frozen=True)
class LossCurve:
    """A loss over steps, in nats per label: of the last steps of training, or of the validation items."""

    steps: list[int]
    loss: list[float | None]


@final
@dataclass(frozen=True)
class AttentionCourse:
    """Softmax attention of a layer over the steps of a training: medians over queries and heads, with quartiles.

    name: for people; path: of the module in the model
    over: what it attends to: the sequence itself, a memory, or all that a pooling reads
    entropy, largest, gradient: as those of `panel_results.Saturation`
    """

    name: str
    path: str
    over: AttendedTo
    entropy: Band
    largest: Band
    gradient: Band


@final
@dataclass(frozen=True)
class GateCourse:
    """Gates of a layer over the looks: shares of units in the lowest (shut) and highest (open) 5 % of their range."""

    name: str
    path: str
    gate: str
    shut: list[float | None]
    open: list[float | None]


@final
@dataclass(frozen=True)
class MatrixCourse:
    """Recurrent weights over the looks: the largest singular value and the spectral radius."""

    name: str
    path: str
    gate: str
    largest: list[float | None]
    radius: list[float | None]


@final
@dataclass(frozen=True)
class TrainingDynamics(SavedResults):
    """Observations of a model while it trained, a number for each look, and the losses beside it.

    training_s: seconds of all steps and validations
    steps: of training, at each look; seconds: of training by then; watch_s: that the look itself took, on top
    distances, gradients: ‖∂ logits/∂x‖_F by the distance from the end of the input, for each look one at each distance
    left_out: paths of layers of attention whose weights were not read
    """

    command: str
    run: str
    task: str
    arch: str
    training_s: float
    steps: list[int]
    seconds: list[float]
    watch_s: list[float]
    train: LossCurve
    valid: LossCurve
    attention: list[AttentionCourse] = field(default_factory=list)
    gates: list[GateCourse] = field(default_factory=list)
    matrices: list[MatrixCourse] = field(default_factory=list)
    distances: list[int] = field(default_factory=list)
    gradients: list[list[float | None]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        page = import_module("sightline.report.training")  # loaded when a notebook asks for it, not before
        head = ("layer", "entropy at the first look", "at the last", "half of the change by step", "largest weight")
        return html_lines(page.training_findings(self)) + html_table(head, page.layer_cells(self))


def training_dynamics(run: Path, command: str = "") -> TrainingDynamics:
    """The record of the run in the directory `run`.

    Raises:
        InputError: "runs/a/metrics.jsonl: no such file"; "runs/a: nothing was watched: train it with --watch".
    """
    records = _records(run / LOG)
    looks = [record for record in records if record["event"] == "watch"]
    if not looks:
        raise InputError("nothing was watched: train it with --watch", where=run)
    config = read_yaml(run / CONFIG) if (run / CONFIG).exists() else {}
    attention, gates, matrices = (_by_layer(looks, part) for part in ("attention", "gates", "matrices"))
    names = layer_names(list(attention), [path for path, _ in {**gates, **matrices}])
    steps = [look["steps"] for look in looks]
    reached = [look.get("gradients") or {"at": [], "norm": []} for look in looks]
    distances: list[int] = next((one["at"] for one in reached if one["at"]), [])
    return TrainingDynamics(
        command=command,
        run=str(run),
        task=str(config.get("task", "")),
        arch=str(config.get("arch", "")),
        training_s=max(record.get("seconds", 0.0) for record in records),
        steps=steps,
        seconds=[look["seconds"] for look in looks],
        watch_s=[look["watch_s"] for look in looks],
        train=_curve(records, "train"),
        valid=_curve(records, "valid"),
        attention=[
            AttentionCourse(names[path, over], path, over, *(_band(steps, seen, part) for part in QUARTILES))
            for (path, over), seen in attention.items()
        ],
        gates=[
            GateCourse(names[path, ""], path, gate, _over(seen, "low"), _over(seen, "high"))
            for (path, gate), seen in gates.items()
        ],
        matrices=[
            MatrixCourse(names[path, ""], path, gate, _over(seen, "largest"), _over(seen, "radius"))
            for (path, gate), seen in matrices.items()
        ],
        distances=distances,
        gradients=[one["norm"] or [None] * len(distances) for one in reached] if distances else [],
        left_out=looks[-1].get("left_out", []),
    )


QUARTILES = ("entropy", "largest", "gradient")

Seen = list[Mapping[str, Any] | None]  # of each look


def _records(path: Path) -> list[dict[str, Any]]:
    """The records of a log whose last line may be cut."""
    records = []
    for line in read_regular(path).splitlines():
        with suppress(ValueError):
            records.append(json.loads(line))
    return [record for record in records if isinstance(record, dict) and "event" in record]


def _by_layer(looks: Sequence[Mapping[str, Any]], part: str) -> dict[tuple[str, Any], Seen]:
    """The observations of every layer, and of every gate or whatever it attends to, at each look."""
    keys = {(one["layer"], one.get("over", one.get("of"))): None for look in looks for one in look.get(part, [])}
    courses: dict[tuple[str, Any], Seen] = {key: [None] * len(looks) for key in keys}
    for place, look in enumerate(looks):
        for one in look.get(part, []):
            courses[one["layer"], one.get("over", one.get("of"))][place] = one
    return courses


def _over(seen: Seen, name: str) -> list[float | None]:
    return [None if one is None else one[name] for one in seen]


def _band(steps: Sequence[int], seen: Seen, name: str) -> Band:
    low, middle, high = zip(*(one[name] if one else (None, None, None) for one in seen))
    return Band([float(step) for step in steps], list(middle), list(low), list(high))


def _curve(records: Sequence[Mapping[str, Any]], event: str) -> LossCurve:
    kept = [record for record in records if record["event"] == event]
    return LossCurve([record["steps"] for record in kept], [record.get("loss") for record in kept])


def layer_names(attention: Sequence[tuple[str, str]], recurrences: Sequence[str]) -> dict[tuple[str, str], str]:
    """Short names of layers by path and what they attend to ("" for recurrences), numbered in the order of the model.

    "layer 3" where all are of one part of the model; "encoder 1", "decoder 2" otherwise; "cross 1" over a memory;
    "pooling"; a half of a layer that reads in both directions has its direction, "layer 1 backwards".
    """
    keys = [*attention, *((path, "") for path in dict.fromkeys(recurrences))]
    parts = {path.partition(".")[0] for path, over in keys if over in ("self", "")}
    counts: Counter[tuple[str, bool]] = Counter()
    names: dict[tuple[str, str], str] = {}
    last = ("", "")
    for path, over in keys:
        if over == "pooling":
            names[path, over] = "pooling"
            continue
        kind = "cross" if over == "memory" else path.partition(".")[0] if len(parts) > 1 else "layer"
        outer, _, direction = path.rpartition(".")
        halves = direction in ("forwards", "backwards")
        if not halves or last != (outer, kind):
            counts[kind, bool(over)] += 1
        last = (outer, kind) if halves else ("", "")
        names[path, over] = f"{kind} {counts[kind, bool(over)]}" + (f" {direction}" if halves else "")
    return names
