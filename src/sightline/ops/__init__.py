"""Functions on tensors, without parameters: the mathematics that mixers share."""

from __future__ import annotations

from sightline.ops.block_patterns import BlockLayout, BlockMask, block_pattern
from sightline.ops.linear import LinearState, linear_attention
from sightline.ops.softmax import attention

__all__ = ["BlockLayout", "BlockMask", "LinearState", "attention", "block_pattern", "linear_attention"]
