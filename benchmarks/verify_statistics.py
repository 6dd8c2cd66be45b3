"""Attention statistics of 100,000 tokens, without the matrix of 10 billion weights, in bounded memory.

    python benchmarks/verify_statistics.py --tokens 100000
    make verify-statistics

First the statistics of 2,000 tokens are compared with those of the whole matrix. Then those of one causal head over all
tokens are computed; the largest tensor of any operation, and the memory that the process needed more, must be at most
what is linear in the tokens. The weights of the last query are checked against all keys at once. Exit status 5 if
something does not hold. About two minutes on one core.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sightline.inspect.statistics import KEYS, QUERIES, attention_statistics

WIDTH, TOP = 16, 8
MOST_MB = 500  # 10 billion weights in float32 are 40,000 MB


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            self.numel = max(self.numel, part.numel() if isinstance(part, torch.Tensor) else 0)
        return result


def peak_mb() -> float:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gap_at(length: int) -> float:
    """The largest difference of any statistic from that of the whole matrix, in float64."""
    q, k = (torch.randn(1, 1, length, WIDTH, dtype=torch.float64) for _ in range(2))
    logits = (q @ k.mT / WIDTH**0.5).masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -torch.inf)
    weights = logits.softmax(3)
    found = attention_statistics(q, k, top=1)
    by_distance = torch.stack([weights.diagonal(-d, 2, 3).sum(2) for d in range(length)], 2) / length
    pairs = [
        (found.entropy, -torch.xlogy(weights, weights).sum(3)), (found.largest, weights.amax(3)),
        (found.logsumexp, logits.logsumexp(3)), (found.by_distance, by_distance),
        (found.top_weights, weights.amax(3, keepdim=True)),
    ]  # fmt: skip
    return max(float((one - other).abs().max()) for one, other in pairs if one is not None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=100_000)
    length = parser.parse_args().tokens
    torch.manual_seed(0)
    gap = gap_at(2000)
    print(f"2,000 tokens: largest difference from the whole matrix {gap:.1e}")
    q, k = (torch.randn(1, 1, length, WIDTH) for _ in range(2))
    before, began = peak_mb(), time.process_time()
    with Largest() as largest:
        found = attention_statistics(q, k, top=TOP)
    used, seconds = peak_mb() - before, time.process_time() - began
    bound = max(QUERIES * KEYS, length * max(TOP, WIDTH))
    print(f"{length:,} tokens: {seconds:.0f} s, {used:.0f} MB more; largest tensor {largest.numel:,}, bound {bound:,}")
    last = (q[0, 0, -1].double() @ k[0, 0].double().mT / WIDTH**0.5).softmax(0)
    of_last = abs(float(found.entropy[0, 0, -1]) + float(torch.xlogy(last, last).sum()))
    same = found.top_keys[0, 0, -1].tolist() == last.topk(TOP).indices.tolist()
    assert found.by_distance is not None
    total = float(found.by_distance.sum())
    print(f"last query: entropy off by {of_last:.1e} nats, heaviest keys {'the same' if same else 'others'}")
    print(f"weights by distance add up to {total:.6f}")
    holds = gap < 1e-10 and largest.numel <= bound and used <= MOST_MB and of_last < 1e-4 and same
    return 0 if holds and abs(total - 1) < 1e-3 else 5


if __name__ == "__main__":
    sys.exit(main())
