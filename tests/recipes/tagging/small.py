"""Sentences with a tag for each word, small enough to learn in a test."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path

from sightline.testing import DataOption, TaskSubject

from .task import TaggingTask

WORDS = {"D": ("the", "a", "this"), "N": ("cat", "dog", "tree"), "V": ("sees", "hears"), "P": (".", "!")}
INPUTS = ["the cat sees", "a tree", "this dog hears the stone !"]


def sentences() -> list[tuple[str, str]]:
    """Sentences and their tags, in an order that chance decides."""
    pairs = []
    for tags in ("DN", "DNV", "DNVDN", "DNVDNP"):
        texts = [" ".join(words) for words in product(*(WORDS[tag] for tag in tags))]
        pairs += [(text, " ".join(tags)) for text in random.Random(0).sample(texts, min(len(texts), 40))]
    return random.Random(0).sample(pairs, len(pairs))


def write(folder: Path, suffix: str = ".jsonl") -> Path:
    """The sentences as JSON lines, or as a table."""
    path = folder / f"tags{suffix}"
    if suffix == ".jsonl":
        lines = [json.dumps({"source": source, "target": target}) for source, target in sentences()]
    else:
        lines = ["source\ttarget", *("\t".join(pair) for pair in sentences())]
    path.write_text("\n".join(lines) + "\n")
    return path


def subject(folder: Path, kind: type[TaggingTask] = TaggingTask) -> TaskSubject:
    """The task with a small model."""
    preset = kind.preset("gru")
    small = preset.changed(data=str(write(folder)), batch_tokens=64, model=preset.settings.model.resized(8))
    capitals = [source.upper() for source, _ in sentences()]
    lines = [f"{source}\t{target}" for source, (_, target) in zip(capitals, sentences(), strict=True)]
    (folder / "capitals.tsv").write_text("\n".join(["source\ttarget", *lines]) + "\n")
    lower = DataOption({"lowercase": True}, str(folder / "capitals.tsv"), capitals)
    return TaskSubject(kind, small, INPUTS, options={"lower case": lower})
