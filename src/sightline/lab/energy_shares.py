"""Shares of a machine's energy: at every moment an equal one for each job that runs on it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final


@final
class EnergyShares:
    """The mean share of each job over its time. Jobs are known by their directories."""

    def __init__(self) -> None:
        self._seconds: dict[Path, tuple[float, float]] = {}  # all of a job, and its shares of them

    def count(self, running: Sequence[Path], seconds: float, machines: int = 1) -> None:
        """Count `seconds` in which these jobs ran, over all machines equally as far as is known here."""
        together = max(1.0, len(running) / machines)
        for job in running:
            whole, own = self._seconds.get(job, (0.0, 0.0))
            self._seconds[job] = whole + seconds, own + seconds / together

    def of(self, job: Path) -> float:
        """The share of a job that has ended, which is forgotten; all of a job that took no time."""
        whole, own = self._seconds.pop(job, (0.0, 0.0))
        return own / whole if whole > 0 else 1.0
