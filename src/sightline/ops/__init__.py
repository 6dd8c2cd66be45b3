"""Functions on tensors, without parameters: the mathematics that mixers share."""

from sightline.ops.block_patterns import block_pattern
from sightline.ops.pattern import BlockMask
from sightline.ops.softmax import attention

__all__ = ["BlockMask", "attention", "block_pattern"]
