"""Labelled series as aeon writes them."""

import aeon
import numpy
from aeon.datasets import save_to_ts_file

VERSION = f"aeon {aeon.__version__}"
SERIES = numpy.arange(24).reshape(3, 2, 4) / 4  # 3 series of 2 dimensions and 4 steps


def write(series, labels):
    """A writer of these series."""
    return lambda path: save_to_ts_file(
        series, numpy.array(labels), label_type="classification", path=str(path.parent), problem_name=path.stem
    )


FILES = {
    "two.ts": write(SERIES, ["up", "down", "up"]),
    "one.ts": write(SERIES[:, :1], [1, 2, 1]),
    "unequal.ts": write([numpy.ones((1, 3)), numpy.ones((1, 5))], ["a", "b"]),
}
