"""Help on architectures, from the table of their names."""

from __future__ import annotations

from sightline.tasks.names import ARCHITECTURES_OF

ARCHITECTURES = tuple(dict.fromkeys(name for names in ARCHITECTURES_OF.values() for name in names))
ARCH_HELP = (
    f"Architecture: {', '.join(ARCHITECTURES)}. Not all of them fit every task. Default: an LSTM for running text, "
    "DLinear for forecasting, a GRU for labelled series, otherwise a Transformer."
)
