"""Peak memory of a call beyond the memory in use before it."""

from __future__ import annotations

from pathlib import Path

import torch

from sightline.core.processes import peak_memory_bytes
from sightline.lab.bench.scenario import Computation
from sightline.lab.bench.timing import synchronize


def peak_bytes(run: Computation, device: torch.device) -> int | None:
    """Peak bytes of the first call of `run`, without its inputs; None if the system does not report them.

    On a CPU: the rise of the process's resident high-water mark. Imports may have raised that mark above the current
    resident size, so ballast is allocated until both are equal. Call this once, in a separate process. On CUDA: the
    allocator's peak.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    resident, mark = _resident_bytes(), peak_memory_bytes()
    if resident is None or mark is None:
        return None
    ballast = torch.ones(max(0, mark - resident) // 4 + 1)  # kept until the end
    before = peak_memory_bytes() or mark
    run()
    del ballast
    return max(0, (peak_memory_bytes() or before) - before)


def _resident_bytes() -> int | None:
    try:
        import resource

        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ImportError):
        return None
