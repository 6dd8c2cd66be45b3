"""The columns of the table that a model is trained on, by which other tables are read too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class LabelledColumns:
    """The names of columns; those of a folder, an archive of series or built-in data are unknown.

    label: of the labels, None = unknown
    sources: of the sources, in order; () = unknown
    split: of the parts, which are no source; None = there is none
    """

    label: str | None = None
    sources: tuple[str, ...] = ()
    split: str | None = None

    def sources_in(self, names: Collection[str], others: Collection[str | None]) -> tuple[str, ...]:
        """The columns of the sources in a table with these columns; () where they are derived as for training.

        One column is derived where the table has none of its name. Several are read by name, so that their order does
        not matter and a missing one is seen, unless all are missing and a single column is left, one of lists.

        others: columns that are no source
        """
        if len(self.sources) < 2:
            return tuple(name for name in self.sources if name in names)
        if any(name in names for name in self.sources) or len([name for name in names if name not in others]) != 1:
            return self.sources
        return ()


UNKNOWN = LabelledColumns()
