"""From a path to a model that is ready to use, and to the pairs to measure it on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from sightline.core.errors import InputError
from sightline.data.read import Corpus, Pairs, load_corpus, read_pairs
from sightline.models.store import CONFIG
from sightline.tasks.recipe import resolve_run
from sightline.tasks.translation import TranslationTask

PartName = Literal["train", "valid", "test"]
RUN_CONFIG = "config.yaml"
MODELS = ("best", "last")  # where a run keeps its models, the one to use first


def load(path: str | Path) -> TranslationTask:
    """The model of a run, the best where there is one and else the last, or of a model directory.

    Raises:
        InputError: "runs/x: no such directory", "runs/x: no model here: expected config.json, best/ or last/", or what
            is wrong with the model's files.
    """
    return TranslationTask.load(model_directory(Path(path)))


def model_directory(path: Path) -> Path:
    """The model directory that `path` is or, as a run, holds."""
    if not path.is_dir():
        raise InputError("not a directory" if path.exists() else "no such directory", where=path)
    if (path / CONFIG).exists():
        return path
    for name in MODELS:
        if (path / name / CONFIG).exists():
            return path / name
    raise InputError(f"no model here: expected {CONFIG}, best/ or last/", where=path)


class Part(NamedTuple):
    """Pairs to measure a model on."""

    name: str  # such as "test part of builtin:dates"
    pairs: Pairs
    sha256: str | None  # of the whole corpus that they are a part of; None for a file of their own


def part_of_run(run: Path, part: PartName = "test", limit: int | None = None) -> Part:
    """A part of the very data that a run trained on, split as it was then.

    Raises:
        InputError: "runs/x: no config.yaml here says what it was trained on: name the --data to measure it on".
    """
    places = [run / RUN_CONFIG, run.parent / RUN_CONFIG] if run.name in MODELS else [run / RUN_CONFIG]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(f"no {RUN_CONFIG} here says what it was trained on: name the --data to measure on", where=run)
    return _part(resolve_run(file=file, environ={}, flags={}).corpus.load(), part, limit)


def part_of_data(
    data: str,
    part: PartName = "test",
    *,
    source_column: str | None = None,
    target_column: str | None = None,
    limit: int | None = None,
    lowercase: bool = False,
) -> Part:
    """All pairs of a file, or a part of built-in data."""
    if data.startswith("builtin:"):
        return _part(load_corpus(data, source_column=source_column, target_column=target_column), part, limit)
    pairs = read_pairs(data, source_column=source_column, target_column=target_column)
    if lowercase:
        pairs = Pairs([text.lower() for text in pairs.sources], [text.lower() for text in pairs.targets])
    return Part(data, Pairs(pairs.sources[:limit], pairs.targets[:limit]), None)


def _part(corpus: Corpus, part: PartName, limit: int | None) -> Part:
    pairs: Pairs = getattr(corpus, part)
    return Part(f"{part} part of {corpus.name}", Pairs(pairs.sources[:limit], pairs.targets[:limit]), corpus.sha256)
