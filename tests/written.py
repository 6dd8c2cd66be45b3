"""How much memory an operation takes for its result."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Written(TorchDispatchMode):
    """The most numbers that one operation wrote to memory of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, operation, types, given=(), named=None):
        result = operation(*given, **(named or {}))
        lent = {x.untyped_storage().data_ptr() for x in given if isinstance(x, torch.Tensor)}
        for x in result if isinstance(result, tuple) else (result,):
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in lent:
                self.most = max(self.most, x.numel())
        return result
