"""Training steps of a language model against other libraries: the same weights and tokens, in turns in one process.

First the losses and gradients of the peers that compute the same function are compared with ours; then each contestant
in turn trains on the same batch, in an order that alternates. With one thread, times are processor time of the thread,
which other work on the machine does not lengthen; with several they are seconds of the clock on a machine that should
be idle. Each step is loss, gradients, clipping and fused AdamW. All of them have the settings of our commands' own
processes: subnormal numbers are flushed, freed memory is kept. `make bench-training` also builds the peers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from record import measured, write
from sightline.core.kept_memory import keep_freed_memory
from sightline.core.processor import cpuinfo
from sightline.core.subnormals import flush_subnormals
from sightline.lab.bench.scenario import Unavailable
from sightline.lab.bench.timing import call_seconds, spread
from sightline.training.environment import has_bfloat16
from training_late import late_rows
from training_models import EQUAL, LAYERS, PEERS, WIDTH, ours
from training_steps import CPU, Batch, our_loss, our_step, random_batch, slug_of, their_step

VOCABULARY, BATCH = 8192, 8
RATE_SIZE = 2048  # of the matrix product that is the machine's rate


def check_equal(
    name: str, mine: nn.Module, theirs: nn.Module, logits_of: Callable[[Any], Tensor], batch: Batch
) -> float:
    """The largest relative difference of the loss and of the gradient of the embeddings in float32."""
    own = our_loss(mine, batch)
    (own.total / own.count).backward()
    loss = F.cross_entropy(logits_of(theirs(batch[0])).flatten(0, 1), batch[1].flatten())
    loss.backward()
    embeddings = next(part for part in theirs.modules() if isinstance(part, nn.Embedding)).weight.grad
    gradient = mine.embedding.weight.grad / WIDTH**0.5
    assert embeddings is not None
    differences = [
        float((own.total.detach() / own.count - loss.detach()).abs() / loss.detach()),
        float((gradient - embeddings).norm() / embeddings.norm()),
    ]
    for model in (mine, theirs):
        model.zero_grad(set_to_none=True)
    if max(differences) > 1e-4:
        raise SystemExit(f"{name}: loss and gradient differ from ours by {differences}: nothing is timed")
    return max(differences)


def contestants(
    length: int, modes: list[str], only: list[str]
) -> tuple[dict[str, Callable[[], None]], dict[str, float]]:
    """Steps by "name, mode", and the differences of the equality checks."""
    torch.manual_seed(0)
    batch = random_batch(VOCABULARY, BATCH, length)
    first = ours(VOCABULARY)
    steps: dict[str, Callable[[], None]] = {}
    errors: dict[str, float] = {}
    for mode in modes:
        dtype = "float32" if mode == "float32" else "bfloat16"
        own = ours(VOCABULARY)
        own.load_state_dict(first.state_dict())
        if "compiled" not in mode:
            steps[f"sightline, {mode}"] = our_step(own, dtype, batch)
        for name, (build, logits_of) in PEERS.items():
            if only and name not in only:
                continue
            try:
                theirs = build(VOCABULARY, first)
            except Unavailable as error:
                print(f"{name}: {error}")
                continue
            if name in EQUAL and name not in errors:
                errors[name] = check_equal(name, first, theirs, logits_of, batch)
            if "compiled" in mode:
                theirs.compile()  # ours has no compiled mode
            steps[f"{name}, {mode}"] = their_step(theirs, logits_of, dtype, batch)
    return steps, errors


def useful_flops(model: nn.Module, length: int) -> float:
    """Of a step: 6 for each weight and token, and attention over the pairs that a causal mask shows, thrice."""
    weights = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    pairs = length * (length + 1) / 2
    return BATCH * (6.0 * weights * length + 3 * 4.0 * WIDTH * LAYERS * pairs)


def measure(length: int, modes: list[str], pairs: int, only: list[str]) -> dict[str, Any]:
    """The row of one length."""
    steps, errors = contestants(length, modes, only)
    square = {"float32": torch.randn(RATE_SIZE, RATE_SIZE)}
    square["bfloat16"] = square["float32"].bfloat16()
    rates: dict[str, list[float]] = {dtype: [] for dtype in square}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()  # warm-up, compilation included
    for number in range(pairs):
        order = list(steps.items())
        for name, step in order[::-1] if number % 2 else order:
            times[name].append(call_seconds(step, CPU))
        for dtype, matrix in square.items():
            if dtype == "float32" or has_bfloat16(CPU):
                rates[dtype].append(2.0 * RATE_SIZE**3 / call_seconds(lambda matrix=matrix: matrix @ matrix, CPU))
    flops = useful_flops(ours(VOCABULARY), length)
    rows = []
    for name, taken in times.items():
        dtype = "float32" if name.endswith("float32") else "bfloat16"
        share = flops / median(taken) / median(rates[dtype])
        rows.append({"name": name, "tokens_per_s": round(BATCH * length / median(taken)),
                     "seconds": spread(taken), "of_limit": float(f"{share:.3g}")})  # fmt: skip
    best = {side: min((name for name in times if name.startswith("sightline") == side), key=lambda n: median(times[n]))
            for side in (True, False) if any(name.startswith("sightline") == side for name in times)}  # fmt: skip
    row: dict[str, Any] = {"length": length, "batch": BATCH, "pairs": pairs, "rows": rows, "differences": errors}
    row["gflops"] = {dtype: round(median(rate) / 1e9) for dtype, rate in rates.items() if rate}
    if len(best) == 2:
        ratio = spread([theirs / mine for mine, theirs in zip(times[best[True]], times[best[False]], strict=True)])
        row |= {"ours": best[True], "best_peer": best[False], "ratio": ratio}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="128,512,2048", help="positions; empty: only training after many steps")
    parser.add_argument("--modes", default="float32,bfloat16,bfloat16 compiled")
    parser.add_argument("--peers", default="", help="names, separated by commas; all without")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-late", action="store_true", help="leave out training after many steps")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    flush_subnormals()
    keep_freed_memory()
    processor = cpuinfo("model name") or "unknown"
    name = f"training-{slug_of(processor)}-{given.threads}.json"
    out = given.out or Path(__file__).parent / "results" / name
    results: dict[str, Any] = {"processor": processor, "threads": given.threads, "lengths": []}
    if out.exists():  # lengths that are not measured again stay
        before = json.loads(out.read_text(encoding="utf-8"))
        results |= {key: before[key] for key in ("lengths", "late") if key in before}
    modes = [mode for mode in given.modes.split(",") if mode == "float32" or has_bfloat16(CPU)]
    for length in map(int, filter(None, given.lengths.split(","))):
        row = measure(length, modes, given.pairs, [name for name in given.peers.split(",") if name])
        others = [one for one in results["lengths"] if one["length"] != length]
        results["lengths"] = sorted([*others, row], key=lambda one: one["length"])
        for one in row["rows"]:
            print(f"n {length}: {one['name']}: {one['tokens_per_s']:,} tok/s, {one['of_limit']:.0%} of the limit")
        if "ratio" in row:
            print(f"n {length}: {row['ours']} is {row['ratio']['median']:.2f} times as fast as {row['best_peer']}")
        write(out, {**results, "environment": measured()})
    if not given.no_late:
        results["late"] = late_rows(given.pairs)
        for one in results["late"]:
            print(f"{one['after']} steps: {one['kept_ms']:.1f} ms, flushed {one['flushed_ms']:.1f} ms")
        write(out, {**results, "environment": measured()})


if __name__ == "__main__":
    main()
