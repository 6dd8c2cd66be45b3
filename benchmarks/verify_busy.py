"""A comparison means the same on a busy machine: as many steps, the same verdict, and with a plan the same numbers.

    python benchmarks/verify_busy.py --budget 20s --seeds 2        # three minutes; needs an idle machine

Compares a GRU and a Transformer on `builtin:dates` with one worker for each core: alone on the machine; beside
processes that multiply matrices, one for each core, from before its beginning to its end; and beside them with `--plan`
of the first. Exit status 5 unless

steps: those of the second differ from those of the first by at most 10 %, for each architecture
verdict: both have the same outcome for the pair, with the same architecture ahead
warning: the second and third say that the machine was busy
repeated: the third's results equal the first's, times and memory aside: every logged loss, every score
duration: each run of the first took 85 to 115 % of the seconds that its plan expected
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from record import write
from sightline.lab.results import Results
from sightline.lab.timeless import timeless
from verify_kills import MOST_DIFFERENCES, Compared, Comparison, differences

OUT = Path(__file__).parent / "results" / "busy.json"
ARCHS = ("gru", "transformer")
MOST_STEPS, MOST_SECONDS = 0.10, 0.15  # shares that may differ
WORK = "import numpy as np; a = np.full((700, 700), 1 / 700, 'f')\nwhile True: a = a @ a"
CORES = os.cpu_count() or 1


@contextmanager
def busy() -> Iterator[None]:
    """Inside, every core has a process that multiplies matrices of two megabytes."""
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    working = [subprocess.Popen([sys.executable, "-c", WORK], env=one_thread) for _ in range(CORES)]
    try:
        yield
    finally:
        for process in working:
            process.kill()
            process.wait()


def steps(results: Results) -> dict[str, int]:
    """The steps of each run, by architecture."""
    return {run.arch: run.steps for run in results.runs if run.steps is not None}


def outcome(results: Results) -> tuple[str | None, str]:
    """What is said of the pair, and the architecture that is ahead."""
    return results.pairs[0].outcome, results.pairs[0].first


def same(alone: Results, planned: Results) -> list[str]:
    """Places in which they differ, times, memory and the command aside."""
    without = ("command:", "config.plan")
    return [place for place in differences(timeless(alone), timeless(planned)) if not place.startswith(without)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="20s", help="of each run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    flags = ("--archs", ",".join(ARCHS), "--seeds", str(options.seeds), "--search", "0", "--workers", str(CORES))
    compared = Compared("translation", lambda folder: "builtin:dates", (*flags, "--log-every", "10"), ())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = Comparison(compared, folder / "alone", ("--budget", options.budget)).finish()
        plan = ("--plan", str(folder / "alone" / "out" / "results.json"))
        with busy():
            beside = Comparison(compared, folder / "beside", ("--budget", options.budget)).finish()
            planned = Comparison(compared, folder / "planned", plan).finish()
    shares = {arch: steps(beside)[arch] / count for arch, count in steps(alone).items()}
    durations = [run.train_s / run.planned_s for run in alone.runs if run.train_s and run.planned_s]
    differing = same(alone, planned)
    checks = {
        "steps": all(abs(share - 1) <= MOST_STEPS for share in shares.values()),
        "verdict": outcome(alone) == outcome(beside),
        "warning": all(any("busy" in warning for warning in results.warnings) for results in (beside, planned)),
        "repeated": not differing,
        "duration": bool(durations) and all(abs(share - 1) <= MOST_SECONDS for share in durations),
    }
    found: dict[str, Any] = {
        "steps_alone": steps(alone),
        "steps_beside_over_alone": shares,
        "seconds_over_planned": durations,
        "outcomes": [outcome(alone), outcome(beside)],
        "verdicts": [alone.verdict, beside.verdict, planned.verdict],
        "differences": differing[:MOST_DIFFERENCES],
        "checks": checks,
    }
    write(options.out, {"budget": options.budget, "seeds": options.seeds, **found})
    print(found)
    if wrong := [check for check, right in checks.items() if not right]:
        print(f"does not hold: {', '.join(wrong)}", file=sys.stderr)
    return 5 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
