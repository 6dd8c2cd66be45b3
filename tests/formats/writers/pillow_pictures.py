"""Pictures as Pillow writes them: a folder for each class."""

import numpy
import PIL
from PIL import Image

VERSION = f"Pillow {PIL.__version__}"
GREY = (numpy.arange(64, dtype=numpy.uint8) * 4).reshape(8, 8)


def colours(path):
    """Phones' JPEG with a second picture, a palette with transparency, an animation's neighbours, CMYK, 1 bit."""
    for label in ("one", "two"):
        (path / label).mkdir(parents=True)
    picture = Image.fromarray(GREY).convert("RGB")
    picture.save(path / "one" / "phone.jpg", "MPO", save_all=True, append_images=[picture.resize((4, 4))])
    picture.quantize(8).save(path / "one" / "palette.png", transparency=0)
    picture.convert("CMYK").save(path / "one" / "print.jpg")
    picture.save(path / "two" / "a.webp", lossless=True)
    picture.save(path / "two" / "a.gif")
    picture.save(path / "two" / "a.bmp")
    picture.convert("1").save(path / "two" / "a.tif")


def deep(path):
    """16-bit grey pictures with 12-bit data."""
    for label in ("dark", "light"):
        (path / label).mkdir(parents=True)
        values = GREY.astype(numpy.uint16) * 16 + (63 if label == "light" else 0)
        Image.fromarray(values).save(path / label / "a.png")
        Image.fromarray(values).save(path / label / "b.tiff")


FILES = {"colours": colours, "deep": deep}
