"""Do the tests of faithfulness find what is planted? The battery at its default sizes, on one small model of each task.

    python benchmarks/verify_planted_maps.py --only sst,dates
    python benchmarks/verify_planted_maps.py --go-on        # keeps the models and the results that are there

Trains a BiLSTM with additive attention on Stanford Sentiment and a Transformer on tiny-shakespeare (both under
$SIGHTLINE_VERIFY_DATA, default ../shared/data), a decoder with attention (Bahdanau et al. 2015) on built-in dates, and
a Transformer on built-in seasonal series, all for some hundred steps, and runs `sightline inspect RUN --faithfulness`
on each as a user would. Written: what the models answer on every planted problem, the share of planted positions that
the effect of replacing and leaving out find, hit rate and false-alarm rate of every test, the verdict, and processor
seconds.

Exit status 5 unless on every problem the model answers at least 95 % rightly, and the effect, and leaving out where the
task can, find at least 95 % of the planted positions.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from record import Record, record_options
from sightline.inspect.battery import faithfulness
from sightline.inspect.faithfulness_results import CallRate, Faithfulness
from sightline.inspect.planted_training import LEARNED

RESULTS = Path(__file__).parent / "results" / "planted-maps.json"
DATA = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data"))
RUNS = Path("runs") / "planted-maps"


class SmallRun(NamedTuple):
    """A training: its data, and the flags of `sightline train` beside it."""

    data: str
    flags: str


TRAININGS = {
    "sst": SmallRun(
        str(DATA / "sst" / "sst_dataset.csv"),
        "--task classification --split-column exp_split --arch bilstm_attention --model.embedding-std 0.3 "
        "--optim.beta2 0.999 --budget 600steps",
    ),
    "dates": SmallRun("builtin:dates", "--tokenizer.kind char --arch bahdanau --budget 1200steps"),
    "shakespeare": SmallRun(
        str(DATA / "tinyshakespeare" / "input.txt"),
        "--task language --tokenizer.kind byte --arch transformer --model.layers 2 --model.d-model 64 --model.heads 4 "
        "--budget 300steps",
    ),
    "seasonal": SmallRun("builtin:seasonal", "--task forecasting --arch transformer --budget 300steps"),
}


def trained(name: str, runs: Path, go_on: bool) -> Path:
    """The run of this name, trained first where it is missing or nothing is to be kept."""
    place, training = runs / name, TRAININGS[name]
    if not (go_on and (place / "best").exists()):
        command = [sys.executable, "-m", "sightline", "train", "--data", training.data, *training.flags.split()]
        subprocess.run([*command, "--out-dir", str(place), "--overwrite", "--quiet"], check=True)
    return place


def tested(name: str, place: Path, seed: int) -> dict[str, Any]:
    """The battery of one run as it is by default, with the processor seconds of its two stages."""
    seconds = {"calibration": time.process_time()}

    def say(text: str) -> None:
        if text.startswith("tests of"):
            seconds["items"] = time.process_time()
        print(f"{name}: {text}", flush=True)

    found = faithfulness(place, seed=seed, say=say)
    end = time.process_time()
    cpu_s = {
        "calibration": round(seconds["items"] - seconds["calibration"], 1),
        "items": round(end - seconds["items"], 1),
    }
    flags = {"name": name, "data": Path(TRAININGS[name].data).name, "flags": TRAININGS[name].flags, "seed": seed}
    return flags | facts(found) | {"cpu_s": cpu_s}


def facts(found: Faithfulness) -> dict[str, Any]:
    """The numbers of a result that are written."""
    problems = [
        {
            "name": one.name, "used": one.used, "reason": one.reason, "accuracy": one.accuracy,
            "effect_hit": one.effect_hit, "leave_one_out_hit": one.leave_one_out_hit, "map_hits": one.map_hits,
            "steps": one.steps, "items": one.items,
        }
        for one in found.planted
    ]  # fmt: skip
    tests = [
        {
            "name": one.name, "hit": rate(one.hit), "false_alarm": rate(one.false_alarm), "counts": one.counts,
            "reason": one.reason,
        }
        for one in found.tests
    ]  # fmt: skip
    maps = [{"name": one.name, "outcome": one.outcome, "sentence": one.sentence} for one in found.maps]
    about = {"model": found.model.architecture, "parameters": found.model.parameters, "items": found.items}
    return about | {
        "outcome": found.outcome, "verdict": found.verdict, "planted": problems, "tests": tests, "maps": maps,
    }  # fmt: skip


def rate(one: CallRate) -> list[Any]:
    """The share with the ends of its interval, and the number of items."""
    return [None if value is None else round(value, 4) for value in (one.share, one.low, one.high)] + [one.n]


def wrong(result: dict[str, Any]) -> list[str]:
    """What is below the threshold on the planted problems of one run."""
    return [
        f"{result['name']}, {one['name']}: {key} {one[key]:.3f}, below {LEARNED}"
        for one in result["planted"]
        for key in ("accuracy", "effect_hit", "leave_one_out_hit")
        if one[key] is not None and one[key] < LEARNED
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(TRAININGS), help="comma-separated names of models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the models are kept")
    record_options(parser, RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = Record(options.out, {"threads": 1}, go_on=options.go_on)
    for name in options.only.split(","):
        if not record.matching(name=name, seed=options.seed):
            place = trained(name, options.runs, options.go_on)
            record.add(tested(name, place, options.seed))
    problems = [text for result in record.results for text in wrong(result)]
    for result in record.results:
        print(f"{result['name']}: {result['verdict']}")
    print("\n".join(problems) or "all checks passed")
    raise SystemExit(5 if problems else 0)


if __name__ == "__main__":
    main()
