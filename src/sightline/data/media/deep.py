"""Pictures with more than 8 bits a channel, of which Pillow keeps the upper 8 alone, clips the rest or loses alpha."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from sightline.core.digits import number_of
from sightline.core.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_WIDE = 65535
_BITS_PER_SAMPLE = 258  # the TIFF tag
_NATIVE = "16B" if sys.byteorder == "big" else "16L"


@final
@dataclass
class DeepLevels:
    """The values of the deep pictures that were read, and the bytes that they became.

    low, high: smallest and largest value; brightest: the largest byte; beyond: pictures with values that were clipped
    """

    pictures: int = 0
    low: float = 0.0
    high: float = 0.0
    brightest: int = 0
    beyond: int = 0

    def add(self, values: np.ndarray, levels: np.ndarray, clipped: bool) -> None:
        """Count a picture: its values and the bytes that they became."""
        low, high = float(values.min()), float(values.max())
        self.low, self.high = (min(self.low, low), max(self.high, high)) if self.pictures else (low, high)
        self.brightest = max(self.brightest, int(levels.max()))
        self.pictures += 1
        self.beyond += clipped

    def notes(self) -> list[str]:
        """What became of the values, and how to use all levels where most remain unused; nothing without pictures."""
        if not self.pictures:
            return []
        subject = number_of(self.pictures, "picture has", "pictures have")
        note = (
            f"{subject} more than 8 bits a channel, with values from {self.low:g} to {self.high:g}; "
            f"the largest became {self.brightest} of 255"
        )
        if self.brightest < 128 and self.high > 0:
            note += f": set --picture.white {self.high:g} to use the whole range"
        if self.beyond:
            note += f"; values beyond --picture.black and --picture.white were clipped in {self.beyond}"
        return [note]


def is_deep(image: ImageFile) -> bool:
    """Whether a picture that is opened, not yet decoded, has more than 8 bits a channel."""
    return image.mode[0] in "IF" or any(";16" in _rawmode(tile) for tile in image.tile)


def deep_picture(
    twice: tuple[ImageFile, ImageFile], black: float, white: float | None, path: Path, levels: DeepLevels | None = None
) -> Image:
    """The picture as bytes: `black` becomes 0, `white` 255, in between linearly; None = the largest of the type.

    twice: the same picture, opened two times and not decoded

    Raises:
        InputError: "a.tif: contains floats: set --picture.black and --picture.white to the values of black and white".
    """
    from PIL import Image, ImageOps

    first, second = twice
    single = first.mode[0] in "IF"
    full = _full(first)
    key = first.info.get("transparency")
    if single:
        values = np.asarray(ImageOps.exif_transpose(first))[:, :, None]  # (H, W, 1)
    else:
        values = _both_bytes(first, second, path)  # (H, W, C), the last of 2 or 4 channels alpha
    alpha = None
    if values.shape[2] in (2, 4):
        values, alpha = values[:, :, :-1], (values[:, :, -1] >> 8).astype(np.uint8)
    elif key is not None:  # the value, or the colour, that is transparent
        alpha = np.where((values == np.array(key)).all(2), 0, 255).astype(np.uint8)
    if white is None and full is None:
        kind = "floats" if first.mode == "F" else "signed or 32-bit integers"
        raise InputError(
            f"contains {kind}: set --picture.black and --picture.white to the values of black and white", where=path
        )
    if not np.isfinite(values).all():
        raise InputError("contains values that are not finite", where=path)
    if full is not None and white is None and black >= full:
        raise InputError(f"has values up to {full}, which --picture.black {black:g} makes black", where=path)
    shown, clipped = _bytes(values, black, white, full)
    if levels is not None:
        levels.add(values, shown, clipped)
    channels = [shown[:, :, c] for c in range(shown.shape[2])] + ([] if alpha is None else [alpha])
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[len(channels)]
    return Image.merge(mode, [Image.fromarray(np.ascontiguousarray(channel)) for channel in channels])


def _bytes(values: np.ndarray, black: float, white: float | None, full: int | None) -> tuple[np.ndarray, bool]:
    """The values as bytes, and whether some are beyond black or white."""
    if white is None and full == _WIDE and not black:
        return (values.astype(np.uint16) >> 8).astype(np.uint8), False
    top = float(full or 0) if white is None else white
    shares = (values.astype(np.float64) - black) / (top - black)
    return np.rint(255 * shares.clip(0.0, 1.0)).astype(np.uint8), bool(((shares < 0) | (shares > 1)).any())


def _full(image: ImageFile) -> int | None:
    """The largest value of the file's own type; None where that says nothing of the picture's range."""
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        return None
    bits: Any = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    return (1 << bits[0]) - 1


def _rawmode(tile: Any) -> str:
    """Pillow's name for the layout of a tile's bytes, such as RGB;16B."""
    raw = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
    return raw if isinstance(raw, str) else ""


def _both_bytes(first: ImageFile, second: ImageFile, path: Path) -> np.ndarray:
    """The values (H, W, C), uint16: Pillow decodes the upper bytes, and the lower ones by the other order of bytes."""
    from PIL import ImageOps

    raw = _rawmode(first.tile[0])
    if raw == "LA;16B":  # four bytes of two channels, read as four channels
        first._mode = "RGBA"  # type: ignore[attr-defined]
        first.tile = [tile._replace(args=_renamed(tile.args, raw, "RGBA")) for tile in first.tile]
        four = np.asarray(ImageOps.exif_transpose(first)).astype(np.uint16)  # (H, W, 4)
        return four[:, :, 0::2] << 8 | four[:, :, 1::2]
    big = raw.replace("16N", _NATIVE).endswith("16B")
    if any(_rawmode(tile) != raw for tile in first.tile) or not raw.endswith(("16B", "16L", "16N")):
        raise InputError(
            "has more than 8 bits a channel in separate planes: save it with 8 bits, or as png", where=path
        )
    other = raw[:-3] + ("16L" if big else "16B")
    second.tile = [tile._replace(args=_renamed(tile.args, raw, other)) for tile in second.tile]
    planes = [np.asarray(ImageOps.exif_transpose(one)).astype(np.uint16) for one in (first, second)]
    return planes[0] << 8 | planes[1]


def _renamed(args: Any, raw: str, other: str) -> Any:
    return (other, *args[1:]) if isinstance(args, tuple) else other
