"""Out of memory: an error that names a size of batches that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.errors import EnvironmentFault
from sightline.data.batches import Batches
from sightline.training.shares import Share


@final
class MemoryGuard:
    """Watches the steps of a training, and remembers the largest batch that fitted."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.largest = 0  # numbers in a batch

    @contextmanager
    def step(self, number: int, batch: Any, rescue: Callable[[], None]) -> Iterator[None]:
        """A step on `batch`; calls `rescue`, to free memory and save the state, before it raises.

        Raises:
            EnvironmentFault: "step 12: out of memory on a batch of 64×31; --batch-tokens 512 fitted earlier, or use a
                smaller model".
        """
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)):
                raise
            rescue()
            raise EnvironmentFault(f"step {number}: {self._advice(batch)}") from error
        self.largest = max(self.largest, _numbers(batch))

    def _advice(self, batch: Any) -> str:
        shown = batch.pieces[0].batch if isinstance(batch, Share) else batch
        sizes = " and ".join("×".join(map(str, f.shape)) for f in shown if isinstance(f, Tensor) and f.dim() > 1)
        key, size = self.batches.size_key
        fitting = int(size * min(self.largest / max(_numbers(batch), 1), 0.5))  # at most half, and at least 1
        flag = f"--{key.replace('_', '-')} {max(1, fitting or size // 2)}"
        advice = f"{flag} fitted earlier, or use a smaller model" if self.largest else f"try {flag} or a smaller model"
        return f"out of memory on a batch of {sizes}; {advice}"


def _numbers(batch: Any) -> int:
    """The numbers in the batch's tensors, a measure of the memory that a step needs."""
    if isinstance(batch, Share):
        return max(_numbers(piece.batch) for piece in batch.pieces)
    return sum(field.numel() for field in batch if isinstance(field, Tensor))
