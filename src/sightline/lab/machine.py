"""Properties and speed of this machine, measured in about two seconds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sightline.core.processes import available_cores
from sightline.core.processor import cpuinfo
from sightline.training.environment import environment, has_bfloat16, installed_version

# Distribution -> purpose. Training, decoding and comparing need none of them.
OPTIONAL = {
    "transformers": "comparison with other libraries",
    "tensorboard": "training curves in TensorBoard",
    "nvidia-ml-py": "budgets and costs in joules on an NVIDIA GPU",
    "ray": "comparisons over several machines",
    "fastapi": "serving models over HTTP",
    "playwright": "tests of reports in a browser",
}
# CPU features that determine the speed of matrix products and of bfloat16.
_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16", "sve")


def inspect_machine(directory: Path) -> dict[str, Any]:
    """Software, processor, memory, the disk of `directory`, measured speed, and advice, in plain JSON types.

    Sizes are in bytes (`_bytes`), speeds in 10⁹ floating-point operations or bytes per second (`_gflops`, `_gbps`).
    """
    present = (cpuinfo("flags") or cpuinfo("Features")).split()
    facts = {
        **{key: value for key, value in environment().items() if key not in ("command", "git_commit", "git_dirty")},
        "features": [name for name in _FEATURES if name in present],
        "granted_cores": granted_cores(),
        "bfloat16_in_hardware": has_bfloat16(torch.device("cpu")),
        "disk_free_bytes": shutil.disk_usage(directory).free,
        "optional": {name: installed_version(name) for name in OPTIONAL},
    }
    facts["speed"] = _speeds()
    facts["advice"] = advice(facts)
    return facts


def granted_cores() -> int:
    """Number of cores this process may use: its CPU affinity, limited by the container's quota."""
    cores = available_cores()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or no quota ("max")
        return cores


def advice(facts: dict[str, Any]) -> list[str]:
    """Advice on what to install, set or expect, from the facts of `inspect_machine`."""
    lines, speed, cores = [], facts["speed"], facts["granted_cores"]
    if facts["threads"] > cores:
        lines.append(f"torch uses {facts['threads']} threads on {cores} cores: set OMP_NUM_THREADS={cores}")
    elif facts["threads"] < cores:
        lines.append(
            f"torch uses {facts['threads']} of {cores} cores: unset OMP_NUM_THREADS to train one model at a time"
        )
    if facts["threads"] > 1 and speed["float32_gflops"] < 1.2 * speed["float32_one_thread_gflops"]:
        lines.append("more threads do not increase the speed: other processes are busy, or the cores are shared")
    if speed["bfloat16_gflops"] > 1.2 * max(speed["float32_gflops"], speed["float32_one_thread_gflops"]):
        lines.append("bfloat16 products are faster here: --dtype=auto uses them for models of at least 256 units")
    elif facts["bfloat16_in_hardware"]:
        lines.append("bfloat16 products are not faster here although the processor supports them: try --dtype float32")
    if facts["memory_bytes"] is not None and facts["memory_bytes"] < 4 * 2**30:
        lines.append("less than 4 GiB of memory: train one architecture at a time (--workers 1)")
    if facts["disk_free_bytes"] < 2**30:
        lines.append("less than 1 GiB of disk: checkpoints may not fit")
    return lines


def rate(run: Callable[[], object], work: float, seconds: float = 0.25) -> float:
    """Highest rate in units per second within about `seconds`, with `work` units per call of `run`."""
    run()
    best, end = 0.0, time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        run()
        best = max(best, work / (time.perf_counter() - start))
    return best


def _speeds() -> dict[str, float]:
    size, threads = 512, torch.get_num_threads()
    a, b = torch.randn(2, size, size, generator=torch.Generator().manual_seed(0))
    half_a, half_b = a.bfloat16(), b.bfloat16()
    source = torch.ones(2**23)  # 32 MiB, larger than the caches of small machines
    target = torch.empty_like(source)
    gigaflop = 2 * size**3 / 1e9
    with torch.inference_mode():
        speeds = {
            "float32_gflops": rate(lambda: a @ b, gigaflop),
            "bfloat16_gflops": rate(lambda: half_a @ half_b, gigaflop),
            "copy_gbps": rate(lambda: target.copy_(source), 2 * source.nbytes / 1e9),
        }
        try:
            torch.set_num_threads(1)
            speeds["float32_one_thread_gflops"] = rate(lambda: a @ b, gigaflop)
        finally:
            torch.set_num_threads(threads)
    return {name: round(value, 1) for name, value in speeds.items()}
