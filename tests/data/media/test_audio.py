"""Samples that are read are the samples that were written; rates and channels change as they are told to."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile

from sightline.core.errors import InputError
from sightline.data.media.audio import AudioOptions, read_audio

EXACT = AudioOptions(8000, "refuse", "refuse")


def sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(
    ("name", "subtype", "most"),
    [("a.wav", "PCM_16", 2**-15), ("a.wav", "FLOAT", 0.0), ("a.wav", "PCM_U8", 2**-7), ("a.flac", "PCM_24", 2**-22)],
)
def test_lossless_kinds_give_back_what_was_written(name, subtype, most, tmp_path):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 4001).astype(np.float32)
    soundfile.write(tmp_path / name, samples, 8000, subtype=subtype)
    found = read_audio(tmp_path / name, EXACT)
    assert found.dtype == np.float32
    assert found.shape == samples.shape
    assert np.abs(found - samples).max() <= most


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS")])
def test_lossy_kinds_come_near(name, subtype, tmp_path):
    samples = sine(440.0, 8000)
    soundfile.write(tmp_path / name, samples, 8000, format="OGG", subtype=subtype)
    found = read_audio(tmp_path / name, EXACT)
    assert found.shape == samples.shape
    assert np.sqrt(np.mean((found - samples)[800:-800] ** 2)) < 0.05


def test_channels(tmp_path):
    left, right = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 500)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", AudioOptions(8000)), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", AudioOptions(8000, mix="first")), left)
    with pytest.raises(InputError, match="has 2 channels: choose mix=mean or mix=first"):
        read_audio(tmp_path / "a.wav", EXACT)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (8000, 16_000), (22_050, 8000)])
def test_a_sine_at_another_rate_is_the_same_sine(rate, wanted, tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(440.0, rate), rate, subtype="FLOAT")
    found = read_audio(tmp_path / "a.wav", AudioOptions(wanted))
    assert len(found) == wanted
    middle = slice(wanted // 10, -wanted // 10)  # the filter sees zeros beyond both ends
    np.testing.assert_allclose(found[middle], sine(440.0, wanted)[middle], atol=2e-3)
    with pytest.raises(InputError, match=f"has {rate} samples a second, expected {wanted}: set rate_hz or resample"):
        read_audio(tmp_path / "a.wav", AudioOptions(wanted, resample="refuse"))


def test_what_the_new_rate_cannot_hold_is_gone(tmp_path):
    """A sine above half the new rate would come back as another one, if nothing filtered it out."""
    soundfile.write(tmp_path / "a.wav", sine(6000.0, 16_000), 16_000, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "a.wav", AudioOptions(8000)))[100:-100].max() < 0.01


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_wav_file_that_was_written_into_a_pipe_names_no_length(length, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(100, 0.25), 8000)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 40, length)
    path.write_bytes(content)
    if length:
        assert len(read_audio(path, EXACT)) == 100
    else:  # nothing tells it from a file without samples
        with pytest.raises(InputError, match="contains no samples"):
            read_audio(path, EXACT)
