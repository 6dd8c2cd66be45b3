"""A summary of labelled data: counts of each label, lengths of sources, repetitions, and suspicious items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from sightline.core.digits import percent
from sightline.data.corpus import Corpus
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import LabelledSource
from sightline.data.media.describe import media_looks, occurrences, picture_levels
from sightline.data.survey import (
    DataFinding,
    Survey,
    bars,
    findings,
    histogram,
    repeated,
    spread,
    text_looks,
)

FEW = 10  # a label with fewer training items can hardly be learnt
UNITS = {"text": "characters", "series": "steps", "audio": "samples", "image": "pixels"}


def survey_labelled(corpus: Corpus[LabelledPart]) -> Survey:
    """Counts, label balance, lengths, repetitions and overlaps, and suspicious items, with their places."""
    filled = corpus.filled
    keys = {name: part.keys() for name, part in corpus.parts.items()}
    counts = {name: Counter(label for of_item in part.labels for label in of_item) for name, part in filled.items()}
    lengths = {name: [_length(source) for source in part.sources] for name, part in filled.items()}
    unit = UNITS[corpus.train.kind]
    described = occurrences(keys)
    for name, part in corpus.parts.items():
        of_part = counts.get(name, Counter())
        described[name] |= {"labels": len(of_part), "commonest_label": _commonest(of_part, len(part))}
        described[name][unit] = spread(lengths.get(name, []))
        if part.kind == "image":
            described[name]["levels"] = picture_levels(
                source for source in part.sources if isinstance(source, np.ndarray)
            )
    charts = [bars("Labels", counts, "items"), *histogram("Source length", unit, lengths, "items")]
    suspicious = [finding for name, part in filled.items() for finding in _suspicious(name, part, keys[name])]
    suspicious += _rare(counts.get("train", Counter()), corpus.name)
    examples = {
        name: f"{_shown(part.sources[0])} → {', '.join(part.labels[0]) or 'no label'}" for name, part in filled.items()
    }
    return corpus.survey(described, findings=suspicious, examples=examples, charts=charts)


def _commonest(counts: Counter[str], items: int) -> str:
    if not counts:
        return ""
    label, count = counts.most_common(1)[0]
    return f"{label} ({percent(count / items)})"


def _length(source: LabelledSource) -> int:
    return len(source) if isinstance(source, str) or source.ndim < 3 else int(np.prod(source.shape[1:]))


def _shown(source: LabelledSource) -> str:
    if isinstance(source, str):
        return repr(source if len(source) <= 80 else source[:79] + "…")
    return " × ".join(map(str, source.shape)) + " numbers"


def _rare(counts: Counter[str], name: str) -> list[DataFinding]:
    rare = [label for label, count in sorted(counts.items()) if count < FEW]
    return [DataFinding(name, f"labels with fewer than {FEW} training items", len(rare), rare[:FEW])] if rare else []


def _suspicious(name: str, part: LabelledPart, keys: list[bytes]) -> list[DataFinding]:
    looks: dict[str, Callable[[Any], bool]]
    if part.kind == "text":
        looks = text_looks(float(np.median([_length(source) for source in part.sources])))
        looks["white space at an end"] = lambda text: text != text.strip()
    elif part.kind in ("audio", "image"):
        looks = media_looks(part.kind)
    else:
        looks = {"all values the same": lambda array: array.size > 1 and bool((array == array.flat[0]).all())}
    return repeated(name, keys, part.places) + findings(name, part.sources, part.places, looks)
