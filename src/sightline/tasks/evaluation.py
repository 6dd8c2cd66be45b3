"""A model's metrics on data, for people: a result that prints itself, on a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final, get_args

from sightline.core.config import override
from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import written
from sightline.core.settings import check_in_range
from sightline.data.corpus import first_items
from sightline.tasks.data_paths import DataPaths, data_paths
from sightline.tasks.load import Part, PartName, check_keys, check_part, part_of_data, part_of_run
from sightline.training.measured import Measured


@final
@dataclass(frozen=True, repr=False)
class Evaluation:
    """The metrics of a model on some items.

    metrics: by name, in the units of `core.metrics`
    items: of each metric, a row of numbers for each item (see `Measured`)
    outputs, references: of every item, as people read them; empty where they are not text
    details: further results, such as a confusion matrix, in plain JSON types
    """

    task: str
    arch: str
    data: str
    unit: str
    size: int
    metrics: dict[str, float]
    items: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Any, part: Part, measured: Measured) -> Evaluation:
        """The measurement of a task on a part."""
        return cls(task.name, task.arch, part.name, part.unit, part.size, **vars(measured))

    @property
    def title(self) -> str:
        """The model and the data, in a line."""
        items = number_of(self.size, self.unit.removesuffix("s"), self.unit)
        return f"{self.arch} on {self.data}, {items}"

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Each metric's name, its value in its unit, and the signature of the library that computed it."""
        signatures = self.details.get("signatures", {})
        for name, value in self.metrics.items():
            yield name, written(name, value), signatures.get(name, "")

    def __repr__(self) -> str:
        rows = [f"  {name:<15} {number:>10}  {signature}".rstrip() for name, number, signature in self.rows()]
        return "\n".join([self.title, *rows])

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th>{html.escape(name)}</th><td>{number}</td><td>{html.escape(signature)}</td></tr>"
            for name, number, signature in self.rows()
        )
        return f"<p>{html.escape(self.title)}</p><table>{''.join(cells)}</table>"


def evaluate(
    task: Any, data: Any, part: Any, decoding: Any, keys: dict[str, Any], limit: int | None = None
) -> Evaluation:
    """The metrics of a task; see `Task.evaluate`."""
    check_in_range("limit", limit, at_least=1)
    if part not in get_args(PartName):
        raise InputError(f"must be one of {', '.join(get_args(PartName))}, found {part!r}", where="part")
    keys, trained = dict(keys), task.config
    settings = {key: keys.pop(key) for key in task.measured_by if key in keys}
    try:
        with data_paths(None):  # for the words of errors
            check_part(part, data)
            task.check_decoding(decoding)
            if decoding is not None:
                usual = type(decoding)()
                check_measured(task, [key for key, value in vars(decoding).items() if value != getattr(usual, key)])
            if (of_values := _of_values(task, data, decoding, keys, limit)) is not None:
                return of_values
        with data_paths(None, task.pair, data=data) as stored:
            task.config = override(trained, settings, prefix="--")
            return _evaluated(task, stored, part, decoding, keys, limit)
    finally:
        task.config = trained


def check_measured(task: Any, settings: Iterable[str]) -> None:
    """Refuse settings of decoding, by name, that a measurement of the task does not heed.

    Raises:
        InputError: "--beam: a language model is measured on the text that is there, nothing is decoded: leave it out".
    """
    unheeded = next((key for key in settings if key != "precision"), None)
    if unheeded is not None and not task.measures_outputs:
        reason = f"a {task.name} model is measured on the text that is there, nothing is decoded: leave it out"
        raise InputError(reason, where=f"--{unheeded.replace('_', '-')}")


def _of_values(task: Any, data: Any, decoding: Any, keys: dict[str, Any], limit: int | None) -> Evaluation | None:
    """The metrics on data that names no columns and that the task reads as it is; None of other data."""
    part = None if data is None or isinstance(data, str | Path) else task.part_of_values(data)
    if part is None:
        return None
    if keys:
        raise InputError(f"an array has no columns that {next(iter(keys))}=… could name", where="data")
    part = first_items(part, limit)
    chosen = Part(f"data ({type(data).__name__})", part, len(part), task.unit, None)
    return Evaluation.of(task, chosen, task.measure(part, decoding))


def _evaluated(
    task: Any, stored: DataPaths, part: PartName, decoding: Any, keys: dict[str, Any], limit: int | None
) -> Evaluation:
    if stored.paths:
        read = {"base": base} if (base := getattr(stored.beside(task.run).corpus, "base", None)) else {}
        chosen = part_of_data(task, task.place, {**read, **keys, **stored.paths}, part, limit)
    elif keys:
        check_keys(keys, [*task.Run().data_keys, *task.measured_by])
        raise InputError(f"none is given that {next(iter(keys))}=… says how to read", where="data")
    elif task.corpus is not None:
        chosen = Part.of(task.corpus, part, task.unit, limit)
    elif task.place is not None:
        chosen = part_of_run(task.place, part, limit)
    else:
        raise InputError("nothing is known of the data of its training: give some", where="data")
    measured = task.measure(chosen.items, decoding)
    return Evaluation.of(task, chosen._replace(name=stored.named(chosen.name)), measured)
