"""Attention maps of test items in the results of a comparison. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final


@final
@dataclass(frozen=True)
class AttentionMap:
    """Weights (rows, columns) of one probe: rows = output pieces, columns = attended positions.

    `weights` is the mean of the heads; `heads` is empty if there is only one or they were not kept.
    """

    name: str
    over: Literal["source", "source itself", "output itself"]
    weights: list[list[float]]
    heads: list[list[list[float]]] = field(default_factory=list)


@final
@dataclass(frozen=True)
class ArchitectureMaps:
    """The attention maps of one architecture while it writes `output` for an example."""

    arch: str
    output: list[str]
    prediction: str
    maps: list[AttentionMap]


@final
@dataclass(frozen=True)
class AttentionExample:
    """One source sentence, split into pieces, with the attention maps of each architecture."""

    source: str
    reference: str
    pieces: list[str]
    architectures: list[ArchitectureMaps]
