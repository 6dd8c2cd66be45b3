"""One input of a trained model, opened: as tensors, with what each position is, for those who look inside the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.seeds import derive

OpenedKind = Literal["text", "series", "audio", "image"]
COVERING = 8  # replacements by which it is seen what a position covers
Replaced = Callable[[int, int], Tensor]  # a position and a number N to inputs (N, …) in which it alone is replaced


class OpenedSide(NamedTuple):
    """A sequence that the model reads, and its answers when it changes.

    pieces: what each position shows; the first `added` are the model's own, such as a class token
    input: what is read (1, …); answer: inputs (R, …) in its place, each row for itself, to logits or numbers (R, T, C)
    replaced: inputs in which what one position covers, the added ones not counted, is replaced
    vectors: the module that gives the vectors (·, M, D) of the positions; None where nothing does
    masked: inputs (R, …) and masks (R, S) of the positions, the added ones not counted, True = kept, to answers as if
        the other positions were not there; None where the model has no such mask
    """

    pieces: list[str]
    input: Tensor
    answer: Callable[[Tensor], Tensor]
    replaced: Replaced
    vectors: nn.Module | None = None
    added: int = 0
    masked: Callable[[Tensor, Tensor], Tensor] | None = None


class OpenedInput(NamedTuple):
    """An input with the model's answer.

    source: what it reads; read: where it reads its own output while it writes, that, with the source as it is
    outputs: what each of the T positions of the answer is; labels: (T,) the class of each, of the logits (T, C) of an
        answer; None where an answer is of numbers
    writer: the module whose maps of a sequence over itself are of the output
    reads: of each position of the answer the position of the source at which it is read, the added ones counted; empty
        where it is read from all of them
    spans: of each position what it covers, the added ones not counted: steps of a series, frames of a spectrogram,
        patches of a picture by number; (0, 0) of a position of another source
    values, channels: of a series the numbers (T, C), and their names
    spectrogram, frame_s: of a sound (F, frames), and the seconds from frame to frame
    pixels, grid: of a picture (height, width, C) bytes, and the rows and columns of its patches
    forecast: (H, C) in the units of the series
    """

    kind: OpenedKind
    text: str
    source: OpenedSide
    outputs: list[str]
    labels: Tensor | None = None
    read: OpenedSide | None = None
    writer: nn.Module | None = None
    reads: Sequence[int] = ()
    spans: Sequence[tuple[int, int]] = ()
    values: np.ndarray | None = None
    channels: Sequence[str] = ()
    spectrogram: np.ndarray | None = None
    frame_s: float | None = None
    pixels: np.ndarray | None = None
    grid: tuple[int, int] | None = None
    forecast: np.ndarray | None = None

    @property
    def answer_unit(self) -> str:
        """The unit of the numbers of an answer and of their changes; empty of probabilities, and where none is known.

        A forecaster answers in the units in which it reads a series, which may be scaled.
        """
        return "" if self.forecast is None else "units that the model reads"


def replaced_tokens(ids: Tensor, first: int, size: int) -> Replaced:
    """Other tokens in the place of each of ids (1, S), drawn evenly from first..size-1, the same ones every time."""

    def replaced(position: int, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(0, "replacement", position))
        drawn = torch.randint(first, max(size - 1, first + 1), (number,), generator=generator)
        drawn = drawn + (drawn >= int(ids[0, position])).long()  # never the token that is there
        changed = ids.repeat(number, 1)
        changed[:, position] = drawn.clamp(max=size - 1).to(ids)
        return changed

    return replaced


def replaced_stretches(values: Tensor, spans: Sequence[tuple[int, int]]) -> Replaced:
    """Other stretches of the same values (1, T, …) in the place of each span, the same ones every time.

    A span that is all of the values stays.
    """

    def replaced(position: int, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(0, "replacement", position))
        first, end = spans[position]
        places = values.shape[1] - (end - first) + 1
        starts = torch.randint(max(places - 1, 1), (number,), generator=generator)
        starts = (starts + (starts >= first).long()).clamp(max=places - 1)  # never the stretch that is there
        changed = values.repeat(number, *[1] * (values.dim() - 1))
        for row, start in enumerate(starts.tolist()):
            changed[row, first:end] = values[0, start : start + end - first]
        return changed

    return replaced


def replaced_patches(picture: Tensor, side: int) -> Replaced:
    """Other patches of the same picture (1, C, H, W) in the place of each, the same ones every time."""
    columns = picture.shape[3] // side
    count = picture.shape[2] // side * columns

    def at(place: int) -> tuple[slice, slice]:
        row, column = place // columns * side, place % columns * side
        return slice(row, row + side), slice(column, column + side)

    def replaced(position: int, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(0, "replacement", position))
        others = torch.randint(max(count - 1, 1), (number,), generator=generator)
        changed = picture.repeat(number, 1, 1, 1)
        for row, other in enumerate(others.tolist()):
            other = min(other + (other >= position), count - 1)
            changed[row][(slice(None), *at(position))] = picture[0][(slice(None), *at(other))]
        return changed

    return replaced


def covered(side: OpenedSide, changed: Tensor) -> Tensor:
    """Which positions (S,), the added ones not counted, cover a place where `changed` (1, …) differs from the input."""
    differs = changed != side.input
    positions = range(len(side.pieces) - side.added)
    own = [(side.replaced(position, COVERING) != side.input).any(0, keepdim=True) for position in positions]
    return torch.stack([(one & differs).any() for one in own])


def patch_spans(length: int, patch: int, stride: int, count: int) -> list[tuple[int, int]]:
    """The steps of `length` that each of `count` patches covers; padding after the end is left out."""
    starts = [min(number * stride, length - 1) for number in range(count)]
    return [(start, min(start + patch, length)) for start in starts]
