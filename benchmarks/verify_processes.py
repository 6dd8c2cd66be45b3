"""Multi30k trained by two processes is as good as trained by one: the difference beside the spread of seeds.

    python benchmarks/verify_processes.py --budget 800steps --seeds 3 [--go-on]

Trains a Transformer of about a million parameters on the pairs of `multi30k` under $SIGHTLINE_VERIFY_DATA (default
../shared/data), lower-cased, with one byte-pair vocabulary of 4,000: `sightline train` in one process, and by torchrun
in two over gloo, with `--parallel ddp` and `--parallel fsdp`. All have the same batches. Dropout draws by piece, and
a batch has as many pieces as processes, so that results differ beyond rounding errors. Writes BLEU, chrF and loss on
test 2016 to benchmarks/results/processes.json.

Exit status 5 unless, by each metric, the mean over seeds of each way of two processes differs from that of one process
by at most the range of the latter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from record import Record, record_options

RESULTS = Path(__file__).parent / "results" / "processes.json"
DATA = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "multi30k"
METRICS = ("bleu", "chrf", "loss")
WAYS = {
    "one process": [],
    "two processes, ddp": ["--parallel", "ddp"],
    "two processes, fsdp": ["--parallel", "fsdp"],
}
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def pair(name: str) -> str:
    return ",".join(str(DATA / f"{name}.{language}.gz") for language in ("de", "en"))


def command(way: str, seed: int, budget: str, out: Path) -> list[str]:
    """The training, as a user would start it."""
    several = TORCHRUN if WAYS[way] else []
    return [
        sys.executable, *several, "-m", "sightline", "train", "--data", pair("train"), "--valid", pair("val"),
        "--test", pair("test_2016_flickr"), "--lowercase", "--arch", "transformer", "--tokenizer.kind", "bpe",
        "--tokenizer.size", "4000", "--tokenizer.shared", "true", "--model.d-model", "128", "--model.layers", "2",
        "--model.d-feed-forward", "512", "--batch-tokens", "2048", "--budget", budget, "--validations", "1",
        "--device", "cpu", "--seed", str(seed), "--out-dir", str(out), "--overwrite", "--quiet", *WAYS[way],
    ]  # fmt: skip


def measure(way: str, seed: int, budget: str, out: Path) -> dict[str, Any]:
    """Train and evaluate."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(way, seed, budget, out), check=True, env=environment)
    evaluate = [sys.executable, "-m", "sightline", "eval", str(out), "--json"]
    done = subprocess.run(evaluate, check=True, env=environment, capture_output=True, text=True)
    metrics = json.loads(done.stdout)["metrics"]
    return {"way": way, "seed": seed, **{name: metrics[name] for name in METRICS}}


def differences(record: Record) -> list[tuple[str, str, float, float]]:
    """Each way of two processes and each metric: the difference of means, and the range over seeds of one process."""

    def values(way: str, metric: str) -> list[float]:
        return [result[metric] for result in record.matching(way=way)]

    rows = []
    for way in [way for way, flags in WAYS.items() if flags and record.matching(way=way)]:
        for metric in METRICS:
            one = values("one process", metric)
            rows.append((way, metric, mean(values(way, metric)) - mean(one), max(one) - min(one)))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="800steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/processes"))
    record_options(parser, RESULTS)
    options = parser.parse_args()
    record = Record(options.out, {"budget": options.budget}, go_on=options.go_on)
    for seed in range(options.seeds):
        for way in WAYS:
            if not record.matching(way=way, seed=seed):
                out = options.runs / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
                record.add(measure(way, seed, options.budget, out))
                print(json.dumps(record.results[-1]), flush=True)
    rows = differences(record)
    for way, metric, difference, spread in rows:
        print(f"{way}: {metric} {difference:+.3f}, range over {options.seeds} seeds of one process {spread:.3f}")
    return 0 if all(abs(difference) <= spread for *_, difference, spread in rows) else 5


if __name__ == "__main__":
    raise SystemExit(main())
