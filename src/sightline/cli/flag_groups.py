"""Groups of flags that several commands share, as dataclasses whose docstrings are the help."""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

from cyclopts import Parameter

C = TypeVar("C")


def joined_lines(documented: object) -> str:
    """The docstring without the line breaks of the source inside paragraphs and descriptions."""
    return re.sub(r"(?<=\S)\n(?: {8})?(?=\S)", " ", inspect.getdoc(documented) or "")


def flag_group(cls: type[C]) -> type[C]:
    """A dataclass each of whose fields is a flag, described under `Args` in its docstring."""
    cls.__doc__ = joined_lines(cls)
    return Parameter(name="*")(cls)
