"""Baselines for language models: code lengths of text without a neural network."""

from __future__ import annotations

import lzma
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from sightline.core.cpu_clock import CpuClock
from sightline.core.digits import number_of
from sightline.core.metrics import Baseline
from sightline.data.text.part import TextPart
from sightline.data.text.readers import Fragment
from sightline.tasks.language.kneser_ney import END, SYMBOLS, KneserNey

LEARNED_BYTES, CHOOSING_BYTES = 1 << 23, 1 << 18  # of the training and the validation part, evenly spaced
COMPRESSED_BYTES = 1 << 22  # of the training part that xz reads: it is slow
MOST_DICTIONARY = 1 << 24  # bytes in which xz looks for repetitions
ORDERS = (4, 6, 8)
_STRETCH = 1 << 18  # symbols that are scored at a time

CodeLength = Callable[[np.ndarray, np.ndarray | None], float]  # bits of symbols, given those before them


def code_lengths(train: TextPart, valid: TextPart, part: TextPart, *, lowercase: bool = False) -> list[Baseline]:
    """Baselines in bits per byte: counts of bytes and of n-grams of bytes, and a general-purpose compressor.

    The end of each document is coded too, as it is by models. xz does not code it, and its sizes are whole bytes, which
    matters for a part of a few hundred bytes.

    lowercase: whether models read lower-cased text, which the baselines then read and count too
    """

    def read(of: TextPart, most_bytes: int | None = None) -> Iterator[Fragment]:
        for fragment in _sampled(of, most_bytes):
            yield fragment._replace(text=fragment.text.lower()) if lowercase else fragment

    learned = np.concatenate([np.zeros(0, np.int64), *(of for of, _ in _stretches(read(train, LEARNED_BYTES)))])
    chosen_by = list(_stretches(read(valid, CHOOSING_BYTES)))
    size = sum(len(fragment.text.encode()) for fragment in read(part)) if lowercase else part.size
    seen = f"{number_of(len(learned), 'byte')} of the training part"
    clock = CpuClock()

    def measured(name: str, description: str, bits: float) -> Baseline:
        score = bits / size if size else math.nan
        return Baseline(name, description, {"bits_per_byte": score}, seconds=clock.lap())

    baselines = [measured("uniform", "every byte alike", 8.0 * size)]
    single, pairs = _counted(learned)
    for name, what, length in (
        ("byte frequencies", f"how often each byte occurs in {seen}", single),
        ("byte pairs", f"how often each byte follows another in {seen} (Witten-Bell smoothing)", pairs),
    ):
        baselines.append(measured(name, what, _bits(length, _stretches(read(part)))))
    smoothed, order = _smoothed(learned, chosen_by)
    described = f"n-grams of up to {order} bytes in {seen}, modified Kneser-Ney smoothing, the length by validation"
    baselines.append(measured("Kneser-Ney", described, _bits(smoothed, _stretches(read(part)))))
    known = [fragment.text.encode() for fragment in read(train, COMPRESSED_BYTES)]
    described = (
        f"how much larger {number_of(sum(map(len, known)), 'byte')} of the training part become, compressed with xz, "
        "when the test part follows them"
    )
    after = 8.0 * _compressed_after(known, lambda: (fragment.text.encode() for fragment in read(part)), size)
    baselines.append(measured("xz after training text", described, after))
    return baselines


def _sampled(part: TextPart, most_bytes: int | None) -> Iterator[Fragment]:
    """The texts of a part, or of blocks from everywhere in it of at most about `most_bytes`."""
    if not part.size:
        return iter(())
    return part.fragments(None if most_bytes is None else part.sample(most_bytes), most_bytes)


def _stretches(fragments: Iterable[Fragment]) -> Iterator[tuple[np.ndarray, bool]]:
    """Bytes, with `END` where a document ends, in long stretches, and whether each begins a document."""
    pieces: list[np.ndarray] = []
    begins, ended = True, True
    for fragment in fragments:
        cut = fragment.begins and not ended
        if pieces and (cut or sum(map(len, pieces)) >= _STRETCH):
            yield np.concatenate(pieces), begins
            pieces, begins = [], fragment.begins
        pieces.append(np.frombuffer(fragment.text.encode(), dtype=np.uint8).astype(np.int64))
        ended = fragment.ends
        if ended:
            pieces.append(np.array([END]))
    if pieces:
        yield np.concatenate(pieces), begins


def _bits(length: CodeLength, stretches: Iterable[tuple[np.ndarray, bool]]) -> float:
    bits, before = 0.0, None
    for symbols, begins in stretches:
        bits += length(symbols, None if begins else before)
        before = symbols
    return bits


def _counted(learned: np.ndarray) -> tuple[CodeLength, CodeLength]:
    """Code lengths from counts of single symbols, and of pairs."""
    single = np.bincount(learned, minlength=SYMBOLS).astype(float)
    before = np.concatenate([[END], learned[:-1]])[: len(learned)]
    pairs = np.bincount(before * SYMBOLS + learned, minlength=SYMBOLS**2).reshape(SYMBOLS, SYMBOLS)
    one = -np.log2((single + 1) / (single.sum() + SYMBOLS))
    # Each row of pairs is smoothed towards single bytes with the weight of as many as it has kinds of successors
    # (Witten & Bell 1991, method C).
    kinds = np.maximum((pairs > 0).sum(1, keepdims=True), 1)
    two = -np.log2((pairs + kinds * 2.0**-one) / (pairs.sum(1, keepdims=True) + kinds))

    def of_pairs(symbols: np.ndarray, before: np.ndarray | None) -> float:
        first = END if before is None or not len(before) else before[-1]
        return float(two[np.concatenate([[first], symbols[:-1]])[: len(symbols)], symbols].sum())

    return lambda symbols, before: float(one[symbols].sum()), of_pairs


def _smoothed(learned: np.ndarray, chosen_by: Sequence[tuple[np.ndarray, bool]]) -> tuple[CodeLength, int]:
    """The code length of a Kneser-Ney model, and its order: the one with the shortest code for validation text."""

    def of(model: KneserNey) -> CodeLength:
        return lambda symbols, before: float(-np.log2(model.probabilities(symbols, before)).sum())

    models = [KneserNey(learned, order) for order in ORDERS]
    best = min(models, key=lambda model: _bits(of(model), chosen_by))
    return of(best), best.order


def _compressed_after(known: Sequence[bytes], tested: Callable[[], Iterator[bytes]], size: int) -> int:
    """The bytes by which the training text grows, compressed, where the `size` bytes of `tested` follow it."""
    dictionary = min(MOST_DICTIONARY, sum(map(len, known)) + size)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": max(dictionary, 4096)}]

    def compressed(texts: Iterable[bytes]) -> int:
        compressor = lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=filters)
        return sum(len(compressor.compress(text)) for text in texts) + len(compressor.flush())

    return compressed(chain(known, tested())) - compressed(known)
