"""What a training step costs, and what choices about it change: AdamW's kind, bfloat16, counting FLOPs.

All variants take turns in one process, so that whatever else the machine does hits them alike; the result is the
median over rounds of each variant's time, and the median ratio to the plain step of the same round. Run as

    OMP_NUM_THREADS=1 python benchmarks/training_step.py --archs gru,bahdanau,transformer --sizes 64,128,256 > step.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from sightline.models import ARCHITECTURES
from sightline.training import cross_entropy
from sightline.training.environment import environment
from sightline.training.flops import StepFlops

Context = Callable[[], AbstractContextManager[Any]]
VARIANTS: dict[str, tuple[str, Context]] = {
    "plain": ("fused", nullcontext),
    "adamw foreach": ("foreach", nullcontext),
    "adamw loop": ("loop", nullcontext),
    "bfloat16": ("fused", lambda: torch.autocast("cpu", torch.bfloat16)),
    "counted": ("fused", lambda: StepFlops().counting(())),
}


def optimizers(model: nn.Module) -> dict[str, torch.optim.Optimizer]:
    """Three implementations of the same update."""
    return {
        "fused": torch.optim.AdamW(model.parameters(), fused=True),
        "foreach": torch.optim.AdamW(model.parameters(), foreach=True),
        "loop": torch.optim.AdamW(model.parameters(), foreach=False),
    }


def step_s(
    model: nn.Module, batch: tuple[Tensor, Tensor, Tensor], optimizer: torch.optim.Optimizer, context: Context
) -> float:
    """CPU seconds of one step: what other processes do to the clock on the wall does not count."""
    source, mask, target = batch
    began = time.process_time()
    with context():
        loss = cross_entropy(model(source, mask, target[:, :-1]), target[:, 1:])
        (loss.total / loss.count).backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.process_time() - began


def measure(arch: str, d_model: int, rounds: int) -> dict[str, Any]:
    """All variants on one model, in turns."""
    torch.manual_seed(0)
    vocabulary, rows, length = 400, 48, 24
    model = replace(ARCHITECTURES[arch], d_model=d_model).build(vocabulary, vocabulary)
    mask = torch.ones(rows, length, dtype=torch.bool)
    batch = (torch.randint(4, vocabulary, (rows, length)), mask, torch.randint(4, vocabulary, (rows, 13)))
    kinds = optimizers(model)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds + 1):
        for name, (kind, context) in VARIANTS.items():
            times[name].append(step_s(model, batch, kinds[kind], context))
    kept = {name: values[1:] for name, values in times.items()}  # the first round sets kernels up
    ratios = {name: [t / p for t, p in zip(values, kept["plain"], strict=True)] for name, values in kept.items()}
    return {
        "arch": arch,
        "d_model": d_model,
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_ms": {name: round(1e3 * median(values), 2) for name, values in kept.items()},
        "ratio": {name: round(median(values), 2) for name, values in ratios.items()},
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="gru,bahdanau,transformer")
    parser.add_argument("--sizes", default="64,128,256")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    found = [
        measure(arch, int(size), options.rounds)
        for size in options.sizes.split(",")
        for arch in options.archs.split(",")
    ]
    print(json.dumps({"schema_version": 1, "environment": environment(), "results": found}, indent=1))


if __name__ == "__main__":
    main()
