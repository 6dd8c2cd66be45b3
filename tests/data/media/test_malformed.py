"""Bad sound, pictures and manifests end in one line that names the file, and the manifest's line where there is one."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.media.audio import AudioOptions, read_audio
from sightline.data.media.images import ImageOptions, read_idx, read_image
from sightline.data.media.manifest import located, read_manifest

RATE_HZ = 8000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(4000)).astype(np.float32)
Content = bytes | Callable[[Path], object]


def sound(kind: str, subtype: str, samples: np.ndarray = NOISE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format=kind, subtype=subtype)
    return buffer.getvalue()


WAV, FLAC, OGG = sound("WAV", "PCM_16"), sound("FLAC", "PCM_16"), sound("OGG", "VORBIS")
SILENCE = sound("FLAC", "PCM_16", np.zeros(40_000, np.float32))


def header(*, rate: int = RATE_HZ, channels: int = 1, size: int = 2 * len(NOISE)) -> bytes:
    """The wav file with other numbers in its header, at the offsets of the canonical 44 bytes."""
    result = bytearray(WAV)
    struct.pack_into("<HI", result, 22, channels, rate)
    struct.pack_into("<H", result, 32, 2 * channels)
    struct.pack_into("<I", result, 40, size)
    return bytes(result)


def floats(*at: tuple[int, float]) -> bytes:
    samples = NOISE.copy()
    for place, value in at:
        samples[place] = value
    return sound("WAV", "FLOAT", samples)


def spoilt(content: bytes, *, at: float = 0.5, many: int = 100) -> bytes:
    result = bytearray(content)
    for place in range(int(at * len(result)), int(at * len(result)) + many):
        result[place] ^= 0x5A
    return bytes(result)


SOUNDS: dict[str, tuple[str, Content, str]] = {
    "wav: empty": ("a.wav", b"", "is empty"),
    "wav: text": ("a.wav", b"hello, this is not a sound at all\n" * 9, "cannot be read as sound: "),
    "wav: cut in the header": ("a.wav", WAV[:20], "cannot be read as sound: "),
    "wav: no data chunk": ("a.wav", WAV[:36], "cannot be read as sound: "),
    "wav: cut in the middle": ("a.wav", WAV[:4044], "its header says 8000 bytes of sound, 4000 are there"),
    "wav: one frame missing": ("a.wav", WAV[:-2], "its header says 8000 bytes of sound, 7998 are there"),
    "wav: header of 2 GB": ("a.wav", header(size=0x7F000000), "says 2130706432 bytes of sound, 8000 are there"),
    "wav: no samples": ("a.wav", sound("WAV", "PCM_16", NOISE[:0]), "contains no samples"),
    "wav: rate of 2 GHz": ("a.wav", header(rate=2**31 - 1), "has 2147483647 samples a second, expected 1000 to 768000"),
    "wav: rate of 0": ("a.wav", header(rate=0), ""),
    "wav: a thousand channels": ("a.wav", header(channels=1000), "has 1000 channels, at most 64 are read"),
    "wav: NaN": ("a.wav", floats((17, np.nan)), "sample 18 is NaN, expected numbers around ±1"),
    "wav: infinite": ("a.wav", floats((3, np.inf), (17, np.nan)), "sample 4 is inf"),
    "wav: huge": ("a.wav", floats((0, -3e30)), "sample 1 is -3e+30"),
    "wav: is flac": ("a.wav", FLAC, "is FLAC although its name ends in .wav"),
    "flac: is wav": ("a.flac", WAV, "is WAV although its name ends in .flac"),
    "flac: empty": ("a.flac", b"", "is empty"),
    "flac: cut short": ("a.flac", FLAC[: len(FLAC) // 2], "cannot be read as sound: flac decoder lost sync"),
    "flac: damaged": ("a.flac", spoilt(FLAC), "cannot be read as sound: flac decoder lost sync"),
    "ogg: cut short": ("a.ogg", OGG[:-7], "is cut short: its last Ogg page is missing"),
    "ogg: pages missing": ("a.ogg", spoilt(OGG, at=0.8), "is cut short or damaged: 4000 frames are named, "),
    "ogg: cut in the header": ("a.ogg", OGG[:60], "cannot be read as sound: "),
    "sound too long": ("a.flac", SILENCE, "lasts 5.0 s, more than max_s 4"),
    "mp3: cut in the header": ("a.mp3", b"ID3", "cannot be read as sound: "),
    "sound: unknown": ("a.xyz", b"ID", "unknown kind of sound '.xyz'"),
    "sound: directory": ("a.wav", Path.mkdir, "is a directory"),
    "sound: FIFO": ("a.wav", os.mkfifo, "is not a regular file but a FIFO"),
    "sound: missing": ("a.wav", lambda path: None, "no such file"),
}  # fmt: skip


def picture(kind: str = "PNG", size: tuple[int, int] = (28, 28), **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, data: bytes, *more: bytes) -> bytes:
    """A grey png file whose header says what it likes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


PNG, JPEG = picture(), picture("JPEG")
BOMB = png(30_000, 30_000, zlib.compress(bytes(30_001 * 1000)))  # 29 KB that would take 900 MB
TEXT_BOMB = png(2, 2, zlib.compress(bytes(6)), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000))))

PICTURES: dict[str, tuple[str, Content, str]] = {
    "png: empty": ("a.png", b"", "is empty"),
    "png: text": ("a.png", b"hello\n", "cannot be read as a picture: not PNG, JPEG, GIF, WEBP, BMP, TIFF"),
    "png: gif": ("a.png", picture("GIF"), "is GIF although its name ends in .png: let it end in .gif"),
    "png: cut short": ("a.png", PNG[: len(PNG) // 2], "is cut short or damaged: image file is truncated"),
    "png: cut in the header": ("a.png", PNG[:20], "is cut short or damaged: "),
    "png: damaged": ("a.png", spoilt(PNG), "is cut short or damaged: "),
    "png: no pixels": ("a.png", png(28, 28, b""), "is cut short or damaged: "),
    "png: 0 wide": ("a.png", png(0, 28, zlib.compress(b"")), ""),
    "png: bomb": ("a.png", BOMB, "pixels"),
    "png: header of 2^31": ("a.png", png(2**31 - 1, 2**31 - 1, b""), "pixels"),
    "png: text bomb": ("a.png", TEXT_BOMB, "is cut short or damaged: "),
    "png: is jpeg": ("a.png", JPEG, "is JPEG although its name ends in .png"),
    "jpeg: is png": ("a.jpg", PNG, "is PNG although its name ends in .jpg"),
    "jpeg: cut short": ("a.jpeg", JPEG[: len(JPEG) // 2], "is cut short or damaged: "),
    "picture: other size": ("a.png", picture(size=(28, 30)), "expected 28 x 28: set --picture.fit=pad, or"),
    "animation": ("a.png", picture(save_all=True, append_images=[Image.new("RGB", (28, 28))]), "has 2 pictures: set "),
    "webp: cut in the header": ("a.webp", b"RIFF", "cannot be read as a picture: not PNG, "),
    "picture: unknown": ("a.xyz", b"RIFF", "unknown kind of picture '.xyz'"),
    "picture: directory": ("a.png", Path.mkdir, "is a directory"),
    "picture: missing": ("a.png", lambda path: None, "no such file"),
    "picture: link to itself": ("a.png", lambda path: path.symlink_to(path), "cannot be opened: "),
}  # fmt: skip


def idx(*shape: int, body: bytes | None = None, kind: int = 8) -> bytes:
    head = bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return head + (bytes(int(np.prod(shape))) if body is None else body)


ARRAYS: dict[str, tuple[str, Content, str]] = {
    "idx: empty": ("a", b"", "is empty"),
    "idx: empty gzip": ("a.gz", gzip.compress(b""), "is empty"),
    "idx: text": ("a", b"hello, world", "is not an idx file"),
    "idx: floats": ("a", idx(2, body=bytes(8), kind=0x0D), "contains numbers of type 0x0d, only unsigned bytes"),
    "idx: cut in the header": ("a", idx(2, 3, 4)[:9], "is cut short in its header"),
    "idx: cut short": ("a", idx(2, 3, 4)[:-1], "its header says 2 x 3 x 4 bytes, 23 are there"),
    "idx: too much": ("a", idx(2, 3, 4) + b"\0", "its header says 2 x 3 x 4 bytes, more are there"),
    "idx: nothing": ("a", idx(0, 28, 28), "is empty: 0 x 28 x 28"),
    "idx: huge header": ("a", idx(2**32 - 1, 2**32 - 1, body=b""), "at most 2147483648 are read"),
    "idx: large header": ("a", idx(60_000, 28, 28, body=b""), "expands to more than 200 times its 16 bytes"),
    "idx: bomb": ("a.gz", gzip.compress(idx(100_000, 28, 28)), "expands to more than 200 times"),
    "idx: cut gzip": ("a.gz", gzip.compress(os.urandom(5000))[:-50], ""),
    "idx: no gzip": ("a.gz", idx(2, 3, 4), "is not gzip although its name ends in .gz"),
    "idx: unnamed gzip": ("a", gzip.compress(idx(2, 3, 4)), "is gzip: let its name end in .gz"),
    "idx: missing": ("a", lambda path: None, "no such file"),
    "idx: directory": ("a", Path.mkdir, "is a directory"),
}  # fmt: skip

READERS: list[tuple[dict[str, tuple[str, Content, str]], Callable[[Path], object]]] = [
    (SOUNDS, lambda path: read_audio(path, AudioOptions(RATE_HZ, max_s=4.0))),
    (PICTURES, lambda path: read_image(path, ImageOptions((28, 28)))),
    (ARRAYS, read_idx),
]
CASES = [pytest.param(read, *case, id=name) for cases, read in READERS for name, case in cases.items()]


def lay(path: Path, content: Content) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


@pytest.mark.parametrize(("read", "name", "content", "problem"), CASES)
def test_a_bad_file_is_one_line_with_its_name(read, name, content, problem, tmp_path):
    path = tmp_path / name
    lay(path, content)
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert problem in message
    assert "\n" not in message
    assert message.isprintable()
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("read", [read_audio, read_image, read_idx])
def test_what_may_not_be_read_is_the_environment_s_fault(read, tmp_path, monkeypatch):
    path = tmp_path / {read_audio: "a.wav", read_image: "a.png", read_idx: "a"}[read]
    path.write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(EnvironmentFault, match="no permission to read it"):
        read(path)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate_hz": 0}, "rate_hz: must be from 1000 to 768000, found 0"),
        ({"max_s": float("nan")}, "max_s: must be positive and finite, found nan"),
    ],
)
def test_audio_options_that_cannot_be_meant(options, problem):
    with pytest.raises(InputError) as caught:
        AudioOptions(**options)
    assert str(caught.value) == problem


@pytest.mark.parametrize("size", [(0, 28), (100_000, 100_000)])
def test_image_sizes_that_cannot_be_meant(size):
    with pytest.raises(InputError, match="size: must be height and width"):
        ImageOptions(size)


MANIFESTS: dict[str, tuple[str, bytes, dict[str, object], str]] = {
    "no such column": ("a.csv", b"sorce,target\na.wav,x\n", {}, ""),
    "no such named column": (
        "a.csv", b"imge,question,target\n1,2,3\n", {"sources": ("image", "question")},
        ":1: no column 'image' for the source, did you mean 'imge'?",
    ),
    "too few cells": ("a.tsv", b"source\ttarget\na.wav\n", {}, ":2: expected 2 columns, found 1"),
    "empty target": ("a.tsv", b"source\ttarget\na.wav\t\n", {}, ":2: the target is empty"),
    "number for a path": ("a.jsonl", b'{"source": 1, "target": "x"}\n', {}, ":1: the source must be a string"),
    "empty manifest": ("a.csv", b"", {}, ": is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_bad_manifest_names_its_line(case, tmp_path):
    name, content, options, problem = MANIFESTS[case]
    path = tmp_path / name
    path.write_bytes(content)
    if not problem:  # without the names it is a table without a header, whose first row names no file
        assert read_manifest(path, **options).targets == ["target", "x"]
        return
    with pytest.raises(InputError) as caught:
        read_manifest(path, **options)
    assert str(caught.value).startswith(f"{path}{problem}")


def test_columns_must_differ():
    with pytest.raises(InputError, match="expected one or more different columns, found a, a and target"):
        read_manifest("m.csv", sources=("a", "a"))


def test_a_bad_file_is_an_error_with_the_line_that_names_it(tmp_path):
    path = tmp_path / "clips.csv"
    path.write_text('source,target\n"a.wav","two\nlines"\nb.wav,x\n')
    (tmp_path / "a.wav").write_bytes(WAV)
    manifest = read_manifest(path)
    assert read_audio(manifest.file("source", 0), AudioOptions(RATE_HZ)).shape == (4000,)
    with pytest.raises(InputError) as caught, located(manifest.place(1)):
        read_audio(manifest.file("source", 1))
    assert str(caught.value) == f"{path}:4: {tmp_path / 'b.wav'}: no such file"
