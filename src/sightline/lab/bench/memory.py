"""The most memory that a call needs beyond what stood before it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from sightline.lab.bench.scenario import Run
from sightline.lab.bench.timing import synchronize


def peak_bytes(run: Run, device: torch.device) -> int | None:
    """Bytes that the first call of `run` needs at its peak, inputs apart; None where the system does not tell.

    On a CPU: how far the process's resident high-water mark rises. Importing may have lifted that mark above what is
    resident now, so pages are touched and held until both are equal. Call it once, in a process of its own. On CUDA:
    the allocator's peak.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    resident, mark = _resident_bytes(), _high_water_bytes()
    if resident is None or mark is None:
        return None
    ballast = torch.ones(max(0, mark - resident) // 4 + 1)  # held until the end
    before = _high_water_bytes() or mark
    run()
    del ballast
    return max(0, (_high_water_bytes() or before) - before)


def _resident_bytes() -> int | None:
    try:
        import resource

        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ImportError):
        return None


def _high_water_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
