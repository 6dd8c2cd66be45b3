"""What a data set holds, how it divides, and which rows look wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.formats import Pairs, Table
from sightline.data.read import Corpus, load_corpus, read

_SHOWN = 10
_FAR = 6.0  # a row is far longer than usual, or its lengths far apart, beyond this many times the median
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def describe(
    data: str | Path,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    source_column: str | None = None,
    target_column: str | None = None,
    lowercase: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Counts, lengths, repetitions, overlaps and suspicious rows, as plain JSON types.

    The arguments are those of `load_corpus`. Lengths are in characters. `files` lists for each file what looks wrong,
    with line numbers (row numbers in parquet); nothing of it stops a training.

    Raises:
        InputError: what `load_corpus` raises.
    """
    columns = {"source_column": source_column, "target_column": target_column}
    corpus = load_corpus(data, valid=valid, test=test, lowercase=lowercase, skip_bad=skip_bad, seed=seed, **columns)
    files = [] if str(data).startswith("builtin:") else [file for file in (data, valid, test) if file is not None]
    parts = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}
    return {
        "data": corpus.name,
        "sha256": corpus.sha256,
        "notes": list(corpus.notes),
        "parts": {name: _part(pairs, corpus) for name, pairs in parts.items()},
        "files": [_file(read(file, skip_bad=skip_bad, **columns)) for file in files],
    }


def _part(pairs: Pairs, corpus: Corpus) -> dict[str, Any]:
    train = set(corpus.train.sources) if pairs is not corpus.train else set()
    alphabets = [set().union(*texts) for texts in corpus.train]
    return {
        "pairs": len(pairs.sources),
        "distinct_sources": len(set(pairs.sources)),
        "distinct_targets": len(set(pairs.targets)),
        "sources_in_train": sum(source in train for source in pairs.sources),
        "source_length": _lengths(pairs.sources),
        "target_length": _lengths(pairs.targets),
        "source_characters": len(set().union(*pairs.sources)),
        "target_characters": len(set().union(*pairs.targets)),
        "characters_not_in_train": len(set().union(*pairs.sources) - alphabets[0])
        + len(set().union(*pairs.targets) - alphabets[1]),
        "first": [pairs.sources[0], pairs.targets[0]],
    }


def _lengths(texts: Sequence[str]) -> dict[str, int | float]:
    lengths = np.array([len(text) for text in texts])
    return {
        "min": int(lengths.min()),
        "median": float(np.median(lengths)),
        "mean": round(float(lengths.mean()), 2),
        "p95": float(np.percentile(lengths, 95)),
        "max": int(lengths.max()),
    }


def _file(table: Table) -> dict[str, Any]:
    pairs = list(zip(*table.pairs, strict=True))
    counts = Counter(pairs)
    meanings = Counter(source for source, _ in counts)
    source_median, target_median = (float(np.median([len(text) for text in texts])) for texts in table.pairs)
    usual = source_median / target_median

    def far_apart(source: str, target: str) -> bool:
        ratio = len(source) / len(target) / usual
        return max(ratio, 1 / ratio) > _FAR and max(len(source), len(target)) > 20

    def far_longer(source: str, target: str) -> bool:
        return len(source) > max(20.0, _FAR * source_median) or len(target) > max(20.0, _FAR * target_median)

    problems: dict[str, Callable[[str, str], bool]] = {
        "the same pair occurs more than once": lambda source, target: counts[source, target] > 1,
        "the same source has different targets": lambda source, target: meanings[source] > 1,
        "source and target are the same text": lambda source, target: source == target,
        "one side is far longer than usual for the other": far_apart,
        "far longer than most": far_longer,
        "white space at an end": lambda source, target: source != source.strip() or target != target.strip(),
        "control characters": lambda source, target: bool(_CONTROL.search(source) or _CONTROL.search(target)),
        "the replacement character U+FFFD": lambda source, target: "\ufffd" in source or "\ufffd" in target,
    }
    found = [
        _problem(name, [line for line, pair in zip(table.lines, pairs, strict=True) if looks_so(*pair)])
        for name, looks_so in problems.items()
    ]
    return {
        "name": table.name,
        "pairs": len(pairs),
        "skipped": table.skipped,
        "suspicious": [problem for problem in found if problem["rows"]],
    }


def _problem(name: str, lines: Sequence[int]) -> dict[str, Any]:
    return {"problem": name, "rows": len(lines), "lines": list(lines[:_SHOWN])}


def as_text(description: dict[str, Any]) -> Iterable[str]:
    """The lines that say it to a person."""
    yield f"{description['data']}  sha256 {description['sha256'][:16]}"
    yield ""
    yield f"{'part':<8}{'pairs':>10}{'sources':>10}{'targets':>10}   {'source length':<24}target length"
    for name, part in description["parts"].items():
        lengths = [
            f"{side['min']}–{side['max']}, median {side['median']:g}"
            for side in (part["source_length"], part["target_length"])
        ]
        counts = "".join(f"{part[key]:>10,}" for key in ("pairs", "distinct_sources", "distinct_targets"))
        yield f"{name:<8}{counts}   {lengths[0]:<24}{lengths[1]}"
    yield ""
    for name, part in description["parts"].items():
        yield f"first of {name}: {part['first'][0]!r} → {part['first'][1]!r}"
    for name, part in description["parts"].items():
        if part["characters_not_in_train"]:
            yield f"{name}: {part['characters_not_in_train']} characters that training lacks"
    yield from (f"note: {note}" for note in description["notes"])
    for file in description["files"]:
        for problem in file["suspicious"]:
            more = ", …" if problem["rows"] > len(problem["lines"]) else ""
            lines = ", ".join(map(str, problem["lines"])) + more
            yield f"{file['name']}: {problem['problem']}: {problem['rows']:,} rows (lines {lines})"
