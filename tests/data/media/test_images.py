"""The pixels read are the pixels written, in every mode of a file."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from sightline.core.errors import InputError, Interrupted
from sightline.data.media.images import ImageOptions, read_idx, read_image

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


def test_colours_and_grey_values(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    result = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(result, RGB.transpose(2, 0, 1))
    luma = RGB @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    grey = read_image(tmp_path / "a.png", ImageOptions(colour="grey"))
    assert grey.shape == (1, 5, 7)
    assert np.abs(grey[0] - luma).max() <= 1.0
    Image.fromarray(GREY).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png", ImageOptions(colour="grey"))[0], GREY)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), np.stack([GREY] * 3))


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    wide = GREY.astype(np.uint16) * 256 + 77
    Image.fromarray(wide).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", ImageOptions(colour="grey"))[0], GREY)


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(RGB).quantize(256)
    image.save(tmp_path / "a.png")
    palette = np.array(image.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), palette[np.asarray(image)].transpose(2, 0, 1))


@pytest.mark.parametrize("ground", [0, 255])
def test_what_is_transparent_shows_the_ground(ground, tmp_path):
    alpha = np.zeros((5, 7, 1), np.uint8)
    alpha[2:] = 255
    Image.fromarray(np.concatenate([RGB, alpha], 2)).save(tmp_path / "a.png")
    result = read_image(tmp_path / "a.png", ImageOptions(ground=ground))
    assert (result[:, :2] == ground).all()
    np.testing.assert_array_equal(result[:, 2:], RGB[2:].transpose(2, 0, 1))


def test_a_photograph_is_turned_upright(tmp_path):
    image = Image.fromarray(np.repeat(np.repeat(RGB, 16, 0), 16, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left: turn clockwise
    image.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    pixels = read_image(tmp_path / "a.jpg")
    assert pixels.shape == (3, 7 * 16, 5 * 16)
    expected = np.rot90(np.asarray(image), -1).transpose(2, 0, 1).astype(int)
    assert np.abs(pixels - expected).mean() < 4


def test_another_size(tmp_path):
    Image.fromarray(np.full((10, 20), 200, np.uint8)).save(tmp_path / "a.png")
    stretched = read_image(tmp_path / "a.png", ImageOptions((8, 8), "stretch", "grey"))
    assert stretched.shape == (1, 8, 8)
    assert (stretched == 200).all()
    padded = read_image(tmp_path / "a.png", ImageOptions((8, 8), "pad", "grey", ground=7))[0]
    assert (padded[2:6] == 200).all()  # 20 x 10 becomes 8 x 4, in the middle
    assert (padded[[0, 1, 6, 7]] == 7).all()


@pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.gz"])
def test_idx(name, tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 4) + values.tobytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    np.testing.assert_array_equal(read_idx(tmp_path / name), values)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), KeyboardInterrupt(), Interrupted("stopped", signal_number=15), AttributeError("a slip")],
    ids=repr,
)
def test_only_what_decoders_raise_means_that_a_picture_is_damaged(error, tmp_path, monkeypatch):
    def fails(image):
        raise error

    Image.fromarray(np.zeros((10, 20), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    with pytest.raises(type(error)):
        read_image(tmp_path / "a.png")
    error = struct.error("short")
    with pytest.raises(InputError, match=r"a\.png: is cut short or damaged: short"):
        read_image(tmp_path / "a.png")
