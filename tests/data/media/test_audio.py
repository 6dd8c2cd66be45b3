"""The samples read are the samples written; rates and channels change as the options say."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
import soundfile

from sightline.core.errors import InputError
from sightline.data.media.audio import AudioOptions, read_audio
from sightline.data.media.files import MediaFile

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
    result = read_audio(tmp_path / name, EXACT)
    assert result.dtype == np.float32
    assert result.shape == samples.shape
    assert np.abs(result - samples).max() <= most


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS")])
def test_lossy_kinds_come_near(name, subtype, tmp_path):
    samples = sine(440.0, 8000)
    soundfile.write(tmp_path / name, samples, 8000, format="OGG", subtype=subtype)
    result = read_audio(tmp_path / name, EXACT)
    assert result.shape == samples.shape
    assert np.sqrt(np.mean((result - samples)[800:-800] ** 2)) < 0.05


def test_channels(tmp_path):
    left, right = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 500)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", AudioOptions(8000)), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", AudioOptions(8000, mix="first")), left)
    with pytest.raises(InputError, match="has 2 channels: choose mix=mean or mix=first"):
        read_audio(tmp_path / "a.wav", EXACT)


@pytest.mark.parametrize(("rate", "target"), [(44_100, 16_000), (8000, 16_000), (22_050, 8000)])
def test_a_sine_at_another_rate_is_the_same_sine(rate, target, tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(440.0, rate), rate, subtype="FLOAT")
    samples = read_audio(tmp_path / "a.wav", AudioOptions(target))
    assert len(samples) == target
    middle = slice(target // 10, -target // 10)  # the filter sees zeros beyond both ends
    np.testing.assert_allclose(samples[middle], sine(440.0, target)[middle], atol=2e-3)
    with pytest.raises(InputError, match=f"has {rate} samples a second, expected {target}: set rate_hz or resample"):
        read_audio(tmp_path / "a.wav", AudioOptions(target, resample="refuse"))


def test_what_the_new_rate_cannot_hold_is_gone(tmp_path):
    """A sine above half the new rate would come back as another one, if nothing filtered it out."""
    soundfile.write(tmp_path / "a.wav", sine(6000.0, 16_000), 16_000, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "a.wav", AudioOptions(8000)))[100:-100].max() < 0.01


PIPES = [0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 0xFFFFFFFF - 44]


@pytest.mark.parametrize("length", PIPES)
@pytest.mark.parametrize("form", [0, 0xFFFFFFFF])
def test_a_wav_file_that_was_written_into_a_pipe_is_read_by_what_is_there(length, form, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(101, 0.25), 8000)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 4, form)
    struct.pack_into("<I", content, 40, length)
    path.write_bytes(content)
    assert (read_audio(path, EXACT) == 0.25).all()
    assert len(read_audio(path, EXACT)) == len(read_audio(MediaFile(path, bytes(content)), EXACT)) == 101
    path.write_bytes(content[:-100])
    assert len(read_audio(path, EXACT)) == 51


def test_a_wav_file_without_samples_before_other_chunks_is_empty(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 8000)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(InputError, match="contains no samples"):
        read_audio(path, EXACT)


KINDS = {
    "a.aiff": "AIFF", "a.au": "AU", "a.caf": "CAF", "a.w64": "W64", "a.sph": "NIST", "b.wav": "RF64", "c.wav": "NIST",
    "d.wav": "WAV", "a.flac": "FLAC", "a.mp3": "MP3",
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_kinds_and_their_ends(name, tmp_path, capfd):
    """Every kind is read whole, as a file and as bytes; one that is cut short is refused where its header counts."""
    path = tmp_path / name
    samples = 0.5 * np.sin(np.arange(8001) / 9)
    soundfile.write(path, samples, 8000, format=KINDS[name])
    content = path.read_bytes()
    for source in (path, MediaFile(tmp_path / "x", content)):
        array = read_audio(source, EXACT)
        assert array.shape == samples.shape
        assert np.abs(array - samples).max() < (0.1 if name == "a.mp3" else 2**-14)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"is cut short|malformed|lost sync"):
        read_audio(path, EXACT)
    assert capfd.readouterr().err == ""


def unfilled(name: str, tmp_path) -> bytes:
    """A file whose header does not know its length, as ffmpeg writes it into a pipe."""
    path = tmp_path / name
    soundfile.write(path, 0.5 * np.sin(np.arange(8001) / 9), 8000, format=KINDS[name])
    content = bytearray(path.read_bytes())
    if name == "a.flac":
        content[21] &= 0xF0
        content[22:26] = bytes(4)
    else:
        at, size = {
            "a.au": (8, b"\xff" * 4),
            "a.caf": (content.find(b"data") + 4, b"\xff" * 8),
            "a.w64": (content.find(b"data") + 16, (2**63 - 1).to_bytes(8, "little")),
            "b.wav": (content.find(b"ds64") + 16, bytes(8)),
        }[name]
        content[at : at + len(size)] = size
    return bytes(content)


@pytest.mark.parametrize("name", ["a.au", "a.caf", "a.w64", "b.wav", "a.flac"])
def test_headers_that_do_not_know_the_length(name, tmp_path):
    content = unfilled(name, tmp_path)
    (tmp_path / name).write_bytes(content)
    for source in (tmp_path / name, MediaFile(tmp_path / "x", content)):
        assert read_audio(source, EXACT).shape == (8001,)


def test_mp3_of_varying_rate_without_a_count(tmp_path):
    """The frame that counts the others is the first; without it the decoder guesses the length from the next ones."""
    path = tmp_path / "a.mp3"
    rng = np.random.default_rng(0)
    samples = np.concatenate([0.3 * rng.standard_normal(8000), np.zeros(32_000), 0.3 * rng.standard_normal(8000)])
    soundfile.write(path, samples, 16_000, bitrate_mode="VARIABLE", compression_level=0.5)
    content = path.read_bytes()
    first, second = (m.start() for m in list(re.finditer(rb"\xff\xf3", content))[:2])
    assert b"Xing" in content[first:second]
    path.write_bytes(content[second:])
    assert len(read_audio(path)) >= len(samples)


def test_a_stretch_of_a_sound(tmp_path):
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 8000).astype(np.float32)
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    short = AudioOptions(8000, max_s=0.5)
    np.testing.assert_array_equal(read_audio(MediaFile(path, None, 0.25, 0.5), short), samples[2000:6000])
    np.testing.assert_array_equal(read_audio(MediaFile(path, None, 0.75), short), samples[6000:])
    np.testing.assert_array_equal(read_audio(MediaFile(path, None, 0.75, 0.255), short), samples[6000:])
    with pytest.raises(InputError, match=r"lasts 1\.00 s, but a stretch of it ends at 1\.25 s"):
        read_audio(MediaFile(path, None, 0.75, 0.5), short)
    with pytest.raises(InputError, match=r"lasts 1\.00 s, but a stretch of it begins at 2\.00 s"):
        read_audio(MediaFile(path, None, 2.0), short)


@pytest.mark.parametrize(("content", "problem"), [
    (b"\0\0\0\x20ftypisom\0\0\2\0", "is an MPEG-4 video (mp4): convert its sound to wav, such as by ffmpeg"),
    (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\x82\x84webm", "is WebM: convert its sound to wav"),
    (b"#!AMR\n", "is AMR sound: convert"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["a.wav", "a.webm", "a.mp3"])
def test_other_kinds_are_named(content, problem, name, tmp_path):
    (tmp_path / name).write_bytes(content + bytes(100))
    with pytest.raises(InputError) as caught:
        read_audio(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {problem}")
