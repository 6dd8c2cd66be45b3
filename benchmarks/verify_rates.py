"""Is the learning rate that a comparison chooses as good as the best of a full grid?

    python benchmarks/verify_rates.py --go-on            # an hour and a half on one core; continues where it stopped
    python benchmarks/verify_rates.py --only sst --seeds 1

For five data sets (under $SIGHTLINE_VERIFY_DATA, default ../shared/data, and built-in ones) a comparison of a GRU and a
Transformer searches a rate for each as it does by default (three trials, one more at the edge, in a fifth of the
budget), and takes the one for its runs that follows from them. Then each architecture is trained for the steps of the
comparison's runs with seven rates, factors of 3 around the preset's, and with the chosen one where it is not among
them; with `--seeds` seeds. Scores are those of the test part, by the task's first metric.

Exit status 5 unless, for each, the mean score with the chosen rate is behind that of the best rate by at most 10 % of
the range of the grid's means. What the runs of the same rate differ by is beside it.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch

import sightline
from record import Record, record_options
from sightline.core.metrics import METRICS
from sightline.data.corpus import Corpus
from sightline.lab.results import Results
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import task_class

OUT = Path(__file__).parent / "results" / "rates.json"
DATA = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data"))
ARCHS = ("gru", "transformer")
FACTORS = tuple(3.0**power for power in range(-3, 4))
MOST_BEHIND = 0.10  # of the range of the grid


class Searched(NamedTuple):
    """A data set: its task, the metric of its scores, and its data with what the task has to know of it."""

    task: str
    metric: str
    data: str
    keys: dict[str, Any]


SEARCHED = {
    "dates": Searched("translation", "token_accuracy", "builtin:dates", {}),
    "sst": Searched("classification", "accuracy", f"{DATA}/sst/sst_dataset.csv",
                    {"split_column": "exp_split", "source_column": "text"}),
    "digits": Searched("classification", "accuracy", "builtin:digits?as=rows", {}),
    "shakespeare": Searched("language", "bits_per_byte", f"{DATA}/tinyshakespeare/input.txt", {}),
    "etth1": Searched("forecasting", "mse", f"{DATA}/ett/ETTh1.csv",
                      {"split": "8640,2880,2880", "lookback": 96, "horizon": 96}),
}  # fmt: skip


def searched(name: str, budget: str, out: Path) -> list[dict[str, Any]]:
    """What a comparison chose for each architecture, which rates it tried, and the steps of its runs."""
    one = SEARCHED[name]
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in one.keys.items()]
    subprocess.run([
        sys.executable, "-m", "sightline", "compare", "--task", one.task, "--data", one.data, *flags,
        "--archs", ",".join(ARCHS), "--budget", budget, "--seeds", "2", "--tested", "100", "--workers", "1",
        "--out-dir", str(out), "--overwrite", "--quiet",
    ], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)  # fmt: skip
    results = Results.load(out / "results.json")
    chosen = []
    for architecture in results.architectures:
        planned = results.planned(architecture.arch)
        if planned is None or architecture.learning_rate is None:
            raise SystemExit(f"{name}: the comparison has no plan or no rate for {architecture.arch}")
        plan = {"steps": planned.run.steps, "validations": planned.run.validations}
        chosen.append({
            "data": name, "arch": architecture.arch, "chosen": architecture.learning_rate, **plan,
            "preset": task_class(one.task).preset(architecture.arch).training.optim.lr,
            "tried": {f"{rate.lr:.3g}": rate.loss for rate in architecture.rates},
        })  # fmt: skip
    return chosen


@cache
def corpus(name: str) -> Corpus[Any]:
    """The data, read once."""
    one = SEARCHED[name]
    kind = task_class(one.task)
    return kind.load_data(resolve_run(file=None, environ={}, flags={"task": one.task, "data": one.data, **one.keys}))


def score(name: str, choice: dict[str, Any], rate: float, seed: int) -> float:
    """The test score of a run of the comparison's length with this rate."""
    one = SEARCHED[name]
    model = sightline.fit(
        one.task, corpus(name), choice["arch"], f"{choice['steps']}steps", validations=choice["validations"], seed=seed,
        settings={"optim.lr": rate}, quiet=True, **one.keys,
    )  # fmt: skip
    return float(model.evaluate().metrics[one.metric])


def grid(choice: dict[str, Any]) -> list[float]:
    """The rates to try: factors of 3 around the preset's, and the chosen one."""
    rates = {float(f"{choice['preset'] * factor:.3g}") for factor in FACTORS}
    if not any(math.isclose(rate, choice["chosen"], rel_tol=0.01) for rate in rates):
        rates.add(choice["chosen"])
    return sorted(rates)


def judged(choice: dict[str, Any], scores: dict[float, list[float]]) -> dict[str, Any]:
    """How far the chosen rate is behind the best, as a share of the grid's range."""
    sign = 1 if METRICS[SEARCHED[choice["data"]].metric].higher_is_better else -1
    means = {rate: sign * mean(values) for rate, values in scores.items()}
    chosen = min(means, key=lambda rate: abs(math.log(rate / choice["chosen"])))
    best, width = max(means, key=means.__getitem__), max(means.values()) - min(means.values())
    spreads = [max(values) - min(values) for values in scores.values()]
    return {"best": best, "behind": (means[best] - means[chosen]) / width, "seeds_differ_by": mean(spreads) / width}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="20s", help="of each run of the comparison")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", choices=SEARCHED, action="append")
    parser.add_argument("--runs", type=Path, default=Path("runs/rates"))
    record_options(parser, OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = Record(options.out, {"budget": options.budget}, go_on=options.go_on)
    behind = False
    for name in options.only or SEARCHED:
        if not record.matching(data=name, kind="choice"):
            for choice in searched(name, options.budget, options.runs / name):
                record.add({"kind": "choice", **choice})
        for choice in record.matching(data=name, kind="choice"):
            scores: dict[float, list[float]] = {}
            for rate in grid(choice):
                for seed in range(options.seeds):
                    run = {"kind": "run", "data": name, "arch": choice["arch"], "lr": rate, "seed": seed}
                    if not record.matching(**run):
                        record.add({**run, "score": score(name, choice, rate, seed)})
                    scores.setdefault(rate, []).append(record.matching(**run)[0]["score"])
            outcome = judged(choice, scores)
            behind |= outcome["behind"] > MOST_BEHIND
            print(f"{name}, {choice['arch']}: chosen {choice['chosen']:g}, best {outcome['best']:g}, "
                  f"behind by {outcome['behind']:.1%} of the range; seeds differ by {outcome['seeds_differ_by']:.1%}",
                  flush=True)  # fmt: skip
    return 5 if behind else 0


if __name__ == "__main__":
    sys.exit(main())
