"""Baselines for language models: code lengths of text without a sequence model."""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterable

import numpy as np

from sightline.core.digits import number_of
from sightline.core.metrics import Baseline
from sightline.data.text.part import TextPart

LEARNED_BYTES = 1 << 23  # of the training part, evenly spaced
_END = 256  # the symbol that ends a document


def code_lengths(train: TextPart, part: TextPart) -> list[Baseline]:
    """Baselines in bits per byte: counts of one byte and of pairs, and a general-purpose compressor."""
    fragments = train.fragments(train.sample(LEARNED_BYTES), LEARNED_BYTES)
    single, pairs = np.zeros(_END + 1), np.zeros((_END + 1, _END + 1))
    for symbols in _symbols((fragment.text, fragment.ends) for fragment in fragments):
        single += np.bincount(symbols, minlength=_END + 1)
        np.add.at(pairs, (np.concatenate([[_END], symbols[:-1]]), symbols), 1)
    one = -np.log2((single + 1) / (single.sum() + len(single)))
    # Each row of pairs is smoothed towards single bytes with the weight of as many as it has kinds of successors
    # (Witten & Bell 1991, method C).
    kinds = (pairs > 0).sum(1, keepdims=True)
    two = -np.log2((pairs + np.maximum(kinds, 1) * 2.0**-one) / (pairs.sum(1, keepdims=True) + np.maximum(kinds, 1)))
    bits = np.zeros(2)
    packed, size = lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME), 0
    compressed = 0
    before = _END
    for fragment in part.fragments():
        raw = fragment.text.encode()
        for symbols in _symbols([(fragment.text, fragment.ends)]):
            start = _END if fragment.begins else before
            bits += one[symbols].sum(), two[np.concatenate([[start], symbols[:-1]]), symbols].sum()
            before = int(symbols[-1])
        compressed += len(packed.compress(raw))
        size += len(raw)
    compressed += len(packed.flush())
    scores = [8.0, *(bits / size).tolist(), 8.0 * compressed / size] if size else [math.nan] * 4
    seen = f"{number_of(int(single.sum()), 'byte')} of the training part"
    names = [
        ("uniform", "every byte alike"),
        ("byte frequencies", f"how often each byte occurs in {seen}"),
        ("byte pairs", f"how often each byte follows another in {seen} (Witten-Bell smoothing)"),
        ("xz", "the test part itself, compressed with xz -9e"),
    ]
    return [Baseline(name, text, {"bits_per_byte": score}) for (name, text), score in zip(names, scores, strict=True)]


def _symbols(texts: Iterable[tuple[str, bool]]) -> Iterable[np.ndarray]:
    """Bytes and, where a text ends, the symbol for that."""
    for text, ends in texts:
        raw = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)
        symbols = np.concatenate([raw, [_END]]) if ends else raw
        if len(symbols):
            yield symbols
