"""Labels of the positions of a text, a sound or a picture, and how each is replaced, for inspection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from sightline.core.front_end import FrontEndConfig
from sightline.data.tokens.tokenizer import SPECIALS
from sightline.tasks.opened import Replaced, patch_spans, replaced_patches, replaced_stretches, replaced_tokens
from sightline.tasks.text_inputs import in_tokens


class OpenedPositions(NamedTuple):
    """The label of each position of an input, how it is replaced, and facts of the input by fields of `OpenedInput`."""

    pieces: list[str]
    replaced: Replaced
    facts: Mapping[str, Any] = {}


def text_positions(front_end: FrontEndConfig, pieces: list[str], read: Tensor) -> OpenedPositions:
    """Those of token ids (1, S), replaced by other tokens; of letters (1, S, L), each word by others of the text."""
    vocabulary = in_tokens(front_end)
    if isinstance(vocabulary, int):
        return OpenedPositions(pieces, replaced_tokens(read, min(len(SPECIALS), vocabulary - 1), vocabulary))
    return OpenedPositions(pieces, replaced_stretches(read, [(place, place + 1) for place in range(len(pieces))]))


def sound_positions(config: Any, front_end: Any, read: Tensor) -> OpenedPositions:
    """Those of samples (1, T) that an `AudioFrames` reads: stretches of frames, named by the second they begin at."""
    count, step = config.length_out(read.shape[1]), config.stride * config.hop
    samples = patch_spans(read.shape[1], step, step, count)
    frames = front_end.log_mel(read, None)[0][0]  # (frames, F)
    facts = {
        "spans": patch_spans(len(frames), config.stride, config.stride, count),
        "spectrogram": frames.T.cpu().numpy(),
        "frame_s": config.hop / config.rate_hz,
    }
    return OpenedPositions(
        [f"{first / config.rate_hz:.2f} s" for first, _ in samples], replaced_stretches(read, samples), facts
    )


def picture_positions(config: Any, pixels: np.ndarray, read: Tensor) -> OpenedPositions:
    """Those of a picture (1, C, H, W) of these pixels (C, H, W): patches, or pixels, by row and column from 1."""
    side = getattr(config, "patch", 1)
    rows, columns = read.shape[2] // side, read.shape[3] // side
    levels = pixels if pixels.dtype == np.uint8 else np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
    pieces = [f"{row + 1}, {column + 1}" for row in range(rows) for column in range(columns)]
    spans = [(patch, patch + 1) for patch in range(rows * columns)]
    facts = {"spans": spans, "pixels": levels.transpose(1, 2, 0), "grid": (rows, columns)}
    return OpenedPositions(pieces, replaced_patches(read, side), facts)
