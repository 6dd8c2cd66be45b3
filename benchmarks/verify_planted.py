"""Does the verdict find what is planted? Real comparisons on tasks of which the answer is known.

    python benchmarks/verify_planted.py --minutes 110 --go-on     # continues where it was stopped
    python benchmarks/verify_planted.py --only parity --repetitions 2

Each repetition makes new data and compares with other seeds, until decided (`--until-decided`) and with three seeds:

recall: the value that belongs to a key among eight pairs; attention (transformer) must be better than the gru
parity: whether the ones among 1 to 12 digits are even; the lstm must be better than the transformer
copy: 6 to 10 letters; the lstm must be better than the rnn
local: a character depends on the two before it; a window of eight and full attention must be practically the same,
  within 0.03 bits of some 1.06
identical: a gru and the same gru under another name must not differ

Models are small and budgets are in steps, so that a run takes seconds and other work on the machine changes nothing.
The rates are given: what is tested is the verdict, not the search. Exit status 5 if a task has fewer than 19 right
verdicts in 20. An hour and a half on two cores.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from record import Record, record_options
from sightline.lab.plan import CompareConfig
from sightline.lab.results import Results
from sightline.lab.resume import Begun

OUT = Path(__file__).parent / "results" / "planted.json"
NEEDED = 19 / 20
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TWIN = Path(__file__).with_name("planted_twin.py")
WAYS = {
    "until decided": ("--seeds", "3", "--until-decided", "--max-seeds", "8"),
    "3 seeds": ("--seeds", "3", "--resume"),
}


@dataclass(frozen=True)
class Planted:
    """A task: `write(folder, generator)` makes the data; `outcome` is what must come out of `best` and `other`."""

    name: str
    task: str
    write: Callable[[Path, random.Random], Path]
    best: str
    other: str
    flags: tuple[str, ...]
    outcome: str = "better"

    def agrees(self, outcome: str | None, first: str | None) -> bool:
        """Whether this is the outcome, and `first` the better one."""
        if self.outcome == "not better":
            return outcome != "better"
        return outcome == self.outcome and (outcome != "better" or first == self.best)


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
    Planted("copy", "translation", copy, "lstm", "rnn", (*LETTERWISE, "--metric", "chrf", "--budget", "1600steps")),
    Planted("local", "language", local, "window", "transformer",
            ("--tokens", "char", "--context", "32", "--match", "params=20k", "--batch-tokens", "512",
             "--optim.lr", "0.005", "--model.layers", "2", "--model.dropout", "0",
             "--model.options.window.window", "8", "--budget", "600steps", "--margin", "0.03"),
            "practically the same"),
    Planted("identical", "translation", copy, "gru", "twin",
            (*LETTERWISE, "--metric", "chrf", "--budget", "300steps", "--plugin", str(TWIN)), "not better"),
]  # fmt: skip


def compared(planted: Planted, repetition: int) -> Iterator[dict[str, Any]]:
    """For each way, the outcome of the comparison, whether it is right, and its seeds.

    The comparison of three seeds takes the runs of the other one's first three: they are the same to the bit.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, out = planted.write(folder, random.Random(f"{planted.name} {repetition}")), folder / "out"
        command = [sys.executable, "-m", "sightline", "compare", "--task", planted.task, "--data", str(data)]
        command += [
            "--out-dir",
            str(out),
            "--archs",
            f"{planted.best},{planted.other}",
            "--seed",
            str(1000 * repetition),
        ]
        command += ["--search", "0", "--quiet", *planted.flags]
        for way, flags in WAYS.items():
            if out.exists():
                leave_first(out, 3)
            subprocess.run([*command, *flags], check=True, stdout=subprocess.DEVNULL)
            results = Results.load(out / "results.json")
            (pair,) = results.pairs or [None]
            outcome = None if pair is None else pair.outcome
            yield {
                "way": way,
                "outcome": outcome,
                "right": planted.agrees(outcome, None if pair is None else pair.first),
                "seeds": len(results.budget.seeds),
                "verdict": results.verdict,
            }


def leave_first(out: Path, seeds: int) -> None:
    """Make a comparison until decided the beginning of one of its first seeds alone."""
    begun = Begun.load(out)
    assert begun is not None
    fixed = replace(begun.config, until_decided=False, seeds=seeds, max_seeds=CompareConfig.max_seeds)
    replace(begun, config=fixed, plan=replace(begun.plan, seeds=begun.plan.seeds[:seeds])).save(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no comparison after so many")
    parser.add_argument("--only", action="append", choices=[task.name for task in TASKS])
    record_options(parser, OUT)
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    results = Record(options.out, {}, go_on=options.go_on)
    tasks = [task for task in TASKS if not options.only or task.name in options.only]
    for repetition in range(options.repetitions):
        for task in tasks:
            place = {"name": task.name, "repetition": repetition}
            done = {result["way"] for result in results.matching(**place)}
            if done >= WAYS.keys() or time.monotonic() > until:
                continue
            for outcome in compared(task, repetition):
                if outcome["way"] not in done:
                    results.add({**place, **outcome})
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
