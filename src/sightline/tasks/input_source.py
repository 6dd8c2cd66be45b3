"""The kinds of inputs of a task."""

from __future__ import annotations

from typing import Literal, TypeAlias

InputSource: TypeAlias = Literal["text", "series", "audio", "image", "table"]
