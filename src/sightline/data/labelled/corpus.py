"""From what the user names (`reviews.csv`, a folder for each class, `builtin:digits`) to data to learn labels from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.data.labelled.digits import digits
from sightline.data.labelled.labels import Labels, class_names, class_numbers
from sightline.data.labelled.sequential import SEQUENTIAL, sequential
from sightline.data.labelled.table import LabelledTable, Reading, Source, SourceKind, read_labelled
from sightline.data.split import stratified_split

PARTS = ("train", "valid", "test")
SHARES = {"test": 0.1, "valid": 0.1}
_SHOWN_PLACES = 10


class LabelledPart(NamedTuple):
    """Sources and their labels, in step, and where each stands.

    sources: texts, series (T, C) float32, sounds (T,) float32, or pictures (C, H, W) uint8, as `kind` says
    many: whether an item may have any number of labels
    """

    kind: SourceKind
    many: bool
    sources: list[Source]
    labels: list[Labels]
    places: list[str]

    def chosen(self, rows: Iterable[int]) -> LabelledPart:
        """The items of these numbers, in their order."""
        rows = list(rows)
        return self._replace(
            sources=[self.sources[i] for i in rows],
            labels=[self.labels[i] for i in rows],
            places=[self.places[i] for i in rows],
        )

    def numbers(self, classes: Sequence[str]) -> np.ndarray:
        """The index of each item's class, (N,) int64; or with any number of labels which it has, (N, C) bool.

        Raises:
            InputError: "test.csv:17: the label 'maybe' does not occur in training; did you mean 'may'?".
        """
        return class_numbers(self.labels, classes, self.places, self.many)


@dataclass(frozen=True)
class LabelledData:
    """Labelled sources for training, validation and test.

    classes: the names of the labels, fixed by the training part
    sha256: of sources and labels themselves, in order: the same content has the same hash whatever files it came in
    notes: what the user should know, a line each
    """

    name: str
    classes: tuple[str, ...]
    train: LabelledPart
    valid: LabelledPart
    test: LabelledPart
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> SourceKind:
        """What the sources are."""
        return self.train.kind

    @property
    def many(self) -> bool:
        """Whether an item may have any number of labels."""
        return self.train.many

    @property
    def sizes(self) -> dict[str, int]:
        """Items of each part."""
        return {part: len(getattr(self, part).sources) for part in PARTS}


def load_labelled(
    data: str | Path,
    reading: Reading | None = None,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> LabelledData:
    """Read and split labelled data.

    A part that is not given, in a file or folder of its own or by a column of parts, is a tenth of `data`: a tenth of
    each label's sources, chosen by a hash of the source and `seed`, so that equal sources never stand on two sides.
    Where items may have any number of labels the tenth is of all sources. `seed` is not the seed of training: use one
    for all runs on the same data. Built-in data takes its own, as in `builtin:digits?seed=1`.

    limit: keep only the first so many items of each part

    Raises:
        InputError: whatever is wrong with the files, in one line; "a.csv: only one class, 'yes': …"; "test.csv:17: the
            label 'maybe' does not occur in training".
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, found {limit}")
    reading = reading or Reading()
    name = str(data)
    if not name:
        raise InputError("no data named: give a table, a folder that has a folder for each class, or builtin:digits")
    if name.startswith("builtin:"):
        columns = (reading.source_column, reading.label_separator, reading.split_column)
        if valid is not None or test is not None or any(columns) or reading.label_column != Reading().label_column:
            raise InputError("built-in data takes no validation or test files and no columns", where=name)
        tables, seed = _builtin(name)
    else:
        files = {"train": data, "valid": valid, "test": test}
        tables = {part: read_labelled(Path(file), reading) for part, file in files.items() if file is not None}
    train = tables["train"]
    for part, table in tables.items():
        if (table.kind, table.many) != (train.kind, train.many):
            raise InputError(
                f"holds {_said(table)}, but {train.name} holds {_said(train)}", where=f"{table.name} ({part})"
            )
    class_names(train.labels, train.name)  # what is wrong with them comes before what is wrong with their number
    divided = _divide(train, [part for part in SHARES if part not in tables], seed)
    divided |= {part: table for part, table in tables.items() if part != "train"}
    return _data(name, divided, limit)


def _builtin(name: str) -> tuple[dict[str, LabelledTable], int]:
    """The tables of built-in data, and the seed that divides what is not divided."""
    kind, _, query = name.removeprefix("builtin:").partition("?")
    if kind in SEQUENTIAL:
        return sequential(kind, query), 0
    if kind != "digits":
        known = ("digits", *SEQUENTIAL)
        near = nearest(kind, known)
        hint = f", did you mean {near!r}?" if near else f"; with labels there are {', '.join(known)}"
        raise InputError(f"unknown built-in data {kind!r}{hint}", where="builtin")
    table, seed = digits(query)
    return {"train": table}, seed


def _said(table: LabelledTable) -> str:
    return f"{table.kind} with {'any number of labels' if table.many else 'one label each'}"


def _divide(table: LabelledTable, missing: Sequence[str], seed: int) -> dict[str, LabelledTable]:
    """The training table and the parts that are split off it."""
    if table.parts:
        of_row = table.parts
        missing = [part for part in missing if part not in of_row]
        if "train" not in of_row:
            raise InputError("no row belongs to the training part", where=table.name)
    else:
        of_row = ["train"] * len(table.sources)
    ours = [i for i, part in enumerate(of_row) if part == "train"]
    if missing:
        keys = [source_key(table.sources[i]) for i in ours]
        strata = ["" if table.many else table.labels[i][0] for i in ours]
        chosen = stratified_split(keys, strata, {part: SHARES[part] for part in missing}, seed)
        of_row = list(of_row)
        for i, part in zip(ours, chosen, strict=True):
            of_row[i] = part
        for part in missing:
            if part not in of_row:
                raise InputError(
                    f"{len(set(keys))} different sources are too few to split: no label has more than "
                    f"{len(missing)}; add rows or name the files of all parts",
                    where=table.name,
                )
    return {part: _rows(table, [i for i, p in enumerate(of_row) if p == part]) for part in PARTS if part in of_row}


def _rows(table: LabelledTable, rows: Iterable[int]) -> LabelledTable:
    kept = part_of_table(table).chosen(rows)
    return replace(table, sources=kept.sources, labels=kept.labels, places=kept.places)


def part_of_table(table: LabelledTable) -> LabelledPart:
    """All items of a table as one part."""
    return LabelledPart(table.kind, table.many, table.sources, table.labels, table.places)


def _data(name: str, tables: dict[str, LabelledTable], limit: int | None) -> LabelledData:
    """The data set, once each label is known to be one of training's."""
    train = tables["train"]
    classes = class_names(train.labels, train.name)
    parts = {}
    for part in PARTS:
        whole = part_of_table(tables.get(part) or _rows(train, []))
        whole.numbers(classes)
        parts[part] = whole.chosen(range(len(whole.sources))[:limit])
    keys = {part: [source_key(source) for source in tables[part].sources] for part in tables}
    return LabelledData(name, classes, **parts, sha256=content_sha256(parts), notes=tuple(_notes(tables, keys)))


def source_key(source: Source) -> bytes:
    """A hash that equal sources share."""
    if isinstance(source, str):
        return hashlib.sha256(source.encode()).digest()
    header = f"{source.dtype.str} {source.shape}\0".encode()
    return hashlib.sha256(header + source.tobytes()).digest()


def content_sha256(parts: Mapping[str, LabelledPart]) -> str:
    """The hash of all sources and labels, in order."""
    digest = hashlib.sha256()
    for name, part in parts.items():
        digest.update(f"{name} {part.kind} {len(part.sources)}\0".encode())
        for source, labels in zip(part.sources, part.labels, strict=True):
            digest.update(source_key(source))
            digest.update("\0".join([*labels, "\0"]).encode())
    return digest.hexdigest()


def _notes(tables: dict[str, LabelledTable], keys: dict[str, list[bytes]]) -> list[str]:
    """Rows that were skipped, sources on two sides, sources with two labels, labels that a part lacks."""
    notes = []
    for table in {table.name: table for table in tables.values()}.values():
        if table.skipped:
            rest = table.skipped - len(table.complaints)
            more = f"; and {rest} more" if rest else ""
            notes.append(f"{table.name}: skipped {table.skipped} bad rows: {'; '.join(table.complaints)}{more}")
    known = set(keys["train"])
    for part in [part for part in tables if part != "train"]:
        again = [place for place, key in zip(tables[part].places, keys[part], strict=True) if key in known]
        if again:
            total = len(keys[part])
            notes.append(f"{len(again)} of {total} {part} sources occur in training too ({_shown(again)})")
    train = tables["train"]
    meanings: dict[bytes, set[Labels]] = {}
    for key, labels in zip(keys["train"], train.labels, strict=True):
        meanings.setdefault(key, set()).add(labels)
    torn = [place for place, key in zip(train.places, keys["train"], strict=True) if len(meanings[key]) > 1]
    if torn:
        notes.append(f"{len(torn)} training rows have a source that another row labels otherwise ({_shown(torn)})")
    counts = {part: Counter(name for of_item in table.labels for name in of_item) for part, table in tables.items()}
    for part, of_part in counts.items():
        absent = [repr(name) for name in sorted(counts["train"]) if name not in of_part]
        if absent:
            notes.append(f"no {part} item has the label {', '.join(absent[:_SHOWN_PLACES])}")
    return notes


def _shown(places: Sequence[str]) -> str:
    return ", ".join(places[:_SHOWN_PLACES]) + (", …" if len(places) > _SHOWN_PLACES else "")
