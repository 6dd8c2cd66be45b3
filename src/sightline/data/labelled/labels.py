"""Labels: the names in a cell, the classes that a training part fixes, and the numbers that a model learns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from sightline.core.errors import InputError
from sightline.core.suggest import suggest
from sightline.data.rows.json_lines import JsonNumber

_WHOLE = re.compile(r"-?[0-9]+(\.0+)?")
Labels = tuple[str, ...]  # of one item: one, or with several labels any number of them
LabelType = Literal["text", "integer", "number", "boolean"]  # of the values that labels had before they became names
TYPES: dict[type, LabelType] = {str: "text", int: "integer", float: "number", bool: "boolean"}
_VALUES: dict[LabelType, Callable[[str], Any]] = {
    "text": str, "integer": int, "number": float, "boolean": lambda name: {"false": False, "true": True}[name]
}  # fmt: skip


def labels_of(value: Any, separator: str | None = None) -> Labels:
    """The labels in a cell: a string, a whole number, true or false; several of them in a list or between separators.

    Raises:
        ValueError: "the label is empty"; "the label 'a' occurs twice"; "the label must be …, found a number with a
            fraction"; whatever is wrong, without the place.
    """
    if isinstance(value, list):
        names = tuple(_name(part) for part in value)
    elif separator is None:
        return (_name(value),)
    else:
        text = _name(value, empty=True)
        names = tuple(_name(part) for part in text.split(separator)) if text else ()
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the label {name[:80]!r} occurs twice")
    return tuple(sorted(names))


def _name(value: Any, *, empty: bool = False) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):  # pandas' column of numbers with gaps
        value = ""
    if isinstance(value, float | JsonNumber) and _WHOLE.fullmatch(str(value)):
        return str(value).partition(".")[0]
    fraction = isinstance(value, JsonNumber) and not value.lstrip("-").isdecimal()
    if not isinstance(value, str) or fraction:
        kinds = {"float": "a number with a fraction", "JsonNumber": "a number with a fraction"}
        what = kinds.get(type(value).__name__, f"a {type(value).__name__}")
        raise ValueError(f"the label must be a string, an integer or true or false, found {what}")
    name = value.strip()
    if not name and not empty:
        raise ValueError("the label is empty")
    if not name.isprintable():
        raise ValueError(f"the label {name[:80]!r} contains characters that cannot be printed")
    if len(name) > 200:
        raise ValueError(f"the label is {len(name)} characters long; at most 200 make a name")
    return name


def label_values(names: Sequence[str], kind: LabelType) -> tuple[Any, ...]:
    """The values that have these names, of the type that the labels of the training data had.

    Raises:
        InputError: "the label 'abc' is not a value of type integer".
    """
    values = []
    for name in names:
        try:
            values.append(_VALUES[kind](name))
        except (ValueError, KeyError):
            raise InputError(f"the label {name!r} is not a value of type {kind}") from None
    return tuple(values)


def whole_numbers(labels: list[Labels], classes: Collection[str] | None = None) -> tuple[list[Labels], str]:
    """Labels such as 1.0 and 2.0, as a column of numbers with gaps is written, as 1 and 2, and a remark on them.

    Others stay as they are, without a remark: a single label that is not a whole number makes all of them names.

    classes: the names of training, which decide for other data: 1.0 is 1 where that is one of them and 1.0 is none
    """
    names = {name for of_item in labels for name in of_item}
    short = {name: name.partition(".")[0] for name in names if "." in name and _WHOLE.fullmatch(name)}
    if classes is not None:
        short = {name: whole for name, whole in short.items() if name not in classes and whole in classes}
    elif not all(_WHOLE.fullmatch(name) for name in names):
        short = {}
    if not short:
        return labels, ""
    first = min(short)
    remark = f"labels are whole numbers: {first!r} is read as {short[first]!r}"
    return [tuple(dict.fromkeys(short.get(name, name) for name in of_item)) for of_item in labels], remark


def class_names(labels: Iterable[Labels], where: object) -> tuple[str, ...]:
    """The names of the classes, in order: that of their numbers where all are integers, else that of their letters.

    Raises:
        InputError: "a.csv: only one class, 'yes': at least two are needed".
    """
    names = {name for of_item in labels for name in of_item}
    if len(names) < 2:
        what = f"only one class, {min(names)!r}" if names else "no labels"
        raise InputError(f"{what}: at least two are needed", where=where)
    integers = all(name.removeprefix("-").isdecimal() and name.isascii() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name)) if integers else sorted(names))


def class_numbers(labels: Sequence[Labels], names: Sequence[str], places: Sequence[str], many: bool) -> np.ndarray:
    """The index of each item's class, (N,) int64; with `many` whether it has each class, (N, C) bool.

    Raises:
        InputError: "test.csv:17: the label 'maybe' does not occur in training, did you mean 'may'?".
    """
    index = {name: i for i, name in enumerate(names)}
    numbers = np.zeros((len(labels), len(names)), bool) if many else np.zeros(len(labels), np.int64)
    for row, of_item in enumerate(labels):
        for name in of_item:
            if name not in index:
                hint = suggest(name, names, label=None)
                raise InputError(f"the label {name!r} does not occur in training{hint}", where=places[row])
            if many:
                numbers[row, index[name]] = True
            else:
                numbers[row] = index[name]
    return numbers
