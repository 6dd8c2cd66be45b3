"""Bugs planted into front ends: each is seen by the law named beside it, and every law sees one."""

from __future__ import annotations

import re

import pytest
import torch

import sightline.parts.front_ends as front_ends
import sightline.parts.series_patches as series_patches
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.character_cnn import CharacterCNN, CharacterConvolutions
from sightline.parts.image_patches import GridPositions, ImagePatches
from sightline.parts.log_mel import LogMel
from sightline.parts.subsampling import ConvolutionalSubsampling
from sightline.parts.token_embedding import EmbeddedTokens, Tokens
from sightline.testing import FRONT_END_LAWS, FrontEndSubject, run_front_end_law
from tests.unchecked import unchecked

from .planting import wrap

SOUND = AudioFrames(8000, mels=20)
SERIES = series_patches.SeriesPatches(1, 5, 3, "zero")


def mask_of_frames(patch):
    def forward(original, self, x, mask=None):
        return original(self, x, mask)[0], mask

    wrap(patch, ConvolutionalSubsampling, "forward", forward)


def hidden_steps_in_patches(patch):
    patch.setattr(series_patches, "keep", lambda x, mask: x)


def padding_in_the_level(patch):
    wrap(patch, LogMel, "_normalised", lambda original, self, frames, mask: original(self, frames, None))


def positions_by_row(patch):
    def forward(original, self, x):
        return original(self, x) + torch.arange(len(x)).view(-1, 1, 1)

    wrap(patch, GridPositions, "forward", forward)


def a_lost_setting(patch):
    wrap(patch, front_ends, "encode", lambda original, config: {**original(config), "mean": 0.5})


def tokens_that_count(patch):
    def forward(original, self, inputs, mask=None):
        x, mask = original(self, inputs, mask)
        return x + torch.arange(x.shape[1]).unsqueeze(1), mask

    wrap(patch, EmbeddedTokens, "forward", forward)


def frames_before_the_stride(patch):
    wrap(patch, AudioFrames, "length_out", lambda original, self, length: original(self, length) * self.stride)


def letters_beyond_the_end(patch):
    def maximum(original, self, letters, lengths, convolution):
        return original(self, letters, lengths + letters.shape[2], convolution)

    wrap(patch, CharacterConvolutions, "_maximum", maximum)


MUTANTS = [
    (letters_beyond_the_end, CharacterCNN(9, 3, (1, 2), 2), "batch order and size"),
    (frames_before_the_stride, SOUND, "length out"),
    (mask_of_frames, SOUND, "shapes and lengths"),
    (hidden_steps_in_patches, SERIES, "content under the mask"),
    (padding_in_the_level, SOUND, "padding"),
    (positions_by_row, ImagePatches(4, 4, 1, 2), "batch order and size"),
    (a_lost_setting, ImagePatches(4, 4, 1, 2, mean=0.25), "config and weights round trip"),
    (tokens_that_count, Tokens(11), "any chunks = whole"),
]


@pytest.mark.parametrize(("plant", "config", "law"), MUTANTS, ids=[plant.__name__ for plant, _, _ in MUTANTS])
def test_killed(plant, config, law, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_front_end_law(law, FrontEndSubject(config)).passed
    with monkeypatch.context() as patch:
        plant(patch)
        with unchecked():  # the laws, not the annotations, are to see the bug
            result = run_front_end_law(law, FrontEndSubject(config))
    assert result.passed is False
    # A bug is seen by its results; an exception would only show that it was planted badly.
    assert not re.match(r"\w+(Error|Warning): ", result.detail), result.detail


def test_every_law_kills() -> None:
    assert {law for _, _, law in MUTANTS} == set(FRONT_END_LAWS)
