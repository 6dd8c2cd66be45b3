"""Training steps and decoding of two versions of the package, paired: `python benchmarks/compare_versions.py OLD NEW`.

OLD and NEW are source trees (`git worktree add ../old COMMIT`). Each runs in a process of its own with one thread; the
two take turns, and every turn is timed in the process's own CPU time. Prints for each case the ratio NEW / OLD: the
median of the pairs and their quartiles. Losses and outputs must be equal, else the case is not timed.
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
    "language, gated_linear": {"task": "language", "data": "builtin:stdlib", "limit": 40, "arch": "gated_linear"},
    "forecasting, transformer": {"data": "builtin:seasonal?length=2000", "arch": "transformer"},
}
STEPS, DECODED, WARM = 6, 8, 2


def worker() -> None:
    """Reads the name of a case and a kind of turn from each line; answers with CPU seconds and a check."""
    import torch

    from sightline.tasks.recipe import resolve_run
    from sightline.tasks.table import task_class

    torch.set_num_threads(1)
    turns: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, flags in CASES.items():
        run = resolve_run(file=None, environ={}, flags=flags)
        kind = task_class(run.task)
        data = kind.load_data(run)
        task: Any = kind.build(data, run)
        turns[name, "train"] = training(task, data)
        if kind.accepts_decoding:
            turns[name, "decode"] = decoding(task, data)
    print(json.dumps([list(key) for key in turns]), flush=True)
    for line in sys.stdin:
        turn = turns[tuple(json.loads(line))]
        torch.manual_seed(0)
        began = time.process_time()
        check = turn()
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
    """Greedy outputs of some inputs, by weights that training turns change alike in both versions."""
    part = data.test
    inputs = part.sources[:DECODED] if hasattr(part, "sources") else ["def ", "import ", "class ", "return "]

    return lambda: [str(output) for output in task.predict(inputs)]


def started(tree: Path) -> subprocess.Popen[str]:
    """A worker over the sources of a tree."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": str((tree / "src").resolve())}
    command = [sys.executable, __file__, "--worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def asked(process: subprocess.Popen[str], turn: list[str]) -> tuple[float, Any]:
    """One turn: its CPU seconds and what must be equal."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(turn) + "\n")
    process.stdin.flush()
    seconds, check = json.loads(process.stdout.readline())
    return seconds, check


def main() -> int:
    """Compare; exits with 5 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*", type=Path, help="OLD NEW")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker()
        return 0
    processes = [started(tree) for tree in options.trees]
    turns = [json.loads(process.stdout.readline()) for process in processes if process.stdout is not None]
    different = 0
    for turn in turns[0]:
        ratios = []
        for pair in range(options.pairs + WARM):
            order = processes if pair % 2 else processes[::-1]
            results = {id(process): asked(process, turn) for process in order}
            (old, expected), (new, actual) = (results[id(process)] for process in processes)
            if actual != expected:
                print(f"{turn[0]}, {turn[1]}: results differ: {expected!r} and {actual!r}")
                different += 1
                break
            if pair >= WARM:
                ratios.append(new / old)
        else:
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"{turn[0]}, {turn[1]}: {middle:.3f} ({low:.3f} to {high:.3f}, {len(ratios)} pairs)", flush=True)
    for process in processes:
        process.kill()
    return 5 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
