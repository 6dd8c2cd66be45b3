"""Labelled data read from a table, from a folder for each class, or built in (`reviews.csv`, `builtin:digits`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.builtin import parse_name
from sightline.data.corpus import Corpus, limited, listed, overlap_notes
from sightline.data.labelled.columns import UNKNOWN, LabelledColumns
from sightline.data.labelled.describe import survey_labelled
from sightline.data.labelled.digits import digits
from sightline.data.labelled.labels import Labels, LabelType, class_names
from sightline.data.labelled.part import LabelledPart, content_sha256
from sightline.data.labelled.sequential import SEQUENTIAL, sequential
from sightline.data.labelled.table import LabelledTable, Reading, SourceKind, kind_of_sources, read_labelled
from sightline.data.split import PARTS, SHARES, by_label, rows_of
from sightline.data.survey import SHOWN


@final
@dataclass(frozen=True, kw_only=True)
class LabelledCorpus(Corpus[LabelledPart]):
    """Labelled sources for training, validation and test.

    classes: the names of the labels, fixed by the training part
    label_type: of the values that these names had in the training data
    columns: those of the training table
    """

    classes: tuple[str, ...]
    label_type: LabelType = "text"
    columns: LabelledColumns = UNKNOWN

    @property
    def kind(self) -> SourceKind:
        """The kind of the sources."""
        return self.train.kind

    @property
    def many(self) -> bool:
        """Whether an item may have any number of labels."""
        return self.train.many

    describe = survey_labelled


def kind_of_data(data: str, reading: Reading) -> SourceKind:
    """The kind of the sources of data that `load_labelled` reads; raises as `kind_of_sources`."""
    return _builtin(data)[0]["train"].kind if data.startswith("builtin:") else kind_of_sources(Path(data), reading)


def load_labelled(
    data: str | Path,
    reading: Reading | None = None,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    trainable: bool = True,
) -> LabelledCorpus:
    """Read and split labelled data.

    A part that is not given, in a file or folder of its own or by a column of parts, is a tenth of `data`: a tenth of
    each label's sources, chosen by a hash of the source and `seed`, so that equal sources are never in two parts.
    Where items may have any number of labels the tenth is of all sources. `seed` is not the seed of training: use one
    for all runs on the same data. Built-in data takes its own, as in `builtin:digits?seed=1`. Files of validation and
    test are read by the columns of the training table; a column of parts divides that table alone, and a note counts
    its rows of a part that has a file.

    limit: keep only the first `limit` items of each part; of a folder for each class evenly spaced ones
    trainable: refuse data that nothing can be trained on; otherwise it is the corpus' `problem`

    Raises:
        InputError: any problem with the files, in one line; "a.csv: only one class, 'yes': …"; "test.csv:17: the
            label 'maybe' does not occur in training".
    """
    tables, seed = _tables(data, reading or Reading(), {"valid": valid, "test": test}, seed)
    train = tables["train"]
    own = {part: LabelledPart.of(table) for part, table in tables.items() if part != "train"}
    problem, left_out = "", {part: count for part, count in Counter(train.parts).items() if part in own}
    try:
        class_names(train.labels, train.name)  # errors in labels are reported before too few of them
        parts = _divide(train, [part for part in SHARES if part not in tables], seed) | own
        classes = class_names(parts["train"].labels, train.name)
        for part in PARTS:
            parts[part].numbers(classes)  # every label is known
    except InputError as error:
        if trainable:
            raise
        problem = str(error)
        rows = rows_of(train.parts or ["train"] * len(train.sources))
        parts = {part: LabelledPart.of(train).select(rows.get(part, ())) for part in PARTS} | own
        classes = tuple(sorted({label for of_item in train.labels for label in of_item}))
    notes = [note for table in {table.name: table for table in tables.values()}.values() for note in table.notes()]
    for part, count in left_out.items():
        rows_are = number_of(count, f"row of the {part} part is", f"rows of the {part} part are")
        notes.append(f"{train.name}: {rows_are} left out: that part is {tables[part].name}")
    parts = limited(parts, limit)
    notes += _notes(parts, classes)
    facts: dict[str, Any] = {"notes": tuple(notes), "problem": problem, "sha256": content_sha256(parts), **parts}
    facts |= {"classes": classes, "label_type": train.label_type, "columns": train.columns}
    return LabelledCorpus(name=str(data), **facts)


def _tables(
    data: str | Path, reading: Reading, files: dict[str, str | Path | None], seed: int
) -> tuple[dict[str, LabelledTable], int]:
    """The table of each part that is given, all of one kind, and the seed that divides a table without parts."""
    name = str(data)
    if not name:
        raise InputError("no data: give a table, a folder that has a folder for each class, or builtin:digits")
    if name.startswith("builtin:"):
        columns = (reading.source_column, reading.label_separator, reading.split_column)
        has_files = any(file is not None for file in files.values())
        if has_files or any(columns) or reading.label_column != Reading().label_column:
            raise InputError("built-in data does not take validation files, test files or columns", where=name)
        tables, seed = _builtin(name)
    else:
        train = read_labelled(Path(data), reading)
        classes = {label for of_item in train.labels for label in of_item}
        own = replace(reading, split_column=None), replace(train.columns, split=reading.split_column), classes
        read = {part: read_labelled(Path(file), *own) for part, file in files.items() if file is not None}
        tables = {"train": train, **read}
    train = tables["train"]
    for part, table in tables.items():
        if (table.kind, table.many) != (train.kind, train.many):
            raise InputError(
                f"contains {_content(table)}, but {train.name} contains {_content(train)}",
                where=f"{table.name} ({part})",
            )
    return tables, seed


def _builtin(name: str) -> tuple[dict[str, LabelledTable], int]:
    """The tables of built-in data, and the seed that divides a table without parts."""
    kind, query = parse_name(name, ("digits", *SEQUENTIAL))
    if kind in SEQUENTIAL:
        return sequential(kind, query), 0
    table, seed = digits(query)
    return {"train": table}, seed


def _content(table: LabelledTable) -> str:
    return f"{table.kind} with {'any number of labels' if table.many else 'one label each'}"


def _divide(table: LabelledTable, missing: Sequence[str], seed: int) -> dict[str, LabelledPart]:
    """The training part and the parts that are split off it, by the column of parts where there is one."""
    part = LabelledPart.of(table)
    rows = rows_of(table.parts or ["train"] * len(part))
    if "train" not in rows:
        raise InputError("no row belongs to the training part", where=table.name)
    missing = [name for name in missing if name not in rows]
    if missing:
        whole = part.select(rows["train"])
        keys, labels = whole.keys(), ["" if table.many else of_item[0] for of_item in whole.labels]
        divided = rows_of(by_label(keys, labels, {name: SHARES[name] for name in missing}, seed))
        if any(name not in divided for name in missing):
            raise InputError(
                f"{len(set(keys))} different sources are too few to split: no label has more than "
                f"{len(missing)}; add rows or give the files of all parts",
                where=table.name,
            )
        rows |= {name: [rows["train"][row] for row in numbers] for name, numbers in divided.items()}
    return {name: part.select(rows[name]) for name in PARTS if name in rows}


def _notes(parts: Mapping[str, LabelledPart], classes: Sequence[str]) -> list[str]:
    """Sources in two parts, sources with two labels, labels that a part lacks."""
    train, keys = parts["train"], parts["train"].keys()
    notes = []
    for name, part in parts.items():
        if name != "train":
            notes += overlap_notes(name, part.keys(), set(keys), part.places)
    meanings: dict[bytes, set[Labels]] = {}
    for key, labels in zip(keys, train.labels, strict=True):
        meanings.setdefault(key, set()).add(labels)
    torn = [place for place, key in zip(train.places, keys, strict=True) if len(meanings[key]) > 1]
    if torn:
        rows = number_of(len(torn), "training row has", "training rows have")
        notes.append(f"{rows} a source that another row labels otherwise ({listed(torn)})")
    counts = {name: Counter(label for of_item in part.labels for label in of_item) for name, part in parts.items()}
    if len(counts["train"]) == 1 < len(classes):  # of a limited part
        notes.append(
            f"all {len(train)} training items have the label {min(counts['train'])!r}, and a model learns no other: "
            "raise --limit, or put the rows in random order"
        )
        return notes
    for name, of_part in counts.items():
        absent = [repr(label) for label in classes if label not in of_part]
        if absent and (of_part or name != "train"):
            item = "training" if name == "train" else name
            notes.append(f"no {item} item has the label {', '.join(absent[:SHOWN])}")
    return notes
