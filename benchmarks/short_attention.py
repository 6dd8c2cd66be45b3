"""Does the CPU's fused attention gain from bfloat16 at the lengths of sentences?

    python benchmarks/short_attention.py

Forward and backward of torch's scaled_dot_product_attention in float32 and bfloat16, interleaved in one process with
one thread, after a check that both agree; the median ratio of 11 pairs with its range.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

SHAPES = ((64, 4, 18, 16), (128, 4, 16, 64), (64, 4, 64, 64), (32, 4, 128, 64), (16, 4, 256, 64), (8, 4, 512, 64))
PAIRS = 11


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print("   B  H    T   K  bfloat16 / float32: median (least to most)")
    for shape in SHAPES:
        batch, heads, length, width = shape
        narrow = [torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
        wide = [x.detach().float().requires_grad_() for x in narrow]

        def run(inputs: list[torch.Tensor]) -> torch.Tensor:
            y = F.scaled_dot_product_attention(*inputs, is_causal=True)
            y.sum().backward()
            return y.detach()

        torch.testing.assert_close(run(narrow).float(), run(wide), rtol=2e-2, atol=2e-2)
        ratios = []
        for pair in range(PAIRS):
            order = (narrow, wide) if pair % 2 else (wide, narrow)
            times = {id(inputs): seconds(lambda inputs=inputs: run(inputs)) for inputs in order}
            ratios.append(times[id(narrow)] / times[id(wide)])
        ratios.sort()
        print(f"{batch:4d} {heads:2d} {length:4d} {width:3d}  "
              f"{ratios[PAIRS // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
