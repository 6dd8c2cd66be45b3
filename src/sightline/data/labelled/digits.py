"""`builtin:digits`: 1,797 handwritten digits of 8 × 8 pixels in 17 greys, from scikit-learn.

The test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998). `as=image` gives
pictures, `as=rows` series of 8 steps with 8 channels, `as=pixels` series of 64 steps with one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.core.errors import InputError
from sightline.data.builtin import parse_options, parse_seed
from sightline.data.labelled.table import LabelledSource, LabelledTable

NAME = "builtin:digits"
FORMS = ("image", "rows", "pixels")
_GREYS = 16  # the largest value of a pixel


def digits(query: str) -> tuple[LabelledTable, int]:
    """All digits in one table, and the seed that divides them, for the options after `?`.

    Raises:
        InputError: "builtin:digits: unknown option …", "builtin:digits: as must be image, rows or pixels, found 'row'".
    """
    from sklearn.datasets import load_digits

    options = parse_options(query, ("as", "seed"), NAME)
    form, seed = options.get("as", "image"), parse_seed(options, NAME)
    if form not in FORMS:
        raise InputError(f"as must be image, rows or pixels, found {form!r}", where=NAME)
    bunch: Any = load_digits()
    values, labels = np.asarray(bunch.data), bunch.target  # (1797, 64), (1797,)
    if form == "image":
        sources: list[LabelledSource] = list(np.rint(values * (255 / _GREYS)).astype(np.uint8).reshape(-1, 1, 8, 8))
    else:
        sources = list((values / _GREYS).astype(np.float32).reshape(-1, *((8, 8) if form == "rows" else (64, 1))))
    return LabelledTable(
        NAME,
        "image" if form == "image" else "series",
        sources=sources,
        labels=[(str(label),) for label in labels],
        places=[f"{NAME}: digit {number}" for number in range(1, len(sources) + 1)],
    ), seed
