"""New inputs of a classifier in the rows of a table, whose labels, if it has some, are not read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sightline.core.errors import InputError
from sightline.data.inputs import InputTable, text_or_blank
from sightline.data.labelled.choice import Choice, choose
from sightline.data.labelled.columns import LabelledColumns
from sightline.data.labelled.table import Reading, label_columns, open_labelled
from sightline.data.media.files import MediaFile
from sightline.data.rows.index import identity_columns
from sightline.data.rows.record import Record
from sightline.tasks.classification.inputs import LabelledInputs


def labelled_inputs(
    table: InputTable, inputs: LabelledInputs, reading: Mapping[str, Any], trained: LabelledColumns
) -> Sequence[str | MediaFile]:
    """The inputs as `LabelledInputs.accept` takes them: texts, paths, files in cells, or series as JSON lists.

    reading: how the training data was read, by key of the data
    trained: the columns of the training table; what is unknown of them is derived

    Raises:
        InputError: what `InputTable.texts` and `choose` raise; "new.csv:1: no column 'x9', …".
    """
    column = table.column or reading.get("source_column")
    if table.header is False:
        if inputs.kind == "text":
            return table.texts(column)
        raise InputError("a table of files or series names its columns", where="--no-header")
    label = trained.label or reading.get("label_column", Reading.label_column)
    rows = open_labelled(table.path, Reading(source_column=column, label_column=label))
    known = rows.columns or next(iter(rows.records()), Record(0, {})).cells
    likely = [] if trained.label in known else label_columns(rows, [trained.split])
    derived = set() if column else {*identity_columns(rows), *likely} - {*trained.sources}
    others = {label, trained.split, *derived}
    if table.column:
        trained = replace(trained, sources=())

    choices: list[Choice] = []  # that of the first row

    def read(record: Record) -> str | MediaFile:
        choice = choices[0] if choices else choose(record, inputs.kind, column, others, trained)
        choices[:] = [choice]
        if inputs.kind == "series":
            series = choice.series(record, inputs.config.series.missing)  # (T, C), float32
            shortest = series.astype(str).astype(float)  # 0.1, not 0.10000000149
            return json.dumps((shortest[:, 0] if shortest.shape[1] == 1 else shortest).tolist())
        name = choice.columns[0]
        return text_or_blank(record.cell(name), repr(name)) if inputs.kind == "text" else table.file(record, name)

    return [*table.each(rows, read)]
