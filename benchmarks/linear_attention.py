"""From which length on is linear attention faster than causal softmax attention?

    python benchmarks/linear_attention.py

Forward and backward of `sightline.ops.linear_attention` in each of its forms and of torch's causal
scaled_dot_product_attention on the same tensors (float32, one row, 8 heads of 64), interleaved in one process with all
cores, after a check of outputs and gradients against one position after another in float64; the median of the paired
ratios with its range.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from sightline.ops import linear_attention
from sightline.ops.linear import stepwise_linear_attention

HEADS, WIDTH = 8, 64
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
PAIRS = 11
CHECKED = 200  # positions, which are no whole number of chunks

Run = Callable[[], torch.Tensor]


def inputs(form: str, length: int) -> dict[str, torch.Tensor]:
    """Arguments of `linear_attention` in one of its forms; those that models learn through record gradients."""
    q, k, v = torch.randn(3, 1, HEADS, length, WIDTH)
    named = {"q": q, "k": k, "v": v}
    if form == "normalised":
        named |= {"q": F.elu(q) + 1, "k": F.elu(k) + 1}
    if form.startswith("delta"):
        named |= {"k": F.normalize(k, dim=3), "beta": torch.rand(1, HEADS, length)}
    shapes = {"position": (1, HEADS, length), "channel": (1, HEADS, length, WIDTH)}
    if form.split()[-1] in shapes:
        named["decay"] = -0.1 * torch.rand(shapes[form.split()[-1]])
    named = {name: x.requires_grad_() for name, x in named.items()}
    if form == "constant":
        named["decay"] = torch.log1p(-torch.exp2(-5.0 - torch.arange(HEADS)))
    return named


FORMS = ("normalised", "constant", "position", "channel", "delta", "delta position")


def check(form: str) -> None:
    """Outputs and gradients against the plain form in float64."""
    narrow = inputs(form, CHECKED)
    wide = {name: x.detach().double().requires_grad_(x.requires_grad) for name, x in narrow.items()}
    found = []
    for function, named in ((linear_attention, narrow), (stepwise_linear_attention, wide)):
        y, _ = function(**named, normaliser=form == "normalised")
        gradients = torch.autograd.grad(y.square().sum(), [x for x in named.values() if x.requires_grad])
        found.append([y.detach().double(), *(g.double() for g in gradients)])
    for a, b in zip(*found, strict=True):
        if not (a - b).norm() <= 1e-5 * b.norm():
            raise SystemExit(f"{form} is not equal to its plain form: {(a - b).norm() / b.norm():.1e}")


def seconds(run: Run, named: dict[str, torch.Tensor]) -> float:
    for x in named.values():
        x.grad = None
    began = time.perf_counter()
    y = run()
    y.backward(torch.ones_like(y))
    return time.perf_counter() - began


def ratios(form: str, length: int) -> tuple[list[float], float]:
    """SDPA's time over ours, pair by pair, and our median time."""
    named = inputs(form, length)

    def ours() -> torch.Tensor:
        return linear_attention(**named, normaliser=form == "normalised")[0]

    def theirs() -> torch.Tensor:
        return F.scaled_dot_product_attention(named["q"], named["k"], named["v"], is_causal=True)

    found, own = [], []
    for pair in range(-1, PAIRS):
        order = (ours, theirs) if pair % 2 else (theirs, ours)
        times = {run: seconds(run, named) for run in order}
        if pair >= 0:  # the first one warms up
            found.append(times[theirs] / times[ours])
            own.append(times[ours])
    return sorted(found), sorted(own)[PAIRS // 2]


def main() -> None:
    torch.manual_seed(0)
    print(f"{torch.get_num_threads()} threads; times faster than causal SDPA: median (least to most), milliseconds")
    for form in FORMS:
        check(form)
        for length in LENGTHS:
            found, own = ratios(form, length)
            print(f"{form:15s} {length:5d}  {found[PAIRS // 2]:5.2f} ({found[0]:.2f} to {found[-1]:.2f})  "
                  f"{1e3 * own:7.1f} ms", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
