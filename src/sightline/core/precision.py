"""The precisions of a model's products when it predicts. Imports no torch: the help of commands lists them."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bf16", "int8"]
