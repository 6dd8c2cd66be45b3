"""Pictures as arrays of bytes: png, jpeg and others by Pillow, one at a time; idx files, the format of MNIST, whole.

A header's claim is checked before anything is decoded, so that a decompression bomb costs nothing; what a decoder
would repair silently (a file cut short, 16 bits clipped to 8, a transparent background) is an error or a named option.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from sightline.core.errors import EnvironmentFault, InputError, one_line
from sightline.data.media.deep import DeepLevels, deep_picture, is_deep
from sightline.data.media.files import MediaFile, Opened
from sightline.data.rows.files import check_expansion, check_file, open_bytes, plain_errors

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {
    ".png": ("PNG",),
    **dict.fromkeys((".jpg", ".jpeg", ".mpo"), ("JPEG", "MPO")),  # MPO: a JPEG with more pictures behind the first
    ".gif": ("GIF",),
    ".webp": ("WEBP",),
    ".bmp": ("BMP",),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
}
FORMATS = tuple({name: None for names in SUFFIXES.values() for name in names if name != "MPO"})  # opened as JPEG
_QUIET = logging.NullHandler()  # Pillow logs what it raises too
# What Pillow's decoders raise for broken files.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)
MAX_PIXELS = 50_000_000  # of one picture, as its header has it
MAX_IDX_BYTES = 2 << 30
_LARGEST_SIDE = 256  # of a size that an error proposes
_IDX_UNSIGNED_BYTES = 8

Fit = Literal["refuse", "stretch", "pad"]
Colour = Literal["grey", "rgb"]
Frames = Literal["refuse", "first"]


@final
@dataclass(frozen=True)
class ImageOptions:
    """Options for decoding a picture into an array.

    size: (height, width) of the result; None keeps that of each picture
    fit: a picture of another size is an error, is stretched to it, or is shrunk or enlarged with its proportions kept
        and the rest filled with `ground`
    colour: one channel or three; colours become grey by ITU-R 601 luma
    ground: the byte behind transparent pixels and in the padding, 0 black to 255 white
    frames: an animation, or a file of several pages, is an error, or its first picture is taken
    black, white: of pictures with more than 8 bits a channel the values that become 0 and 255; None = the largest of
        the file's type, which floats and signed integers lack
    """

    size: tuple[int, int] | None = None
    fit: Fit = "refuse"
    colour: Colour = "rgb"
    ground: int = 0
    frames: Frames = "refuse"
    black: float = 0.0
    white: float | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not (min(self.size) >= 1 and math.prod(self.size) <= MAX_PIXELS):
            raise InputError(f"must be height and width from 1 to {MAX_PIXELS} pixels, found {self.size}", where="size")
        if not 0 <= self.ground <= 255:
            raise InputError(f"must be from 0 to 255, found {self.ground}", where="ground")
        if not math.isfinite(self.black) or (self.white is not None and not self.black < self.white < math.inf):
            raise InputError(f"must be finite and greater than black {self.black:g}, found {self.white}", where="white")

    @property
    def channels(self) -> int:
        """Channels of the array."""
        return 1 if self.colour == "grey" else 3


def read_image(
    source: Path | MediaFile, options: ImageOptions | None = None, levels: DeepLevels | None = None
) -> np.ndarray:
    """The pixels (C, H, W) of a picture, uint8, rotated by its EXIF data; of a JPEG with several the first.

    levels: counts the pictures with more than 8 bits a channel

    Raises:
        InputError: "a.png: has 30000 x 30000 pixels, at most 50000000 are read", "a.png: is cut short or damaged: …",
            "a.png: is JPEG although its name ends in .png: …", "a.png: has 28 x 30 pixels, expected 28 x 28: …".
        EnvironmentFault: "a.png: no permission to read it".
    """
    from PIL import Image, UnidentifiedImageError

    logging.getLogger("PIL").addHandler(_QUIET)
    options = options or ImageOptions()
    source = MediaFile.of(source)
    path = source.path
    if source.content is None:
        check_file(path)
    known = source.formats(SUFFIXES, "picture")
    with source.open() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bombs, whose limit is our own, and of broken EXIF data
        try:
            image = _decoded(file, known, options, path, levels)
        except InputError:
            raise
        except UnidentifiedImageError:
            raise source.unreadable(file, f"cannot be read as a picture: not {', '.join(FORMATS)}") from None
        except PermissionError:
            raise EnvironmentFault(f"{path}: no permission to read it") from None
        except Image.DecompressionBombError:
            raise InputError(f"has too many pixels, at most {MAX_PIXELS} are read", where=path) from None
        except _DAMAGED as error:
            raise InputError(f"is cut short or damaged: {one_line(error)}", where=path) from None
        return _array(image, options, path)


def fit_pixels(pixels: np.ndarray, options: ImageOptions, path: Path | None = None) -> np.ndarray:
    """The picture (C, H, W) with the channels and the size of the options, as `read_image` reads a file of it.

    pixels: uint8, grey (H, W) or (H, W, 1), or (H, W, 3), or (H, W, 4) with transparency

    Raises:
        InputError: "digits.gz: has 28 x 30 pixels, expected 28 x 28: …".
    """
    from PIL import Image

    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    if pixels.ndim == 2 and options.size in (None, pixels.shape):
        return np.repeat(pixels[None], options.channels, 0)
    return _array(Image.fromarray(np.ascontiguousarray(pixels)), options, path)


def _decoded(
    file: Opened, known: tuple[str, ...], options: ImageOptions, path: Path, levels: DeepLevels | None
) -> Image:
    """The upright picture with 8 bits a channel."""
    from PIL import Image, ImageOps

    with Image.open(file, formats=FORMATS) as image:
        _check_header(image, known, options, path)
        if not is_deep(image):
            image.load()
            return ImageOps.exif_transpose(image)
        content = BytesIO(file.read() if not file.seek(0) else b"")
        with Image.open(content, formats=FORMATS) as again:
            return deep_picture((image, again), options.black, options.white, path, levels)


def _check_header(image: Image, known: tuple[str, ...], options: ImageOptions, path: Path) -> None:
    if image.format not in known:
        right = next(suffix for suffix, formats in SUFFIXES.items() if image.format in formats)
        raise InputError(
            f"is {image.format} although its name ends in {path.suffix}: let it end in {right}", where=path
        )
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(f"has {height} x {width} pixels, at most {MAX_PIXELS} are read", where=path)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and options.frames == "refuse" and image.format != "MPO":
        raise InputError(
            f"has {frames} pictures: set --picture.frames=first, or save the one that is meant", where=path
        )


def _array(image: Image, options: ImageOptions, path: Path | None) -> np.ndarray:
    """The picture (C, H, W) with the channels and the size of the options."""
    from PIL import Image

    if image.mode == "LAB":
        raise InputError("has the colour space LAB: save it as RGB", where=path)
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, (options.ground,) * 3 + (255,))
        image = Image.alpha_composite(background, image.convert("RGBA"))
    image = _fitted(image.convert("L" if options.colour == "grey" else "RGB"), options, path)
    pixels = np.array(image)  # a copy that can be written to
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _fitted(image: Image, options: ImageOptions, path: Path | None) -> Image:
    from PIL import Image, ImageOps

    if options.size is None or (image.height, image.width) == options.size:
        return image
    height, width = options.size
    if options.fit == "refuse":
        actual = f"{image.height} x {image.width}"
        raise InputError(
            f"has {actual} pixels, expected {height} x {width}: set --picture.fit=pad, or stretch", where=path
        )
    if options.fit == "stretch":
        return image.resize((width, height), Image.Resampling.BICUBIC)
    colour = (options.ground,) * 3 if image.mode == "RGB" else options.ground
    return ImageOps.pad(image, (width, height), Image.Resampling.BICUBIC, color=colour)


def size_flags(sizes: Iterable[Sequence[int]]) -> str:
    """The flags that bring pictures of these heights and widths to one size, about the middle one.

    It can be cut into patches, at most eight by eight.
    """
    middle = np.median(np.array([*sizes]), 0)
    middle = middle * min(1, _LARGEST_SIDE / middle.max())
    patch = math.ceil(middle.max() / 8)
    height, width = (max(1, round(side / patch)) * patch for side in middle)
    return f"--picture.height={height} --picture.width={width} --picture.fit=pad (or stretch)"


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file of unsigned bytes, such as train-images-idx3-ubyte.gz: (N, H, W), or (N,) labels.

    Raises:
        InputError: "a-idx3-ubyte.gz: is not an idx file: …", "a-idx3-ubyte.gz: its header says 60000 x 28 x 28 bytes,
            100 are there", and the like.
    """
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    with open_bytes(path) as stream, plain_errors(path):
        head = stream.read(4)
        if not head:
            raise InputError("is empty", where=path)
        if len(head) < 4 or head[:2] != b"\0\0" or not 1 <= head[3] <= 4:
            raise InputError("is not an idx file: it begins with two zeros, a type and 1 to 4 dimensions", where=path)
        if head[2] != _IDX_UNSIGNED_BYTES:
            raise InputError(
                f"contains numbers of type 0x{head[2]:02x}, only unsigned bytes (0x08) are read", where=path
            )
        sizes = stream.read(4 * head[3])
        if len(sizes) < 4 * head[3]:
            raise InputError("is cut short in its header", where=path)
        shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
        total, shown = math.prod(shape), " x ".join(map(str, shape))
        if not total:
            raise InputError(f"is empty: {shown}", where=path)
        if total > MAX_IDX_BYTES:
            raise InputError(f"its header says {shown} bytes, at most {MAX_IDX_BYTES} are read", where=path)
        check_expansion(total, size, path)
        content = bytearray()
        while len(content) <= total and (chunk := stream.read(min(1 << 20, total + 1 - len(content)))):
            content += chunk
    if len(content) != total:
        there = "more" if len(content) > total else str(len(content))
        raise InputError(f"its header says {shown} bytes, {there} are there", where=path)
    return np.frombuffer(bytes(content), np.uint8).reshape(shape)
