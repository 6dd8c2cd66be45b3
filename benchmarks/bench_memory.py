"""Peak memory of a training step of the language model of `bench_training.py`, ours and other libraries'.

Each contestant takes one step in a process of its own: loss, gradients, clipping and fused AdamW, on a batch of 8 rows.
The number is the rise of the process's resident high-water mark above what it had with weights and batch (`sightline
bench` measures memory in the same way), so it contains gradients and the optimizer's averages. All have the settings
of our commands' own processes. `make bench-memory` also builds the peers. Other work on the machine does not matter.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from record import measured, write
from sightline.core.kept_memory import keep_freed_memory
from sightline.core.processes import CallFailed, in_child
from sightline.core.processor import cpuinfo
from sightline.core.subnormals import flush_subnormals
from sightline.lab.bench.memory import peak_bytes
from sightline.lab.bench.scenario import Unavailable
from sightline.training.environment import has_bfloat16
from training_models import PEERS, ours
from training_steps import CPU, our_step, random_batch, slug_of, their_step

VOCABULARY, BATCH = 8192, 8
OURS = "sightline"


def first_step(name: str, dtype: str, length: int, vocabulary: int = VOCABULARY) -> Callable[[], None]:
    """The step of a contestant, with weights and batch in memory and nothing else."""
    torch.manual_seed(0)
    batch = random_batch(vocabulary, BATCH, length)
    model = ours(vocabulary)
    if name == OURS:
        return our_step(model, dtype, batch)
    build, logits_of = PEERS[name]
    return their_step(build(vocabulary, model), logits_of, dtype, batch)


def weigh(name: str, dtype: str, length: int) -> int | None:
    """Peak bytes of the first step of a contestant; called in a process of its own."""
    torch.set_num_threads(1)
    flush_subnormals()
    first_step(name, dtype, 16, vocabulary=64)()  # else its peak would contain what a first call imports
    step = first_step(name, dtype, length)
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's: what building left free must not hide a rise
    if trim is not None:
        trim(0)
    keep_freed_memory()

    def run() -> tuple[()]:
        step()
        return ()

    return peak_bytes(run, CPU)


def measure(dtype: str, length: int) -> dict[str, Any]:
    """The row of one precision and length."""
    row: dict[str, Any] = {"length": length, "batch": BATCH, "dtype": dtype, "peak_bytes": {}}
    for name in (OURS, *PEERS):
        try:
            size = in_child(weigh, name, dtype, length, passing=(Unavailable,), preload=["bench_memory"])
        except (Unavailable, CallFailed) as error:
            print(f"{name}: {error}")
            continue
        row["peak_bytes"][name] = size
    return row | verdict(row)


def verdict(row: dict[str, Any]) -> dict[str, Any]:
    """The peer that needs least, and whether ours needs no more; nothing where one side is missing."""
    sizes = {name: size for name, size in row["peak_bytes"].items() if size}
    peers = {name: size for name, size in sizes.items() if name != OURS}
    if OURS not in sizes or not peers:
        return {}
    least = min(peers, key=lambda name: peers[name])
    return {"best_peer": least, "ratio": float(f"{sizes[OURS] / peers[least]:.4g}"), "met": sizes[OURS] <= peers[least]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="128,512,2048", help="positions, separated by commas")
    parser.add_argument("--modes", default="float32,bfloat16")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    processor = cpuinfo("model name") or "unknown"
    out = given.out or Path(__file__).parent / "results" / f"memory-{slug_of(processor)}.json"
    rows: list[dict[str, Any]] = []
    if out.exists():  # lengths that are not measured again stay
        rows = json.loads(out.read_text(encoding="utf-8"))["results"]
    modes = [mode for mode in given.modes.split(",") if mode == "float32" or has_bfloat16(CPU)]
    for length in map(int, given.lengths.split(",")):
        for dtype in modes:
            row = measure(dtype, length)
            sizes = (f"{name} {(size or 0) / 2**20:,.0f} MiB" for name, size in row["peak_bytes"].items())
            print(f"n {length}, {dtype}: {', '.join(sizes)}", flush=True)
            rows = [one for one in rows if (one["length"], one["dtype"]) != (length, dtype)] + [row]
            rows.sort(key=lambda one: (one["length"], one["dtype"] != "float32"))
            write(out, {"processor": processor, "results": rows, "environment": measured()})


if __name__ == "__main__":
    from bench_memory import main as program  # a child imports `weigh` by this name, not from the program itself

    program()
