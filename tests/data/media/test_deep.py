"""Pictures of every depth and kind: the bytes are the values of the file, on the scale that was asked for."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.core.errors import InputError
from sightline.data.media.deep import DeepLevels
from sightline.data.media.files import MediaFile
from sightline.data.media.images import ImageOptions, read_image

TWELVE = np.random.default_rng(0).integers(0, 4096, (5, 7, 4)).astype(np.uint16)
TWELVE[0, 0] = 4095
EIGHT = np.rint(TWELVE / 4095 * 255)


def png16(values: np.ndarray, transparent: tuple[int, ...] = ()) -> bytes:
    """A png file of 16 bits a channel, as the specification lays it out (Pillow writes grey ones alone)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, channels = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + key + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def read(content: bytes, levels: DeepLevels | None = None, name: str = "a.png", **options) -> np.ndarray:
    return read_image(MediaFile(Path(name), content), ImageOptions(**options), levels)


def tiff(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
def test_twelve_bits_in_sixteen(channels):
    values, expected = TWELVE[:, :, :channels], EIGHT[:, :, :channels].transpose(2, 0, 1)
    options = {"colour": "grey" if channels == 1 else "rgb"}
    levels = DeepLevels()
    assert read(png16(values), levels, **options).max() == 15
    (note,) = levels.notes()
    assert f"with values from {values.min()} to 4095; the largest became 15 of 255: set --picture.white 4095" in note
    np.testing.assert_array_equal(read(png16(values), white=4095.0, **options), expected)
    clipped = DeepLevels()
    assert (read(png16(values), clipped, white=2000.0, **options)[:, 0, 0] == 255).all()
    assert clipped.notes()[0].endswith("values beyond --picture.black and --picture.white were clipped in 1")


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_sixteen_bits(channels):
    values = TWELVE[:, :, :channels].copy()
    values[:2, :, -1], values[2:, :, -1] = 0, 65535
    pixels = read(png16(values), white=4095.0, ground=200)
    assert (pixels[:, :2] == 200).all()
    colours = np.broadcast_to(EIGHT[2:, :, : channels - 1], (3, 7, 3)).transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels[:, 2:], colours)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_value_of_sixteen_bits(channels):
    """The values 0x0100 and 0x0101 have one upper byte; only the first is transparent."""
    values = np.full((2, 2, channels), 0x0101, np.uint16)
    values[0] = 0x0100
    pixels = read(png16(values, (0x0100,) * channels), ground=99)
    assert pixels[:, 0].tolist() == [[99, 99]] * 3
    assert pixels[:, 1].tolist() == [[1, 1]] * 3


@pytest.mark.parametrize("values", [TWELVE[:, :, 0].astype(np.float32), TWELVE[:, :, 0].astype(np.int32)])
def test_types_without_a_range_need_one(values):
    with pytest.raises(InputError, match=r"a\.tif: contains .*: set --picture\.black and --picture\.white"):
        read(tiff(values), name="a.tif")
    pixels = read(tiff(values - 1000), name="a.tif", black=-1000.0, white=3095.0, colour="grey")
    np.testing.assert_array_equal(pixels[0], EIGHT[:, :, 0])


def test_values_that_are_not_finite():
    values = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(InputError, match="contains values that are not finite"):
        read(tiff(values), name="a.tif", white=1.0)


def test_sixteen_bit_tiff_and_orientation():
    np.testing.assert_array_equal(
        read(tiff(TWELVE[:, :, 0]), name="a.tif", white=4095.0, colour="grey")[0], EIGHT[:, :, 0]
    )
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(TWELVE[:, :, 0]).save(buffer, "PNG", exif=exif)
    turned = read(buffer.getvalue(), white=4095.0, colour="grey")[0]
    np.testing.assert_array_equal(turned, np.rot90(EIGHT[:, :, 0], -1))


def test_one_bit_and_its_transparent_value():
    buffer = io.BytesIO()
    bits = np.array([[True, False, True]])
    Image.fromarray(bits).save(buffer, "PNG")
    assert read(buffer.getvalue(), colour="grey").tolist() == [[[255, 0, 255]]]
    image = Image.fromarray(np.array([[0, 7, 200]], np.uint8)).convert("P")
    image.putpalette([0, 0, 0] * 7 + [10, 20, 30] + [90, 80, 70] * 248)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=7)
    assert read(buffer.getvalue(), ground=1)[:, 0].T.tolist() == [[0, 0, 0], [1, 1, 1], [90, 80, 70]]


def test_inks_are_read_as_colours():
    """Full cyan takes all red away; no ink is white."""
    buffer = io.BytesIO()
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, :8, 0] = 255
    Image.fromarray(inks, "CMYK").save(buffer, "JPEG", quality=100, subsampling=0)
    pixels = read(buffer.getvalue(), name="a.jpg").astype(int)
    assert np.abs(pixels[:, 8, 2] - [0, 255, 255]).max() < 8
    assert np.abs(pixels[:, 8, 14] - 255).max() < 8


@pytest.mark.parametrize(("kind", "name"), [("GIF", "a.gif"), ("WEBP", "a.webp"), ("TIFF", "a.tif"), ("PNG", "a.png")])
def test_several_pictures_in_a_file(kind, name):
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("white", "black")]
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:], **options)
    with pytest.raises(InputError, match=rf"{name}: has 2 pictures: set --picture\.frames=first"):
        read_image(MediaFile(Path(name), buffer.getvalue()))
    assert (read(buffer.getvalue(), name=name, frames="first") == 255).all()


def test_a_jpeg_with_a_second_picture_is_read_by_its_first(tmp_path):
    pages = [Image.new("RGB", size, colour) for size, colour in (((16, 16), "white"), ((8, 8), "black"))]
    pages[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pages[1:])
    pixels = read_image(tmp_path / "a.jpg")
    assert pixels.shape == (3, 16, 16)
    assert (pixels > 250).all()


@pytest.mark.parametrize(("content", "kind"), [
    (b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC: save it as png or jpeg"),
    (b"\0\0\0\x18ftypcrx \0\0\0\0", "is a camera's RAW: save it as png or jpeg"),
    (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the file itself: run git lfs pull"),
    (b"<!DOCTYPE html><html>404", "is a web page: download the file itself"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["a.jpg", "a.heic"])
def test_other_kinds_are_named(content, kind, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {kind}"
