"""The results of an inspection of one input: influence maps of a model, the content of `--json`. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, final

import numpy as np

from sightline.core.notebook import html_lines
from sightline.core.stored import SavedResults, version_first
from sightline.inspect.packed import array_field, decode_with_arrays, plain_with_arrays

InspectedKind = Literal["text", "series", "audio", "image"]
InfluenceMethod = Literal[
    "softmax",
    "value_weighted",
    "rollout",
    "implicit",
    "jacobian",
    "effect",
    "relevance",
    "integrated_gradients",
    "gradient",
]
MapSide = Literal["output", "source"]


@final
@dataclass(frozen=True)
class InspectedModel:
    """The model: the name of its run, its architecture and task as the tables name them, its number of parameters."""

    name: str
    architecture: str
    task: str
    parameters: int


@final
@dataclass(frozen=True, eq=False)
class InspectedInput:
    """The input as the model read it.

    pieces: of each position of the model a label: tokens of a text; for other inputs what the position covers
    text: the text as it was given; of other inputs their name
    spans: of each position the first and the end of what it covers: values of a series, frames of the spectrogram,
        patches of the picture by number; [0, 0] of a position that covers none of it, such as a word of a question
    values: (T, C) of a series; channels: their C names
    spectrogram: (F, frames) of a sound, the lowest frequency first; frame_s: the seconds from frame to frame
    pixels: (height, width, 1 or 3) of an image; grid: its rows and columns of patches, which are numbered row by row;
        without `spans` they are the last `pieces`
    """

    kind: InspectedKind
    pieces: list[str]
    text: str = ""
    spans: list[list[int]] = field(default_factory=list)
    values: np.ndarray | None = array_field("float32", optional=True)
    channels: list[str] = field(default_factory=list)
    spectrogram: np.ndarray | None = array_field("float16", optional=True)
    frame_s: float | None = None
    pixels: np.ndarray | None = array_field("uint8", optional=True)
    grid: list[int] = field(default_factory=list)


@final
@dataclass(frozen=True, eq=False)
class InspectedOutput:
    """The answer of the model.

    pieces: of each position of the output a label: tokens of a text, the label of a class, steps of a forecast
    read: where the model reads its own output while it writes, what it reads at each position: a start token, then
        the pieces before. Columns of maps of the output over itself are these. Empty elsewhere
    probability: of each piece, None where the model gives none
    values: (steps, C) of a forecast
    """

    pieces: list[str]
    read: list[str] = field(default_factory=list)
    probability: list[float | None] = field(default_factory=list)
    values: np.ndarray | None = array_field("float32", optional=True)


@final
@dataclass(frozen=True, eq=False)
class InfluenceMap:
    """How much each column counts for each row, in one layer or in the whole model.

    name: the path of the probe or layer in the model, "layers" for all together, "model" for the whole model
    layer: its number among the layers with maps of this method over the same rows and columns, from 0; -1 where it is
        not of one layer
    kind: "self" is a map of a sequence over itself, "cross" of one over another
    rows, columns: which sequence they are: the positions of `input.pieces` ("source") or of the output ("output"): in
        rows what is written, `output.pieces`; in columns of a map of the output over itself what is read, `output.read`
    weights: (heads, rows, columns), finite; one head where the layer has no heads
    skipped: (rows, columns), True where a window or a sparse pattern does not look. Later positions that a causal layer
        cannot see are not marked: their weights are 0
    signed: whether weights may be negative
    meaning, limits: one sentence each: the quantity shown, and what it does not mean

    Raises:
        ValueError: "weights must be (heads, rows, columns), got (4, 7)"; "weights must be finite"; "skipped must be
            (7, 7), got (7, 6)".
    """

    name: str
    layer: int
    method: InfluenceMethod
    kind: Literal["self", "cross"]
    rows: MapSide
    columns: MapSide
    weights: np.ndarray = array_field("float16")
    skipped: np.ndarray | None = array_field("bits", optional=True)
    signed: bool = False
    meaning: str = ""
    limits: str = ""

    def __post_init__(self) -> None:
        if self.weights.ndim != 3:
            raise ValueError(f"weights must be (heads, rows, columns), got {self.weights.shape}")
        if not np.isfinite(self.weights).all():
            raise ValueError("weights must be finite")
        if self.skipped is not None and self.skipped.shape != self.weights.shape[1:]:
            raise ValueError(f"skipped must be {self.weights.shape[1:]}, got {self.skipped.shape}")


@final
@dataclass(frozen=True, eq=False, repr=False)
class Inspection(SavedResults):
    """Influence maps of one model for one input, which a notebook shows as the page of `sightline inspect -o`.

    command: what repeats it; notes: which methods or layers have no map here, and why
    """

    model: InspectedModel
    input: InspectedInput
    output: InspectedOutput
    maps: list[InfluenceMap]
    command: str = ""
    notes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        methods = ", ".join(dict.fromkeys(one.method for one in self.maps)) or "no method has one"
        positions = f"{len(self.input.pieces)} positions in, {len(self.output.pieces)} out"
        return (
            f"Inspection({self.model.name or self.model.architecture}: {len(self.maps)} maps by {methods}; {positions})"
        )

    def _repr_html_(self) -> str:
        return _page_of([self]) if self.maps else html_lines([repr(self), *self.notes])

    def beside(self, other: Inspection) -> InspectionPair:
        """This model and another, for a notebook, linked token by token."""
        return InspectionPair(self, other)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, schema_version first; arrays as `packed.PackedArray` has them."""
        return version_first(plain_with_arrays(self))

    @classmethod
    def _decoded(cls, mapping: Mapping[str, Any], where: str) -> Inspection:
        return decode_with_arrays(cls, mapping, where=where)


@final
@dataclass(frozen=True, eq=False)
class InspectionPair:
    """Two models and the same input, which a notebook shows side by side, as `sightline inspect --beside` does."""

    first: Inspection
    second: Inspection

    def _repr_html_(self) -> str:
        return _page_of([self.first, self.second])


def _page_of(inspections: list[Inspection]) -> str:
    """The page in a frame. The report reads these objects, and is loaded when a notebook asks for it, not before."""
    return import_module("sightline.report.inspection").notebook_page(inspections)
