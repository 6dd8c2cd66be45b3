"""A comparison that is killed again and again ends with the results of one that is left alone.

    python benchmarks/verify_kills.py --go-on               # ten kills for each task; continues where it stopped
    python benchmarks/verify_kills.py --only language --kills 3

A comparison of each task runs once undisturbed. Then it runs again, from an empty directory, and is killed at random
moments, drawn from `--seed`: SIGKILL to

all: the comparing process and every process that it started
comparing: the comparing process alone
worker: a worker process, with the job that it had
job: the process of a job alone

After the first two `sightline compare --resume` continues it; the other two it must survive. A moment is a number of
jobs that have ended and of steps that are logged, so that it does not depend on the machine's speed. The two
`results.json` must be equal, times and memory aside (`sightline.lab.timeless`). Exit status 5 if they are not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from record import Record, record_options
from sightline.lab.results import Results
from sightline.lab.timeless import timeless

OUT = Path(__file__).parent / "results" / "kills.json"
MOST_DIFFERENCES = 20  # to list
WAYS = ("all", "comparing", "worker", "job")
POLL_S = 0.1
LETTERS = "abcdefgh"
SMALL = ("--log-every", "1", "--seeds", "2", "--rates", "2", "--search", "0.4", "--workers", "2", "--tested", "20")


@dataclass(frozen=True)
class Compared:
    """A comparison: its task, `write(folder)`, which makes its data and returns its path, and its flags."""

    task: str
    write: Callable[[Path], str]
    flags: tuple[str, ...]
    common: tuple[str, ...] = SMALL


def pairs(folder: Path) -> str:
    """Words, and the same words backwards."""
    generator = random.Random(0)
    words = sorted({"".join(generator.choices(LETTERS, k=generator.randint(3, 8))) for _ in range(200)})
    (folder / "pairs.tsv").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words), encoding="utf-8")
    return "pairs.tsv"


def labelled(folder: Path) -> str:
    """Words, and whether their first letter comes again."""
    generator = random.Random(0)
    words = sorted({"".join(generator.choices(LETTERS, k=generator.randint(3, 8))) for _ in range(200)})
    rows = "".join(f"{word},{'yes' if word[0] in word[1:] else 'no'}\n" for word in words)
    (folder / "labelled.csv").write_text("text,label\n" + rows, encoding="utf-8")
    return "labelled.csv"


def text(folder: Path) -> str:
    """Letters, each one of two that follow the one before it."""
    generator = random.Random(0)
    letters = ["a"]
    while len(letters) < 6000:
        place = LETTERS.index(letters[-1])
        letters.append(LETTERS[(place + generator.randint(1, 2)) % len(LETTERS)])
    (folder / "letters.txt").write_text("".join(letters), encoding="utf-8")
    return "letters.txt"


COMPARED = [
    Compared("translation", pairs, ("--archs", "gru,bahdanau", "--match", "params=9000", "--batch-tokens", "100",
                                    "--validation-outputs", "5", "--budget", "40steps")),
    Compared("classification", labelled, ("--archs", "gru,lstm", "--text.kind", "char", "--batch-size", "16",
                                          "--match", "params=9000", "--budget", "40steps")),
    Compared("language", text, ("--archs", "gru,linear", "--tokens", "char", "--match", "params=9000",
                                "--batch-tokens", "200", "--budget", "6000tok")),
]  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """A kill: its way, the moment for which it was meant, and the step at which each training had a checkpoint."""

    way: str
    moment: int
    checkpoints: list[int]


class Comparison:
    """A comparison in a process of its own, in `folder/out`."""

    def __init__(self, compared: Compared, folder: Path, more: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.out = folder, folder / "out"
        command = [sys.executable, "-m", "sightline", "compare", "--task", compared.task]
        command += ["--data", compared.write(folder), *compared.common, *compared.flags]
        self._command = [*command, *more, "--quiet", "--out-dir", "out", "--resume"]
        self.begin()

    def begin(self) -> None:
        """Start it, or continue it."""
        with open(self.folder / "log.txt", "ab") as log:
            self.process = subprocess.Popen(self._command, cwd=self.folder, stdout=log, stderr=log)

    def progress(self) -> int:
        """The jobs that have ended and the steps that are logged; less after a kill."""
        return sum(1 + logged(path) for path in self.out.glob("[rt]*/*/job.json"))

    def ended(self) -> bool:
        return self.process.poll() is not None

    def finish(self) -> Results:
        """Wait for its end; its results."""
        status = self.process.wait()
        if status:
            raise SystemExit(f"the comparison ended with {status}: {(self.folder / 'log.txt').read_text()[-2000:]}")
        return Results.load(self.out / "results.json")

    def kill(self, way: str, generator: random.Random) -> bool:
        """Kill in this way; False where there is no such process."""
        workers = children(self.process.pid)
        jobs = [job for worker in workers for job in children(worker)]
        victims = {
            "all": [self.process.pid, *workers, *jobs],
            "comparing": [self.process.pid],
            "worker": workers and [generator.choice(workers)],
            "job": jobs and [generator.choice(jobs)],
        }[way]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return bool(victims)


def logged(job: Path) -> int:
    """The steps of a job: all of them where it has ended, since its log is removed then."""
    try:
        if (result := job.parent / "result.json").exists():
            return 1 + steps_of(result)
        return (job.parent / "metrics.jsonl").read_bytes().count(b'"train"')
    except (OSError, ValueError):
        return 0


@cache
def steps_of(result: Path) -> int:
    """The steps of a job that has ended."""
    return sum(record["event"] == "train" for record in json.loads(result.read_bytes())["history"])


def children(parent: int) -> list[int]:
    """The processes that a process started and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def killed(comparison: Comparison, total: int, kills: int, generator: random.Random) -> list[Kill]:
    """Kill the comparison so many times, at moments before its end that come later and later."""
    done: list[Kill] = []
    moments = sorted(generator.randint(0, int(0.95 * total)) for _ in range(kills))
    ways = [WAYS[number % len(WAYS)] for number in range(kills)]
    generator.shuffle(ways)
    for moment, way in zip(moments, ways, strict=True):
        while comparison.progress() < moment and not comparison.ended():
            time.sleep(POLL_S)
        time.sleep(generator.uniform(0, 0.3))  # not always just after a step
        while not comparison.ended():
            checkpoints = newest_steps(comparison.out)
            if comparison.kill(way, generator):
                done.append(Kill(way, moment, checkpoints))
                break
            time.sleep(POLL_S)  # no worker yet
        if way in ("all", "comparing"):
            comparison.process.wait()
            comparison.begin()
    return done


def newest_steps(out: Path) -> list[int]:
    """The steps of the newest checkpoints, of every training that has some."""
    steps = [[int(path.name[5:]) for path in folder.glob("step-*[0-9]")] for folder in out.glob("[rt]*/*/checkpoints")]
    return sorted(max(of) for of in steps if of)


def verified(compared: Compared, kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """The outcome of one task: whether the results are equal, and what was killed when."""
    alone = Comparison(compared, folder / "alone")
    expected = alone.finish()
    generator = random.Random(f"{compared.task} {seed}")
    comparison = Comparison(compared, folder / "killed")
    done = killed(comparison, alone.progress(), kills, generator)
    results = comparison.finish()
    differing = differences(timeless(expected), timeless(results))
    return {
        "task": compared.task,
        "kills": len(done),
        "equal": not differing,
        "ways": dict(Counter(kill.way for kill in done)),
        "moments": [[kill.way, kill.moment, kill.checkpoints] for kill in done],
        "warning": next((warning for warning in results.warnings if "died" in warning), None),
        "differences": differing[:MOST_DIFFERENCES],
    }


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two JSON values differ: "runs[0].history[3].loss: 0.5, 0.6"."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], f"{place}.{key}".lstrip("."))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for i in range(len(one)) for found in differences(one[i], other[i], f"{place}[{i}]")]
    return [] if one == other else [f"{place}: {json.dumps(one)[:100]}, {json.dumps(other)[:100]}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of the comparison of each task")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the ways of the kills")
    parser.add_argument("--only", action="append", choices=[compared.task for compared in COMPARED])
    record_options(parser, OUT)
    options = parser.parse_args()
    record = Record(options.out, {"kills": options.kills, "seed": options.seed}, go_on=options.go_on)
    for compared in COMPARED:
        if (options.only and compared.task not in options.only) or record.matching(task=compared.task):
            continue
        with tempfile.TemporaryDirectory() as folder:
            record.add(verified(compared, options.kills, options.seed, Path(folder)))
        print(record.results[-1], flush=True)
    wrong = [result["task"] for result in record.results if not result["equal"] or result["kills"] < options.kills]
    if wrong:
        print(f"other results, or fewer kills than asked for: {', '.join(wrong)}", file=sys.stderr)
    return 5 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
