"""One part of a labelled corpus: sources with their labels and places."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from sightline.data.labelled.labels import Labels, class_numbers
from sightline.data.labelled.table import LabelledSource, LabelledTable, SourceKind
from sightline.data.spaced import spaced_by_class


@final
@dataclass(frozen=True)
class LabelledPart:
    """Sources and their labels, in step, and the place that each was read from.

    sources: texts, series (T, C) float32, sounds (T,) float32, or pictures (C, H, W) uint8, as `kind` says
    many: whether an item may have any number of labels
    by_class: whether all items of a class are together, as those of a folder for each class are
    """

    kind: SourceKind
    many: bool
    sources: list[LabelledSource]
    labels: list[Labels]
    places: list[str]
    by_class: bool = False

    @classmethod
    def of(cls, table: LabelledTable) -> LabelledPart:
        """All items of a table."""
        return cls(table.kind, table.many, table.sources, table.labels, table.places, table.by_class)

    def __len__(self) -> int:
        return len(self.sources)

    def select(self, rows: Iterable[int]) -> LabelledPart:
        """The items of these numbers, in their order."""
        rows = list(rows)
        sources, labels = [self.sources[row] for row in rows], [self.labels[row] for row in rows]
        return replace(self, sources=sources, labels=labels, places=[self.places[row] for row in rows])

    def first(self, count: int) -> LabelledPart:
        """The first `count` items; `by_class` some from everywhere, so that each class keeps its share."""
        if not self.by_class:
            return self.select(range(len(self))[:count])
        return self.select(spaced_by_class(np.array(["\0".join(labels) for labels in self.labels]), count))

    def numbers(self, classes: Sequence[str]) -> np.ndarray:
        """The index of each item's class, (N,) int64; with any number of labels whether it has each class, (N, C) bool.

        Raises:
            InputError: "test.csv:17: the label 'maybe' does not occur in training, did you mean 'may'?".
        """
        return class_numbers(self.labels, classes, self.places, self.many)

    def keys(self) -> list[bytes]:
        """The `source_key` of every item."""
        return [source_key(source) for source in self.sources]


def source_key(source: LabelledSource) -> bytes:
    """A hash that equal sources share."""
    if isinstance(source, str):
        return hashlib.sha256(source.encode()).digest()
    header = f"{source.dtype.str} {source.shape}\0".encode()
    return hashlib.sha256(header + source.tobytes()).digest()


def content_sha256(parts: Mapping[str, LabelledPart]) -> str:
    """The hash of all sources and labels, in order."""
    digest = hashlib.sha256()
    for name, part in parts.items():
        digest.update(f"{name} {part.kind} {len(part)}\0".encode())
        for key, labels in zip(part.keys(), part.labels, strict=True):
            digest.update(key)
            digest.update("\0".join([*labels, "\0"]).encode())
    return digest.hexdigest()
