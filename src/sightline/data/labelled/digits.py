"""`builtin:digits`: 1,797 handwritten digits of 8 × 8 pixels in 17 greys, which scikit-learn carries with it.

The test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998). `as=image` gives
pictures, `as=rows` series of 8 steps with 8 channels, `as=pixels` series of 64 steps with one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.data.labelled.table import LabelledTable, Source

NAME = "builtin:digits"
FORMS = ("image", "rows", "pixels")
_GREYS = 16  # the largest value of a pixel


def digits(query: str) -> tuple[LabelledTable, int]:
    """All digits in one table, and the seed that divides them, for the part after `?`.

    Raises:
        InputError: "builtin:digits: unknown option …", "builtin:digits: as must be image, rows or pixels, found 'row'".
    """
    from sklearn.datasets import load_digits

    options = {"as": "image", "seed": "0"}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in options:
            near = nearest(key, options)
            hint = f" (did you mean {near!r}?)" if near else f"; choose from {', '.join(options)}"
            raise InputError(f"unknown option {key!r}{hint}", where=NAME)
        options[key] = value
    form, seed = options["as"], options["seed"]
    if form not in FORMS:
        raise InputError(f"as must be image, rows or pixels, found {form!r}", where=NAME)
    if not (seed.isascii() and seed.isdigit() and int(seed[:20]) < 2**63 and len(seed) < 20):
        raise InputError(f"seed must be between 0 and {2**63 - 1}, found {seed!r}", where=NAME)
    found: Any = load_digits()
    values, labels = np.asarray(found.data), found.target  # (1797, 64), (1797,)
    if form == "image":
        sources: list[Source] = list(np.rint(values * (255 / _GREYS)).astype(np.uint8).reshape(-1, 1, 8, 8))
    else:
        sources = list((values / _GREYS).astype(np.float32).reshape(-1, *((8, 8) if form == "rows" else (64, 1))))
    return LabelledTable(
        NAME,
        "image" if form == "image" else "series",
        sources=sources,
        labels=[(str(label),) for label in labels],
        places=[f"{NAME}: digit {number}" for number in range(1, len(sources) + 1)],
    ), int(seed)
