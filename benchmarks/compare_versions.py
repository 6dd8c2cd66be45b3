"""Training steps and decoding of two versions of the package, paired: `python benchmarks/compare_versions.py OLD NEW`.

OLD and NEW are source trees (`git worktree add ../old COMMIT`). Each runs in a process of its own with one thread; the
two take turns, and every turn is timed in the process's own CPU time. Prints for each case the ratio NEW / OLD: the
median of the pairs and their quartiles. Losses and outputs must be equal, else the case is not timed.

Where a process's memory lies decides how many pages each step faults in: one version came out 19 % slower than itself.
So freed memory is kept, every case has processes of its own, and these are started several times.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "translation, bahdanau": {"data": "builtin:dates?size=2000", "arch": "bahdanau"},
    "translation, transformer": {"data": "builtin:dates?size=2000", "arch": "transformer"},
    "classification, lstm": {"task": "classification", "data": "builtin:parity?size=2000", "arch": "lstm"},
    "language, gated_linear": {"task": "language", "data": "builtin:stdlib", "limit": 40, "arch": "gated_linear",
                               "tokenizer.kind": "byte"},
    "forecasting, transformer": {"data": "builtin:seasonal?length=2000", "arch": "transformer"},
}  # fmt: skip
STEPS, DECODED, REPEATED, WARM = 6, 8, 3, 2
STARTS = 4  # of the processes of a case
STEADY = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "-1",  # freed memory stays with the process
    "MALLOC_MMAP_THRESHOLD_": str(2**30),  # and large tensors come out of it
}


def worker(case: str) -> None:
    """Reads a kind of turn from each line; answers with CPU seconds and a check."""
    import torch

    from sightline.tasks.recipe import resolve_run
    from sightline.tasks.table import task_class

    torch.set_num_threads(1)
    run = resolve_run(file=None, environ={}, flags=CASES[case])
    kind = task_class(run.task)
    data = kind.load_data(run)
    task: Any = kind.build(data, run)
    turns: dict[str, Callable[[], Any]] = {"train": training(task, data)}
    if kind.accepts_decoding:
        turns["decode"] = decoding(task, data)
    print(json.dumps(list(turns)), flush=True)
    for line in sys.stdin:
        torch.manual_seed(0)
        began = time.process_time()
        check = turns[json.loads(line)]()
        print(json.dumps([time.process_time() - began, check]), flush=True)


def training(task: Any, data: Any) -> Callable[[], Any]:
    """Some steps over the same batches; the last loss."""
    import torch

    batches = [batch for batch, _ in islice(task.batches(data.train, seed=0).stream(), STEPS)]
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-3)

    def turn() -> float:
        task.model.train()
        for batch in batches:
            loss = task.loss(task.model, batch)
            optimizer.zero_grad()
            (loss.total / loss.count).backward()
            optimizer.step()
        return float(loss.nll)

    return turn


def decoding(task: Any, data: Any) -> Callable[[], Any]:
    """Greedy outputs of some inputs, some times over, by weights that training turns change alike in both versions."""
    part = data.test
    inputs = part.sources[:DECODED] if hasattr(part, "sources") else ["def ", "import ", "class ", "return "]

    return lambda: [[str(output) for output in task.predict(inputs)] for _ in range(REPEATED)]


class Worker:
    """One case by the sources of a tree, in a process."""

    def __init__(self, tree: Path, case: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **STEADY, "PYTHONPATH": str((tree / "src").resolve())},
        )
        self.turns = self.read()

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def turn(self, kind: str) -> tuple[float, Any]:
        """CPU seconds, and what must be equal."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(kind) + "\n")
        self.process.stdin.flush()
        seconds, check = self.read()
        return seconds, check


class Different(Exception):
    """The two versions' results."""


def ratios(trees: list[Path], case: str, pairs: int) -> dict[str, list[float]]:
    """NEW / OLD for each kind of turn, by processes that are started now."""
    old, new = (Worker(tree, case) for tree in trees)
    try:
        return {kind: [ratio(old, new, kind, pair) for pair in range(-WARM, pairs)][WARM:] for kind in old.turns}
    finally:
        for worker in (old, new):
            worker.process.kill()


def ratio(old: Worker, new: Worker, kind: str, pair: int) -> float:
    """One pair of turns; which version begins alternates."""
    results = {worker: worker.turn(kind) for worker in ((old, new) if pair % 2 else (new, old))}
    if results[old][1] != results[new][1]:
        raise Different(f"{kind}: results differ: {results[old][1]!r} and {results[new][1]!r}")
    return results[new][0] / results[old][0]


def main() -> int:
    """Compare; exits with 5 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*", type=Path, help="OLD NEW")
    parser.add_argument("--pairs", type=int, default=60, help="of each kind of turn, over all starts")
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return 0
    status = 0
    for case in (name for name in CASES if options.only in name):
        try:
            starts = [ratios(options.trees, case, -(-options.pairs // STARTS)) for _ in range(STARTS)]
        except Different as difference:
            print(f"{case}, {difference}", flush=True)
            status = 5
            continue
        for kind in starts[0]:
            every = [one for start in starts for one in start[kind]]
            low, middle, high = statistics.quantiles(every, n=4)
            by_start = ", ".join(f"{statistics.median(start[kind]):.3f}" for start in starts)
            print(f"{case}, {kind}: {middle:.3f} ({low:.3f} to {high:.3f}; by start {by_start})", flush=True)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
