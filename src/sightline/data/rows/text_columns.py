"""Tables of texts: which columns are the source and the target where nobody names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sightline.core.digits import and_joined
from sightline.core.errors import InputError
from sightline.data.rows.formats import open_rows, suffix_of
from sightline.data.rows.header import first_row_names
from sightline.data.rows.index import index_columns, index_notes
from sightline.data.rows.json_lines import JsonNumber
from sightline.data.rows.numbers import is_number
from sightline.data.rows.record import Rows

_SAMPLED_ROWS = 100
_NOT_PAIRS = "; for data other than pairs, set --task"
# Other names of the columns of source and target.
ROLES = {
    "source": "source src input question query prompt original article document wrong incorrect path",
    "target": "target tgt trg output answer response completion translation summary highlights correct corrected "
    "sentence transcript transcription caption",
}


def open_texts(
    path: Path,
    columns: Sequence[tuple[str, str | None]],
    header: bool | None = None,
    trained: Sequence[str | None] = (),
) -> tuple[Rows, list[tuple[str, str]]]:
    """A table of texts, and each column's name with its description in errors; `Rows.notes` say what was derived.

    Where no column is named, columns are those of the training table, or those named as their roles in any case, or
    with another usual name of the role, or the only columns of texts; in a table whose first row is data the first.

    columns: roles and their columns
    header: whether the first row names the columns; None = as it looks
    trained: the column that has each role in the training table, None where it is unknown

    Raises:
        InputError: "a.csv:1: are 'Alpha' and 'Beta' names of columns, or data? Set --header or --no-header"; "a.csv:1:
            which of the columns de, en and fr is which? Set --source-column and --target-column".
    """
    rows = open_rows(path, hint="; two parallel text files are given as a,b" if suffix_of(path) in (".txt", "") else "")
    bare = rows.without_header()
    has_header = bare is not rows
    if has_header and len(rows.columns) < min(len(columns), 2):
        raise InputError("expected at least 2 columns, found 1", where=rows.where)
    if header is False and not has_header:
        raise InputError("names its columns itself: remove --no-header", where=path)
    if header is not False and any(trained):
        columns = _as_trained(rows, columns, trained)
    roles = [role for role, _ in columns]
    named = any(name for _, name in columns)
    if has_header and header is None and not named and not set(roles) <= {name.lower() for name in rows.columns}:
        header = first_row_names(rows)
        if header is None:
            first, several = and_joined([repr(name) for name in rows.columns[:8]]), len(rows.columns) > 1
            question = f"are {first} names of columns" if several else f"is {first} the name of a column"
            hint = _NOT_PAIRS if len(roles) > 1 else ""
            raise InputError(f"{question}, or data? Set --header or --no-header{hint}", where=rows.where)
    names = [name or role for role, name in columns]
    if header is False:
        rows = bare
        if not named:
            _refuse_numbers(bare, len(columns))
            names = list(bare.columns[: len(columns)])
            rows.notes += (f"no header: the first row is data, and its first cells are {and_joined(roles[:8])}",)
    else:
        rows.notes += tuple(index_notes(index_columns(rows)))
        names = names if named else _derived(rows, roles)
    names = [
        rows.column(name, role, any_case=not named and name in roles) for name, role in zip(names, roles, strict=True)
    ]
    return rows, [(name, f"the {role}") for name, role in zip(names, roles, strict=True)]


def _as_trained(
    rows: Rows, columns: Sequence[tuple[str, str | None]], trained: Sequence[str | None]
) -> list[tuple[str, str | None]]:
    """The roles with the columns that are named, or else those of the training table, where this one has them.

    Of two columns one may have another name, if no third one is there.
    """
    known = [name for name in column_names(rows) if name not in index_columns(rows)]
    taken = {name for _, name in columns}
    chosen = [
        name or (own if own in known and own not in taken else None)
        for (_, name), own in zip(columns, trained, strict=True)
    ]
    if any(chosen) and None in chosen and taken == {None}:
        others = [name for name in known if name not in chosen]
        if len(others) != 1:  # it is not of the form of the training table
            return list(columns)
        (role,) = (role for (role, _), name in zip(columns, chosen, strict=True) if name is None)
        rows.notes += (f"the {role} is {others[0]!r}",)
        chosen = [name or others[0] for name in chosen]
    return [(role, name) for (role, _), name in zip(columns, chosen, strict=True)]


def column_names(rows: Rows) -> list[str]:
    """The names of the columns, those inside objects dotted; where each row names its own, those of the first rows."""
    return _names(_sample(rows)) or list(rows.columns)


def text_columns(rows: Rows) -> list[str]:
    """The columns of texts that are not numbers, by the first rows."""
    sample = _sample(rows)
    return _texts(sample, _names(sample))


def _refuse_numbers(bare: Rows, texts: int) -> None:
    """Refuse a table of nothing but numbers, without a header, more columns than there are texts."""
    sample = [record.cells.values() for record in islice(bare.records(), _SAMPLED_ROWS) if not record.problem]
    if len(bare.columns) > texts and sample and all(is_number(cell) for cells in sample for cell in cells):
        raise InputError(
            "all columns are numbers, and none is chosen: set the task (--task=classification reads a label and a "
            "series from each row), or the columns, as in --source-column 1", where=bare.path,
        )  # fmt: skip


def _derived(rows: Rows, roles: Sequence[str]) -> list[str]:
    """The columns that have the roles, with a note where that is not their name."""
    sample = _sample(rows)
    index = index_columns(rows)
    columns = [name for name in _names(sample) if name not in index]
    if not columns or any(name.lower() in roles for name in columns):
        return [*roles]
    texts = _texts(sample, columns)
    usual = [
        [name for name in texts if name.rpartition(".")[2].lower() in ROLES.get(role, "").split()] for role in roles
    ]
    if all(len(names) == 1 for names in usual):
        chosen = [name for (name,) in usual]
    else:
        chosen = next((names for names in (columns, texts) if len(names) == len(roles)), [])
    if not chosen:
        flags = and_joined([f"--{role}-column" for role in roles])
        role, hint = ("which", _NOT_PAIRS) if len(roles) > 1 else (f"the {roles[0]}", "")
        raise InputError(
            f"which of the columns {and_joined(columns[:8])} is {role}? Set {flags}{hint}", where=rows.where
        )
    rows.notes += (", ".join(f"the {role} is {name!r}" for role, name in zip(roles, chosen, strict=True)),)
    return chosen


def _sample(rows: Rows) -> list[dict[str, Any]]:
    """The cells of the first rows, those inside objects by dotted names."""
    return [dict(_flat(record.cells)) for record in islice(rows.records(), _SAMPLED_ROWS) if not record.problem]


def _names(sample: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in sample for name in row))


def _texts(sample: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    return [name for name in columns if all(_is_text(row.get(name, "x")) for row in sample)]


def _flat(cells: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The cells with those inside objects by dotted names, such as `translation.de`."""
    for name, value in cells.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, JsonNumber) and not is_number(value)
