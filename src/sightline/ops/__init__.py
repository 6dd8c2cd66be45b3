"""Functions on tensors, without parameters: the mathematics that mixers share."""
