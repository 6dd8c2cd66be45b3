"""Modules of the tests in several processes, started by torchrun on a free port of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


def started(module: str, *arguments: str, processes: int = 2) -> subprocess.Popen[str]:
    """torchrun itself, which ends when its processes have; of one process, that process."""
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, *(several if processes > 1 else []), "-m", module, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for it; what it and its processes wrote to stderr."""
    try:
        return process.communicate(timeout=2 * PATIENCE_S)[1]
    finally:
        process.kill()
