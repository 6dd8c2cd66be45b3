"""Peak memory of a call, counted from its tensors: the same number on every run and machine.

`lab.bench.memory` reads what the process takes from the system, in a process of its own: that includes scratch space
inside kernels, in steps of pages. This module counts the storages that calls of kernels return and that are alive at
the same time. Scratch space inside a kernel does not count.
"""

from __future__ import annotations

import weakref
from typing import Any, final

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@final
class LiveMemory(TorchDispatchMode):
    """Counts the bytes of storages made inside the block: `peak_bytes`, and `live_bytes` now."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = self.live_bytes = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        inputs = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(results):
            if isinstance(tensor, Tensor):
                self._count(tensor, inputs)
        return results

    def _count(self, tensor: Tensor, inputs: set[int]) -> None:
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address in inputs or address in self._alive or size == 0:
            return
        self._alive[address] = size
        self.live_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        weakref.finalize(storage, self._release, address)

    def _release(self, address: int) -> None:
        self.live_bytes -= self._alive.pop(address, 0)
