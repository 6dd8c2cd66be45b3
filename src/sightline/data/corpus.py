"""A data set of any task: parts for training, validation and test, with a summary."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.settings import check_in_range
from sightline.data.split import PARTS, SHARES, by_hash, rows_of
from sightline.data.survey import Survey, histogram, spread

S = TypeVar("S")


@runtime_checkable
class Items(Protocol):
    """One part of a data set."""

    def __len__(self) -> int: ...

    def select(self: S, rows: Sequence[int]) -> S:
        """The items of these numbers, in their order."""
        ...


@runtime_checkable
class Grouped(Protocol):
    """A part that says itself which items are the first ones: where they are in groups, some of every group."""

    def first(self: S, count: int) -> S:
        """`count` of the items, in their order."""
        ...


K = TypeVar("K", bound=Items)
P = TypeVar("P", bound=Sized)  # of a part; tasks ask for `Items`


@dataclass(frozen=True)
class Corpus(Generic[P]):
    """Items for training, validation and test, of a kind that only the task looks into.

    A task's own corpus may extend this one with common properties of its items and with a summary of its own.

    sha256: of the content, in order: the same content has the same hash whatever files it came in
    notes: for the user, a line each
    problem: why nothing can be trained on it; "" where training is possible
    """

    name: str
    train: P
    valid: P
    test: P
    sha256: str
    notes: tuple[str, ...] = ()
    problem: str = ""

    def check(self) -> None:
        """Refuse data that can be described, but not trained on.

        Raises:
            InputError: the problem, such as "a.csv: only one class, 'yes': at least two are needed".
        """
        if self.problem:
            raise InputError(self.problem)

    @property
    def kind(self) -> str:
        """The kind of the sources, where defaults differ by it."""
        return ""

    @property
    def parts(self) -> dict[str, P]:
        """The parts by name, in the order train, valid, test."""
        return {name: getattr(self, name) for name in PARTS}

    @property
    def sizes(self) -> dict[str, int]:
        """The number of items of each part."""
        return {name: len(part) for name, part in self.parts.items()}

    @property
    def filled(self) -> dict[str, P]:
        """The parts that have items."""
        return {name: part for name, part in self.parts.items() if len(part)}

    @property
    def named_notes(self) -> list[str]:
        """The notes, each once and beginning with the data's name."""
        return named_notes(self.name, self.notes)

    def lengths(self, part: P) -> Sequence[int]:
        """The length of every item of a part; empty where items have no length."""
        return ()

    def survey(self, parts: dict[str, dict[str, Any]], **rest: Any) -> Survey:
        """A summary with these numbers of each part; `rest` are other fields of `Survey`."""
        rest.setdefault("notes", list(self.notes))
        return Survey(self.name, self.sha256, parts, **rest)

    def describe(self) -> Survey:
        """A summary: sizes, lengths where items have any, and notes."""
        lengths = {name: self.lengths(part) for name, part in self.filled.items()}
        lengths = {name: values for name, values in lengths.items() if values}
        numbers: dict[str, dict[str, Any]] = {name: {"items": size} for name, size in self.sizes.items()}
        for name, values in lengths.items():
            numbers[name]["length"] = spread(values)
        charts = histogram("Length", "length", lengths, "items") if lengths else []
        return self.survey(numbers, charts=charts)


def split_off(
    parts: Mapping[str, K], keys: Sequence[str], seed: int, *, where: object, trainable: bool
) -> tuple[dict[str, K], str]:
    """All parts, those that are missing taken off training by a hash of the `keys` of its items, and the problem.

    trainable: raise the problem, too few items to divide; otherwise they are all training
    """
    missing = {name: share for name, share in SHARES.items() if name not in parts}
    whole, problem = parts["train"], ""
    if not missing:
        return dict(parts), problem
    try:
        rows = rows_of(by_hash(keys, missing, seed))
    except InputError as error:
        problem = f"{where}: {error}"
        if trainable:
            raise InputError(problem) from None
        rows = {"train": [*range(len(whole))]}
    return {**parts, **{name: whole.select(rows.get(name, [])) for name in ("train", *missing)}}, problem


def limited(parts: Mapping[str, K], limit: int | None) -> dict[str, K]:
    """The `first_items` of each part, in the order of `PARTS`.

    Raises:
        InputError: "limit: must be at least 1, found 0".
    """
    if limit is not None:
        check_in_range("limit", limit, at_least=1)
    return {name: first_items(parts[name], limit) for name in PARTS}


def first_items(items: K, limit: int | None) -> K:
    """The first `limit` items, None = all; see `Grouped`."""
    if limit is None or limit >= len(items):
        return items
    return items.first(limit) if isinstance(items, Grouped) else items.select(range(limit))


def sha256_of(parts: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The hash of the two texts of every item of each part, in order; NUL, which no text contains, ends each."""
    digest = hashlib.sha256()
    for name, rows in parts.items():
        digest.update(f"{name} {len(rows)}\0".encode())
        for one, other in rows:
            digest.update(f"{one}\0{other}\0".encode())
    return digest.hexdigest()


def named_notes(name: str, notes: Iterable[str]) -> list[str]:
    """The notes on data of this name, each once and beginning with it."""
    return list(dict.fromkeys(note if note.startswith(name) else f"{name}: {note}" for note in notes))


def listed(places: Sequence[object], most: int = 10) -> str:
    """The first places, comma-separated, and an ellipsis where there are more."""
    return ", ".join(map(str, places[:most])) + (", …" if len(places) > most else "")


def overlap_notes(
    part: str,
    keys: Sequence[Hashable],
    known: Collection[Hashable],
    places: Sequence[object],
    *,
    where: str = "",
    unit: str = "",
    most: int = 10,
) -> list[str]:
    """A note on the items of a part whose keys training has too, with their places; no note without such items."""
    again = [place for key, place in zip(keys, places, strict=True) if key in known]
    if not again:
        return []
    shown = f"{unit}{'s' * (len(again) > 1)} {listed(again, most)}" if unit else listed(again, most)
    occur = "occurs" if len(again) == 1 else "occur"
    return [f"{where}{len(again)} of {number_of(len(keys), f'{part} source')} {occur} in training too ({shown})"]
