"""Pairs that are read and divided once for all trainings of a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from sightline.core.files import write_file
from sightline.data.pairs.columns import PairColumns
from sightline.data.pairs.corpus import PairCorpus, Pairs

PARTS = ("train", "valid", "test")


def prepared_pairs(directory: Path, load: Callable[[], PairCorpus]) -> PairCorpus:
    """The corpus of `load`, checked, which is left in the directory for the next call; it raises what these raise.

    The file is written whole or not at all: a process that dies is started again in the same directory.
    """
    kept = directory / "pairs.json"
    if not kept.exists():
        corpus = load()
        corpus.check()
        parts = {part: getattr(corpus, part).sides for part in PARTS}
        columns = [corpus.columns.source, corpus.columns.target]
        content = {"name": corpus.name, "sha256": corpus.sha256, "notes": corpus.notes, "columns": columns, **parts}
        write_file(kept, json.dumps(content, ensure_ascii=False))
        return corpus
    content = json.loads(kept.read_text(encoding="utf-8"))
    train, valid, test = (Pairs(*content[part]) for part in PARTS)
    columns = PairColumns(*content.get("columns", ()))  # an earlier version wrote none
    notes = tuple(content["notes"])
    return PairCorpus(content["name"], train, valid, test, content["sha256"], notes, columns=columns)
