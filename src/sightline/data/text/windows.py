"""Windows over documents for evaluation: every label is scored exactly once, in a context that is stated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.text.positions import Stretch

_POOL = 16  # batches sorted by length at a time


class Window(NamedTuple):
    """Positions of one document of which the last `scored` count."""

    document: int
    first: int  # place of the first position in the document
    tokens: np.ndarray  # (N,) int32
    labels: np.ndarray  # (N,) int32
    scored: int


class WindowRows(NamedTuple):
    """A batch of windows, padded on the right."""

    tokens: Tensor  # (B, T) long
    labels: Tensor  # (B, T) long
    scored: Tensor  # (B, T) bool
    documents: np.ndarray  # (B,) number of each row's document
    firsts: np.ndarray  # (B,) place of each row's first position in it


def windows(stretches: Iterable[Stretch], length: int, stride: int) -> Iterator[Window]:
    """Windows of at most `length` positions, `stride` apart: each but a document's first scores its last `stride`.

    With stride = length they do not overlap, and the first positions of each have little context; with stride 1 every
    position is scored with length - 1 positions before it, at `length` times the cost.

    Raises:
        InputError: "stride must be between 1 and the length 64, found 65".
    """
    if not 1 <= stride <= length:
        raise InputError(f"must be between 1 and the length {length}, found {stride}", where="stride")
    held: Stretch | None = None
    done = 0  # of the held positions, how many are scored
    for stretch in stretches:
        if held is not None and stretch.begins:
            yield from _rest(held, done, length)
            held, done = None, 0
        if held is None:
            held = stretch
        else:
            tokens, labels = (np.concatenate(pair) for pair in zip(held[2:4], stretch[2:4], strict=True))
            held = held._replace(tokens=tokens, labels=labels)
        while len(held.labels) >= (end := done + stride if done else length):
            yield _window(held, end, length, end - done)
            done = end
        cut = max(0, done - length)
        held = held._replace(first=held.first + cut, tokens=held.tokens[cut:], labels=held.labels[cut:])
        done -= cut
    if held is not None:
        yield from _rest(held, done, length)


def _rest(held: Stretch, done: int, length: int) -> Iterator[Window]:
    end = len(held.labels)
    if end > done:
        yield _window(held, end, length, end - done)


def _window(held: Stretch, end: int, length: int, scored: int) -> Window:
    start = max(0, end - length)
    return Window(held.document, held.first + start, held.tokens[start:end], held.labels[start:end], scored)


def batched(windows: Iterable[Window], rows: int) -> Iterator[WindowRows]:
    """Windows in batches of `rows`, those of like length together."""
    pool: list[Window] = []
    for window in windows:
        pool.append(window)
        if len(pool) == rows * _POOL:
            yield from _batches(pool, rows)
            pool = []
    yield from _batches(pool, rows)


def _batches(pool: list[Window], rows: int) -> Iterator[WindowRows]:
    pool.sort(key=lambda window: -len(window.labels))  # the longest first: too much for the memory fails at once
    for first in range(0, len(pool), rows):
        chosen = pool[first : first + rows]
        lengths = np.array([len(window.labels) for window in chosen])
        width = int(lengths.max())
        place = np.arange(width)
        real = place < lengths[:, None]  # (B, T)
        scored = real & (place >= (lengths - [window.scored for window in chosen])[:, None])
        tokens, labels = np.zeros((2, *real.shape), dtype=np.int64)
        tokens[real] = np.concatenate([window.tokens for window in chosen])
        labels[real] = np.concatenate([window.labels for window in chosen])
        yield WindowRows(
            torch.from_numpy(tokens),
            torch.from_numpy(labels),
            torch.from_numpy(scored),
            np.array([window.document for window in chosen]),
            np.array([window.first for window in chosen]),
        )
