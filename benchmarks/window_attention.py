"""Attention that computes only what is seen, against torch's fused kernel with a mask.

    python benchmarks/window_attention.py
    python benchmarks/window_attention.py --pairs 21 --cases causal

Forward and backward in float32, both ways in turns in one process after a check that they agree: the median ratio of
their times with its range, and the share of the rate of a large matrix product, measured in the same run, that useful
work (pairs of a query and a key that it sees) reaches. Then how time grows with the length, and what 131,072 positions
need of memory in a process of their own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.ops import BlockMask, attention, block_pattern

HEADS, WIDTH, WINDOW = 8, 64, 256
Call = Callable[[Tensor, Tensor, Tensor], Tensor]


def inputs(batch: int, length: int) -> list[Tensor]:
    return [torch.randn(batch, HEADS, length, WIDTH, requires_grad=True) for _ in range(3)]


def run(call: Call, given: list[Tensor]) -> list[Tensor]:
    y = call(*given)
    return [y.detach(), *torch.autograd.grad(y.sum(), given)]


def seconds(call: Call, given: list[Tensor]) -> float:
    began = time.perf_counter()
    run(call, given)
    return time.perf_counter() - began


def product_rate() -> float:
    """Multiply-adds of a 2048³ product in a second, times two."""
    a, b = torch.randn(2, 2048, 2048)
    began = time.perf_counter()
    a @ b
    return 2 * 2048**3 / (time.perf_counter() - began)


def visible(length: int, causal: bool, window: int | None, blocks: BlockMask | None) -> Tensor:
    at = torch.arange(length)
    seen = torch.ones(length, length, dtype=torch.bool)
    if causal:
        seen = seen.tril_()
    if window is not None:
        seen &= (at.unsqueeze(1) - at).abs() < window
    if blocks is not None:
        seen &= blocks.visible[at.unsqueeze(1) // blocks.size, at // blocks.size]
    return seen


def compare(name: str, batch: int, length: int, pairs: int, **options: object) -> None:
    """One line: our time, the ratio to the kernel's with a mask, or causal where nothing else is asked for."""
    given = inputs(batch, length)
    seen = visible(length, options["causal"], options.get("window"), options.get("blocks"))
    if set(options) == {"causal"}:
        theirs = partial(F.scaled_dot_product_attention, is_causal=True)
    else:  # as numbers, which the kernel adds as they are; of bool it makes numbers first, every time
        theirs = partial(F.scaled_dot_product_attention, attn_mask=torch.zeros(seen.shape).masked_fill_(~seen, -1e30))
    ours = partial(attention, **options)
    for found, expected in zip(run(ours, given), run(theirs, given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    useful = 3.5 * 4 * batch * HEADS * WIDTH * int(seen.sum())
    ratios, own, rates = [], [], []
    for pair in range(pairs):
        times = {}
        for which in (ours, theirs) if pair % 2 else (theirs, ours):
            times[which] = seconds(which, given)
        rates.append(product_rate())
        own.append(times[ours])
        ratios.append(times[theirs] / times[ours])
    share = useful / median(own) / median(rates)
    print(f"{name:24s} {batch:3d} {length:6d}  {1e3 * median(own):9.1f}  "
          f"{median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f})  {share:5.0%}", flush=True)  # fmt: skip


def growth(short: int, long: int, pairs: int) -> None:
    ours = partial(attention, causal=True, window=WINDOW)
    first, second = inputs(1, short), inputs(1, long)
    run(ours, first), run(ours, second)
    ratios = [seconds(ours, second) / seconds(ours, first) for _ in range(pairs)]
    print(f"time at {long} over time at {short} positions: "
          f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)  # fmt: skip


def peak(length: int) -> None:
    """Mebibytes that the process needed at most for one forward and backward pass."""
    run(partial(attention, causal=True, window=WINDOW), inputs(1, length))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="causal,window,blocks,growth,memory")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.peak:
        peak(options.peak)
        return
    cases, pairs, few = options.cases.split(","), options.pairs, max(3, options.pairs // 4)
    print(f"{torch.get_num_threads()} threads, {HEADS} heads of {WIDTH}, window {WINDOW}")
    print("what                       B      T   ours, ms  theirs / ours (least to most)  share of a product's rate")
    if "causal" in cases:
        for batch, length in ((32, 128), (16, 256), (8, 512), (4, 1024), (1, 4096)):
            compare("causal", batch, length, pairs, causal=True)
    if "window" in cases:
        compare("window", 1, 4096, pairs, causal=True, window=WINDOW)
        compare("window", 1, 16384, few, causal=True, window=WINDOW)
        compare("window, both sides", 1, 4096, pairs, causal=False, window=WINDOW)
    if "blocks" in cases:
        for causal in (True, False):
            for name, length in (("bigbird", 4096), ("longformer", 4096), ("bigbird", 8192)):
                blocks = BlockMask(block_pattern(name, length // 64, causal=causal), 64)
                kind = f"{name}, {'causal' if causal else 'both sides'}"
                compare(kind, 1, length, pairs if length < 8192 else few, causal=causal, blocks=blocks)
    if "growth" in cases:
        growth(8192, 32768, few)
    if "memory" in cases:
        command = [sys.executable, __file__, "--peak", "131072"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"131072 positions, forward and backward: {int(done.stdout)} MiB at most")


if __name__ == "__main__":
    main()
