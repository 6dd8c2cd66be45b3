"""Pairs read from files or built in (`pairs.tsv`, `a.de,a.en`, `builtin:dates`), divided into parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.data.builtin import parse_name
from sightline.data.corpus import Corpus, limited, overlap_notes, sha256_of, split_off
from sightline.data.pairs.columns import UNKNOWN, PairColumns
from sightline.data.pairs.dates import DateOptions, dates
from sightline.data.pairs.describe import survey_pairs
from sightline.data.pairs.table import Columns, Pairs, PairTable, read_parallel, read_table
from sightline.data.survey import Survey

__all__ = ["PairCorpus", "PairTable", "Pairs", "load_corpus", "read", "read_pairs"]


@final
@dataclass(frozen=True)
class PairReading:
    """Options for reading files of pairs."""

    source_column: str | None = None
    target_column: str | None = None
    header: bool | None = None
    lowercase: bool = False
    skip_bad: bool = False

    def table(self, file: str | Path, trained: PairColumns = UNKNOWN) -> PairTable:
        """The pairs of one file, or of two parallel ones given as `a,b`, with their lines, as the file spells them.

        Columns that are not named are those of the training table, `trained`, where the file has them. Others, and
        whether the first row names them, are derived as `open_texts` says.

        Raises:
            InputError: "pairs.tsv:17: expected 2 columns, found 3" and the like: one line that names file and line.
            EnvironmentFault: "pairs.tsv: no permission to read it".
        """
        text, columns = str(file), Columns(self.source_column, self.target_column, self.header)
        if not text:
            raise InputError("no data: give a file, two parallel files a,b, or builtin:dates")
        if "," not in text or Path(text).exists():
            return read_table(Path(text), columns, self.skip_bad, trained)
        names = text.split(",")
        if len(names) != 2 or not all(names):
            raise InputError(f"expected one file, or two parallel ones as a,b, found {len(names)} names", where=text)
        if any(columns):
            raise InputError("parallel text files have no columns", where=text)
        return read_parallel(Path(names[0]), Path(names[1]), self.skip_bad)

    def tables(self, files: Iterable[str | Path]) -> list[PairTable]:
        """The pairs of each file, the first of them that of training, by whose columns the others are read."""
        read: list[PairTable] = []
        for file in files:
            read.append(self.table(file, read[0].columns if read else UNKNOWN))
        return read

    def parts(
        self, files: Mapping[str, str | Path], seed: int, *, trainable: bool = True
    ) -> tuple[dict[str, Pairs], list[str], str, PairColumns]:
        """The pairs of each part, read or split off, notes, why they cannot be split, and the columns of training.

        files: by part, that of training first
        """
        tables = dict(zip(files, self.tables(files.values()), strict=True))
        if self.lowercase:
            for texts in (texts for table in tables.values() for texts in table.pairs.sides):
                texts[:] = [text.lower() for text in texts]
        parts = {part: table.pairs for part, table in tables.items()}
        parts, problem = split_off(parts, parts["train"].sources, seed, where=tables["train"].name, trainable=trainable)
        notes = [note for table in tables.values() for note in table.notes()]
        known = set(parts["train"].sources)
        for part in ("valid", "test"):
            if part in tables:
                table, where = tables[part], f"{tables[part].name}: "
                notes += overlap_notes(part, table.pairs.sources, known, table.lines, where=where, unit="line")
        return parts, notes, problem, tables["train"].columns


@final
@dataclass(frozen=True)
class PairCorpus(Corpus[Pairs]):
    """Pairs for training, validation and test.

    sha256: of the texts, whatever files they came in
    columns: of the training table
    files, reading: their sources, which a summary reads again to name lines; none of built-in data
    """

    columns: PairColumns = field(default=UNKNOWN, compare=False)
    files: tuple[str | Path, ...] = field(default=(), compare=False)
    reading: PairReading = field(default=PairReading(), compare=False)

    def describe(self) -> Survey:
        """Counts, lengths in characters, repetitions, overlaps, and suspicious rows by line."""
        return survey_pairs(self, self.reading.tables(self.files))


def read(data: str | Path, **options: Any) -> PairTable:
    """`PairReading.table` with these options."""
    return PairReading(**options).table(data)


def read_pairs(data: str | Path, **options: Any) -> Pairs:
    """The pairs of `read`."""
    return read(data, **options).pairs


def load_corpus(
    data: str | Path,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    trainable: bool = True,
    **options: Any,
) -> PairCorpus:
    """Read and split data; the other options are those of `PairReading`.

    A part that is not given (`valid`, `test`) is a tenth of `data`, chosen by a hash of the source text and `seed`, so
    that equal sources are never in two parts. Use one `seed` for all runs on the same data: it decides what the test
    part is, and is not the seed of training. Built-in data takes its own, as in `builtin:dates?seed=1`.

    limit: keep only the first `limit` pairs of each part
    trainable: refuse too few pairs to divide; otherwise they are all training, and that is the corpus' `problem`

    Raises:
        InputError: any problem with the files, in one line.
    """
    name, reading = str(data), PairReading(**options)
    files: dict[str, str | Path] = {}
    if name.startswith("builtin:"):
        named = (reading.source_column, reading.target_column)
        if valid is not None or test is not None or any(named) or reading.header is not None:
            raise InputError("built-in data does not take validation files, test files or columns", where=name)
        parts, notes, problem, columns = _builtin(name), [], "", UNKNOWN
    else:
        files = {part: f for part, f in (("train", data), ("valid", valid), ("test", test)) if f is not None}
        parts, notes, problem, columns = reading.parts(files, seed, trainable=trainable)
    parts = limited(parts, limit)
    sha256 = sha256_of({part: list(zip(*pairs.sides, strict=True)) for part, pairs in parts.items()})
    facts: dict[str, Any] = {"sha256": sha256, "notes": tuple(notes), "problem": problem, "columns": columns, **parts}
    return PairCorpus(name, **facts, files=tuple(files.values()), reading=reading)


def _builtin(name: str) -> dict[str, Pairs]:
    """The parts of `builtin:dates?…`."""
    _, query = parse_name(name, ("dates",))
    parts = dates(DateOptions.parse(query))._asdict()
    return {part: Pairs([source for source, _ in rows], [target for _, target in rows]) for part, rows in parts.items()}
