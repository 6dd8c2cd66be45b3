"""Hardware limits measured alongside the benchmarks: matrix products and copies."""

from __future__ import annotations

from statistics import median
from typing import final

import torch

from sightline.lab.bench.timing import seconds


@final
class Limits:
    """Rates of a float32 matrix product and of a copy larger than the caches, sampled on `device` during a run."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        size, items = (8192, 2**28) if device.type == "cuda" else (1024, 2**25)
        self._left, self._right = torch.randn(2, size, size, device=device)
        self._product = torch.empty_like(self._left)
        self._source = torch.ones(items, device=device)
        self._target = torch.empty_like(self._source)
        self._products: list[float] = []
        self._copies: list[float] = []
        self.sample(keep=False)

    def sample(self, *, keep: bool = True) -> None:
        """Measure both rates once."""
        product_s = seconds(lambda: torch.mm(self._left, self._right, out=self._product), self.device)
        copy_s = seconds(lambda: self._target.copy_(self._source), self.device)
        if keep:
            self._products.append(2 * len(self._left) ** 3 / product_s)
            self._copies.append(2 * self._source.nbytes / copy_s)

    @property
    def flops_per_s(self) -> float:
        """Median rate of products; a multiplication and an addition count as two operations."""
        return median(self._products)

    @property
    def bytes_per_s(self) -> float:
        """Median rate of copies, counting both reads and writes."""
        return median(self._copies)
