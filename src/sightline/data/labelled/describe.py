"""What labelled data holds: how many of each label, how long sources are, what is double, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from sightline.data.labelled.corpus import PARTS, LabelledData, LabelledPart, source_key
from sightline.data.labelled.table import Source
from sightline.data.survey import Finding, Survey, bars, findings, histogram, spread, text_looks

FEW = 10  # a label with fewer training items can hardly be learnt
UNITS = {"text": "characters", "series": "steps", "audio": "samples", "image": "pixels"}


def survey_labelled(data: LabelledData) -> Survey:
    """Counts, label balance, lengths, repetitions and overlaps, and items that look wrong, with their places."""
    parts: dict[str, LabelledPart] = {name: getattr(data, name) for name in PARTS}
    keys = {name: [source_key(source) for source in part.sources] for name, part in parts.items()}
    known = set(keys["train"])
    filled = {name: part for name, part in parts.items() if part.sources}
    counts = {name: Counter(label for of_item in part.labels for label in of_item) for name, part in filled.items()}
    lengths = {name: [_length(source) for source in part.sources] for name, part in filled.items()}
    unit = UNITS[data.kind]
    described = {
        name: {
            "items": len(part.sources),
            "distinct_sources": len(set(keys[name])),
            "sources_in_train": 0 if name == "train" else sum(key in known for key in keys[name]),
            "labels": len(counts.get(name, ())),
            "commonest_label": _commonest(counts.get(name, Counter()), len(part.sources)),
            f"{unit}": spread(lengths.get(name, [])),
        }
        for name, part in parts.items()
    }
    charts = [bars("Labels", counts, "items"), *histogram("Source length", unit, lengths, "items")]
    found = [finding for name, part in filled.items() for finding in _suspicious(name, part, keys[name])]
    return Survey(
        data.name,
        data.sha256,
        described,
        found + _rare(counts["train"], data.name),
        list(data.notes),
        {
            name: f"{_shown(part.sources[0])} → {', '.join(part.labels[0]) or 'no label'}"
            for name, part in filled.items()
        },
        charts,
    )


def _commonest(counts: Counter[str], items: int) -> str:
    if not counts:
        return ""
    label, count = counts.most_common(1)[0]
    return f"{label} ({count / items:.0%})"


def _length(source: Source) -> int:
    return len(source) if isinstance(source, str) or source.ndim < 3 else int(np.prod(source.shape[1:]))


def _shown(source: Source) -> str:
    if isinstance(source, str):
        return repr(source if len(source) <= 80 else source[:79] + "…")
    return " × ".join(map(str, source.shape)) + " numbers"


def _rare(counts: Counter[str], name: str) -> list[Finding]:
    rare = [label for label, count in sorted(counts.items()) if count < FEW]
    return [Finding(name, f"labels with fewer than {FEW} training items", len(rare), rare[:FEW])] if rare else []


def _suspicious(name: str, part: LabelledPart, keys: list[bytes]) -> list[Finding]:
    times = Counter(keys)
    again = [place for place, key in zip(part.places, keys, strict=True) if times[key] > 1]
    found = [Finding(name, "the same source occurs more than once", len(again), again[:FEW])] if again else []
    looks: dict[str, Callable[[Any], bool]]
    if part.kind == "text":
        looks = text_looks(float(np.median([_length(source) for source in part.sources])))
        looks["white space at an end"] = lambda text: text != text.strip()
    elif part.kind == "audio":
        looks = sound_looks()
    else:
        looks = {"all values the same": lambda array: array.size > 1 and bool((array == array.flat[0]).all())}
    return found + findings(name, part.sources, part.places, looks)


def sound_looks() -> dict[str, Callable[[np.ndarray], bool]]:
    """Ways in which samples in [-1, 1] look wrong."""
    return {
        "silent, no sample beyond 0.001": lambda samples: float(np.abs(samples).max(initial=0.0)) < 1e-3,
        "clipped, a hundredth of the samples at full scale": lambda samples: bool(
            samples.size and (np.abs(samples) > 0.999).mean() > 0.01
        ),
    }
