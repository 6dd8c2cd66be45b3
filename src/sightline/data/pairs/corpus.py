"""From what the user names (`pairs.tsv`, `a.de,a.en`, `builtin:dates`) to training, validation and test pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sightline.core.errors import InputError
from sightline.data.pairs.dates import DateOptions, dates
from sightline.data.pairs.table import Columns, Pairs, Table, read_parallel, read_table

__all__ = ["Corpus", "Pairs", "Table", "load_corpus", "read", "read_pairs", "split_by_source"]

_SHOWN_LINES = 10


@dataclass(frozen=True)
class Corpus:
    """Pairs for training, validation and test.

    sha256: of the pairs themselves, in order: the same texts have the same hash in whatever container they came
    notes: what the user should know, a line each: overlaps, skipped rows
    """

    name: str
    train: Pairs
    valid: Pairs
    test: Pairs
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """How many pairs each part has."""
        return {part: len(getattr(self, part).sources) for part in ("train", "valid", "test")}


def read(
    data: str | Path, *, source_column: str | None = None, target_column: str | None = None, skip_bad: bool = False
) -> Table:
    """Read one file of pairs, or two parallel ones given as `a,b`, with the line numbers.

    Raises:
        InputError: "pairs.tsv:17: expected 2 columns, found 3" and the like: one line that names file and line.
        EnvironmentFault: "pairs.tsv: no permission to read it".
    """
    text = str(data)
    if not text:
        raise InputError("no data named: give a file, two parallel files a,b, or builtin:dates")
    if "," not in text or Path(text).exists():
        return read_table(Path(text), Columns(source_column, target_column), skip_bad)
    names = text.split(",")
    if len(names) != 2 or not all(names):
        raise InputError(f"expected one file, or two parallel ones as a,b, found {len(names)} names", where=text)
    if source_column or target_column:
        raise InputError("parallel text files have no columns", where=text)
    return read_parallel(Path(names[0]), Path(names[1]), skip_bad)


def read_pairs(
    data: str | Path, *, source_column: str | None = None, target_column: str | None = None, skip_bad: bool = False
) -> Pairs:
    """The pairs of `read`."""
    return read(data, source_column=source_column, target_column=target_column, skip_bad=skip_bad).pairs


def load_corpus(
    data: str | Path,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    source_column: str | None = None,
    target_column: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    lowercase: bool = False,
    skip_bad: bool = False,
) -> Corpus:
    """Read and split data.

    A part that is not given (`valid`, `test`) is a tenth of `data`, chosen by a hash of the source text and `seed`, so
    that equal sources never stand on both sides. Use one `seed` for all runs on the same data: it decides what the test
    part is, and is not the seed of training. Built-in data takes its own, as in `builtin:dates?seed=1`.

    limit: keep only the first so many pairs of each part

    Raises:
        InputError: whatever is wrong with the files, in one line.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, found {limit}")
    name = str(data)
    if name.startswith("builtin:"):
        if valid is not None or test is not None or source_column or target_column:
            raise InputError("built-in data takes no validation or test files and no columns", where=name)
        parts, notes = _builtin(name), []
    else:
        reading = _Reading(source_column, target_column, lowercase, skip_bad)
        parts, notes = reading.parts({"train": data, "valid": valid, "test": test}, seed)
    if limit is not None:
        parts = {part: Pairs(pairs.sources[:limit], pairs.targets[:limit]) for part, pairs in parts.items()}
    return Corpus(name, parts["train"], parts["valid"], parts["test"], _sha256(parts), tuple(notes))


def split_by_source(pairs: Pairs, shares: Mapping[str, float], seed: int) -> dict[str, Pairs]:
    """Divide pairs into the parts named in `shares` and `train`, by a hash of the source.

    Where a part would stay empty, the source whose hash comes nearest goes there.

    Raises:
        InputError: "2 different sources cannot be split into 3 parts; …".
    """
    place = {source: _fraction(source, seed) for source in dict.fromkeys(pairs.sources)}
    if len(place) <= len(shares):
        raise InputError(
            f"{len(place)} different sources cannot be split into {len(shares) + 1} parts; "
            "add rows or name the files of all parts"
        )
    ranked = sorted(place, key=lambda source: place[source])
    part_of: dict[str, str] = {}
    low = 1.0
    for later, (part, share) in zip(range(len(shares), 0, -1), shares.items(), strict=True):
        low -= share
        count = sum(place[source] >= low for source in ranked)
        for _ in range(min(max(count, 1), len(ranked) - later)):
            part_of[ranked.pop()] = part
    parts = {part: Pairs([], []) for part in ("train", *shares)}
    for source, target in zip(*pairs, strict=True):
        part = parts[part_of.get(source, "train")]
        part.sources.append(source)
        part.targets.append(target)
    return parts


def _fraction(source: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}/{source}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


@dataclass(frozen=True)
class _Reading:
    source_column: str | None
    target_column: str | None
    lowercase: bool
    skip_bad: bool

    def parts(self, files: Mapping[str, str | Path | None], seed: int) -> tuple[dict[str, Pairs], list[str]]:
        """The pairs of each part, read or split off, and notes."""
        tables = {part: self._table(file) for part, file in files.items() if file is not None}
        missing = {part: 0.1 for part in ("test", "valid") if part not in tables}
        split = split_by_source(tables["train"].pairs, missing, seed) if missing else {}
        parts = {part: split[part] if part in split else tables[part].pairs for part in files}
        notes = [note for table in tables.values() for note in _skip_notes(table)]
        for part in ("valid", "test"):
            if part in tables:
                notes += _overlap_notes(parts["train"], part, tables[part])
        return parts, notes

    def _table(self, file: str | Path) -> Table:
        table = read(file, source_column=self.source_column, target_column=self.target_column, skip_bad=self.skip_bad)
        if self.lowercase:
            for texts in table.pairs:
                texts[:] = [text.lower() for text in texts]
        return table


def _skip_notes(table: Table) -> list[str]:
    if not table.skipped:
        return []
    more = f"; and {table.skipped - len(table.complaints)} more" if table.skipped > len(table.complaints) else ""
    return [f"{table.name}: skipped {table.skipped} bad rows: {'; '.join(table.complaints)}{more}"]


def _overlap_notes(train: Pairs, part: str, table: Table) -> list[str]:
    known = set(train.sources)
    lines = [line for line, source in zip(table.lines, table.pairs.sources, strict=True) if source in known]
    if not lines:
        return []
    shown = ", ".join(map(str, lines[:_SHOWN_LINES])) + (", …" if len(lines) > _SHOWN_LINES else "")
    total = len(table.lines)
    return [f"{table.name}: {len(lines)} of {total} {part} sources occur in training too (lines {shown})"]


def _builtin(name: str) -> dict[str, Pairs]:
    """The parts of `builtin:dates?…`."""
    kind, _, query = name.removeprefix("builtin:").partition("?")
    if kind != "dates":
        raise InputError(f"unknown built-in data {kind!r}; there is builtin:dates", where="builtin")
    made = dates(DateOptions.parse(query))
    return {
        part: Pairs([source for source, _ in rows], [target for _, target in rows])
        for part, rows in made._asdict().items()
    }


def _sha256(parts: Mapping[str, Pairs]) -> str:
    """Hash of all texts; NUL, which no text holds, ends each."""
    digest = hashlib.sha256()
    for part, pairs in parts.items():
        digest.update(f"{part} {len(pairs.sources)}\0".encode())
        for source, target in zip(*pairs, strict=True):
            digest.update(f"{source}\0{target}\0".encode())
    return digest.hexdigest()
