"""Functions on tensors, without parameters: the mathematics that mixers share."""

from __future__ import annotations

from sightline.ops.linear import LinearState, linear_attention

__all__ = ["LinearState", "linear_attention"]
