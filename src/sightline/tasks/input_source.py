"""What an input of a task may be."""

from __future__ import annotations

from typing import Literal, TypeAlias

InputSource: TypeAlias = Literal["text", "series", "audio", "image", "table"]
