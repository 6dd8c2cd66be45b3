"""Pictures as Pillow writes them: a folder for each class."""

from tests.formats.cases import Case

KINDS = "folder of phones' JPEG (MPO), png with a palette, CMYK jpeg, webp, gif, bmp, tiff"
CASES = [
    Case("colours", KINDS, "classification", [((3, 8, 8), ("one",))] * 3 + [((3, 8, 8), ("two",))] * 4),
    Case(
        "deep", "folder of 16-bit png and tiff with 12-bit data", "classification",
        [((3, 8, 8), ("dark",))] * 2 + [((3, 8, 8), ("light",))] * 2,
        notes=("4 pictures have more than 8 bits a channel, with values from 0 to 4095; the largest became 15 of 255",),
    ),
]  # fmt: skip
