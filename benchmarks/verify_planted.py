"""Does the verdict find what is planted? Real comparisons on tasks of which the answer is known.

    python benchmarks/verify_planted.py --minutes 110 --go-on     # continues where it was stopped
    python benchmarks/verify_planted.py --only parity --repetitions 2

Each repetition makes new data and compares with other seeds, once with three seeds and once with `--until-decided`:

recall: the value that belongs to a key among eight pairs; attention (transformer) must be better than the gru
parity: whether the ones among 1 to 12 digits are even; the lstm must be better than the transformer
copy: 6 to 10 letters; the lstm must be better than the rnn
local: a character depends on the two before it; a window of eight and full attention must be practically the same,
  within 0.03 bits of some 1.06
identical: six trainings of one gru, dealt out to two architectures, must not differ

Models are small and budgets are in steps, so that a run takes seconds and other work on the machine changes nothing.
The rates are given: what is tested is the verdict, not the search. Exit status 5 if a task has fewer than 19 right
verdicts in 20. Two to three hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from record import Record, record_options
from sightline.core.metrics import find_metric
from sightline.lab.results import Results
from sightline.lab.stats import compare_items

OUT = Path(__file__).parent / "results" / "planted.json"
NEEDED = 19 / 20
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WAYS = {"3 seeds": (), "until decided": ("--until-decided", "--max-seeds", "8")}


@dataclass(frozen=True)
class Planted:
    """A task: `write(folder, generator)` makes the data; `best` must be better than `other`, or the same without it."""

    name: str
    task: str
    write: Callable[[Path, random.Random], Path]
    best: str
    other: str
    flags: tuple[str, ...]
    outcome: str = "better"


def recall(folder: Path, generator: random.Random) -> Path:
    """`a4k9…:k`, and the label of 9."""
    rows = []
    for _ in range(10_000):
        keys = generator.sample(LETTERS[:16], 8)
        values = dict(zip(keys, generator.choices("0123456789", k=8), strict=True))
        asked = generator.choice(keys)
        rows.append((f"{''.join(key + value for key, value in values.items())}:{asked}", f"v{values[asked]}"))
    return table(folder, ("text", "label"), rows)


def parity(folder: Path, generator: random.Random) -> Path:
    """Digits, and whether the number of ones is even; as many texts of each length, so that short ones teach."""
    texts = ["".join(generator.choices("01", k=generator.randint(1, 12))) for _ in range(6_000)]
    return table(folder, ("text", "label"), [(f"x{t}", "even" if t.count("1") % 2 == 0 else "odd") for t in texts])


def copy(folder: Path, generator: random.Random) -> Path:
    """Letters, and the same letters."""
    texts = {"".join(generator.choices(LETTERS[:6], k=generator.randint(6, 10))) for _ in range(6_000)}
    return table(folder, ("source", "target"), [(text, text) for text in sorted(texts)])


def local(folder: Path, generator: random.Random) -> Path:
    """Text in which each character is one of two that the two before it allow."""
    allowed = {(a, b): generator.sample(LETTERS[:6], 2) for a in LETTERS[:6] for b in LETTERS[:6]}
    text = ["a", "b"]
    while len(text) < 100_000:
        text.append(generator.choice(allowed[text[-2], text[-1]]))
    path = folder / "data.txt"
    path.write_text("".join(text), encoding="utf-8")
    return path


def table(folder: Path, columns: tuple[str, str], rows: Sequence[tuple[str, str]]) -> Path:
    """A table of two columns without quotes."""
    path = folder / "data.csv"
    path.write_text("".join(f"{a},{b}\n" for a, b in [columns, *rows]), encoding="utf-8")
    return path


# One layer, read from the left, whose last position answers.
LABELS = ("--text.kind", "char", "--model.layers", "1", "--model.causal", "true", "--model.pooling", "last",
          "--model.dropout", "0", "--match", "params=40k", "--optim.lr", "0.005")  # fmt: skip
LETTERWISE = ("--match", "params=60k", "--batch-tokens", "512", "--optim.lr", "0.005", "--validation-outputs", "50",
              "--model.dropout", "0")  # fmt: skip
TASKS = [
    Planted("recall", "classification", recall, "transformer", "gru",
            (*LABELS, "--model.convolution", "3", "--batch-size", "64", "--budget", "400steps")),
    Planted("parity", "classification", parity, "lstm", "transformer",
            (*LABELS, "--batch-size", "32", "--budget", "600steps")),
    Planted("copy", "translation", copy, "lstm", "rnn", (*LETTERWISE, "--metric", "chrf", "--budget", "800steps")),
    Planted("local", "language", local, "window", "transformer",
            ("--tokens", "char", "--context", "32", "--match", "params=20k", "--batch-tokens", "512",
             "--optim.lr", "0.005", "--model.layers", "2", "--model.dropout", "0",
             "--model.options.window.window", "8", "--budget", "600steps", "--margin", "0.03"),
            "practically the same"),
]  # fmt: skip
IDENTICAL = (*LETTERWISE, "--metric", "chrf", "--budget", "300steps")


def compared(planted: Planted, repetition: int, more: Sequence[str]) -> dict[str, Any]:
    """The outcome of one comparison, whether it is right, and its seeds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = planted.write(folder, random.Random(f"{planted.name} {repetition}"))
        archs, flags = (planted.best, planted.other), (*planted.flags, *more)
        results = run(folder / "out", planted.task, data, archs, repetition, flags)
    (pair,) = results.pairs or [None]
    outcome = None if pair is None else pair.outcome
    right = outcome == planted.outcome and (outcome != "better" or (pair is not None and pair.first == planted.best))
    return {"outcome": outcome, "right": right, "seeds": len(results.budget.seeds), "verdict": results.verdict}


def identical(repetition: int) -> dict[str, Any]:
    """The outcome of one architecture against itself, with three seeds each, on the task of copying."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = copy(folder, random.Random(f"identical {repetition}"))
        results = run(folder / "out", "translation", data, ("gru",), repetition, IDENTICAL, seeds=6)
        runs = sorted((folder / "out" / "runs").glob("*/result.json"))
        items = [json.loads(path.read_text(encoding="utf-8"))["items"] for path in runs]
    halves = {"one": np.array(items[0::2]), "other": np.array(items[1::2])}
    (pair,) = compare_items(halves, find_metric(results.primary_metric)).pairs
    return {"outcome": pair.outcome, "right": pair.outcome != "better", "seeds": 3, "verdict": ""}


def run(
    out: Path, task: str, data: Path, archs: Sequence[str], repetition: int, flags: Sequence[str], seeds: int = 3
) -> Results:
    """`sightline compare` in a process of its own."""
    command = [sys.executable, "-m", "sightline", "compare", "--task", task, "--data", str(data), "--out-dir", str(out)]
    command += ["--archs", ",".join(archs), "--seeds", str(seeds), "--seed", str(1000 * repetition), "--search", "0"]
    subprocess.run([*command, "--quiet", *flags], check=True, stdout=subprocess.DEVNULL)
    return Results.load(out / "results.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no comparison after so many")
    parser.add_argument("--only", action="append", choices=[*(task.name for task in TASKS), "identical"])
    record_options(parser, OUT)
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    results = Record(options.out, {}, go_on=options.go_on)
    jobs: list[tuple[str, str, Callable[[int], dict[str, Any]]]] = [
        (task.name, way, lambda repetition, task=task, flags=flags: compared(task, repetition, flags))
        for task in TASKS
        for way, flags in WAYS.items()
    ]
    jobs.append(("identical", "3 seeds", identical))
    jobs = [job for job in jobs if not options.only or job[0] in options.only]
    for repetition in range(options.repetitions):
        for name, way, work in jobs:
            place = {"name": name, "way": way, "repetition": repetition}
            if results.matching(**place) or time.monotonic() > until:
                continue
            results.add({**place, **work(repetition)})
            print(results.results[-1], flush=True)
    wrong = failures(results.results)
    if wrong:
        print(f"fewer than 19 in 20 right: {'; '.join(wrong)}", file=sys.stderr)
    return 5 if wrong else 0


def failures(results: Sequence[dict[str, Any]]) -> list[str]:
    """The tasks, with the way of choosing seeds, in which fewer than 19 in 20 verdicts are right."""
    by_job: dict[str, list[bool]] = {}
    for result in results:
        by_job.setdefault(f"{result['name']}, {result['way']}", []).append(result["right"])
    return [
        f"{job} ({sum(right)} of {len(right)})" for job, right in by_job.items() if sum(right) < NEEDED * len(right)
    ]


if __name__ == "__main__":
    sys.exit(main())
