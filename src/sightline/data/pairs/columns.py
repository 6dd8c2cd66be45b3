"""The columns of the table of pairs that a model is trained on, by which other tables are read too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class PairColumns:
    """The names of columns; those of parallel files, of a file without a header and of built-in data are unknown, None.

    Those inside objects have dotted names, such as `translation.de`.
    """

    source: str | None = None
    target: str | None = None


UNKNOWN = PairColumns()
