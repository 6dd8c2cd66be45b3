"""A summary of pairs of texts: counts, lengths, overlaps between parts, and suspicious rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sightline.data.corpus import Corpus
from sightline.data.pairs.table import Pairs, PairTable
from sightline.data.survey import CONTROL, FAR, Chart, DataFinding, Survey, findings, histogram, spread

TextPair = tuple[str, str]


def survey_pairs(corpus: Corpus[Pairs], tables: Sequence[PairTable]) -> Survey:
    """Counts, lengths (in characters), repetitions, overlaps, and in `tables` suspicious rows by line."""
    filled = corpus.filled
    return corpus.survey(
        {name: _part(pairs, corpus) for name, pairs in corpus.parts.items()},
        findings=[finding for table in tables for finding in suspicious(table)],
        examples={name: f"{pairs.sources[0]!r} → {pairs.targets[0]!r}" for name, pairs in filled.items()},
        charts=[chart for number, side in enumerate(("Source", "Target")) for chart in _lengths(side, number, filled)],
    )


def _lengths(side: str, number: int, parts: dict[str, Pairs]) -> list[Chart]:
    lengths = {name: [len(text) for text in pairs.sides[number]] for name, pairs in parts.items()}
    return histogram(f"{side} length", "characters", lengths, "pairs")


def _part(pairs: Pairs, corpus: Corpus[Pairs]) -> dict[str, Any]:
    train = set(corpus.train.sources) if pairs is not corpus.train else set()
    alphabets = [set().union(*texts) for texts in corpus.train.sides]
    return {
        "pairs": len(pairs.sources),
        "distinct_sources": len(set(pairs.sources)),
        "distinct_targets": len(set(pairs.targets)),
        "sources_in_train": sum(source in train for source in pairs.sources),
        "source_length": spread([len(text) for text in pairs.sources]),
        "target_length": spread([len(text) for text in pairs.targets]),
        "source_characters": len(set().union(*pairs.sources)),
        "target_characters": len(set().union(*pairs.targets)),
        "characters_not_in_train": len(set().union(*pairs.sources) - alphabets[0])
        + len(set().union(*pairs.targets) - alphabets[1]),
    }


def suspicious(table: PairTable) -> list[DataFinding]:
    """Suspicious rows, each with its line (its row number in parquet); none of them stops training."""
    pairs: list[TextPair] = list(zip(*table.pairs.sides, strict=True))
    counts = Counter(pairs)
    meanings = Counter(source for source, _ in counts)
    source_median, target_median = (float(np.median([len(text) for text in texts])) for texts in table.pairs.sides)
    usual = source_median / target_median

    def far_apart(pair: TextPair) -> bool:
        ratio = len(pair[0]) / len(pair[1]) / usual
        return max(ratio, 1 / ratio) > FAR and max(map(len, pair)) > 20

    def far_longer(pair: TextPair) -> bool:
        return len(pair[0]) > max(20.0, FAR * source_median) or len(pair[1]) > max(20.0, FAR * target_median)

    looks: dict[str, Callable[[TextPair], bool]] = {
        "the same pair occurs more than once": lambda pair: counts[pair] > 1,
        "the same source has different targets": lambda pair: meanings[pair[0]] > 1,
        "source and target are the same text": lambda pair: pair[0] == pair[1],
        "one side is far longer than usual for the other": far_apart,
        "far longer than most": far_longer,
        "white space at an end": lambda pair: any(text != text.strip() for text in pair),
        "control characters": lambda pair: any(CONTROL.search(text) or {"\n", "\r"} & set(text) for text in pair),
        "the replacement character U+FFFD": lambda pair: any("\ufffd" in text for text in pair),
    }
    return findings(table.name, pairs, table.lines, looks)
