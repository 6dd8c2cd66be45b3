"""Tasks that need recurrence (parity, sums modulo 5) or attention (recall).

    python benchmarks/verify_sequential.py --tasks parity --archs gru,transformer --seeds 0,1,2

All architectures are causal, are read at the last position, and have two layers of the same width, the same items,
batches and steps. `builtin:parity` trains on at most 20 bits and tests on 41 to 100, `builtin:modular` trains on at
most 10 numbers and tests on 21 to 50. `builtin:recall` has 32 pairs in training and test; there, a short convolution
precedes every layer, as in verify_recall.py, so that values and keys are combined. The validation items, which have
the lengths of the training, select the learning rate; the result is evaluated on the test items.

Each result is written to benchmarks/results/sequential.json; `--go-on` trains only missing ones. Exit status 5 if, on
parity or sums, the mean over seeds of a recurrence is below 95 % or attention is within ten points of it; likewise with
the roles reversed on recall.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from record import Record, record_options
from sightline.data.labelled.corpus import LabelledCorpus, load_labelled
from sightline.tasks.classification.config import ClassificationRun, TextConfig
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import train_task
from sightline.training.optim import OptimConfig
from sightline.training.progress import reporting

RESULTS = Path(__file__).parent / "results" / "sequential.json"
TASKS = {
    "parity": "builtin:parity?size=20000&length=20&longest=100",
    "modular": "builtin:modular?size=20000&length=10&longest=50",
    "recall": "builtin:recall?size=20000&length=32",
}
STEPS = {"parity": 1000, "modular": 2000, "recall": 1000}
RECURRENT, ATTENTIVE = ("rnn", "gru", "lstm"), ("transformer",)
SOLVED, GAP = 0.95, 0.10


def configured(task: str, arch: str, rate: float, seed: int, options: argparse.Namespace) -> ClassificationRun:
    """The configuration of one training, which differs only in architecture, rate and seed."""
    preset = ClassificationRun.preset(arch)
    model: Any = preset.settings.model
    convolution = 3 if task == "recall" else 0
    sizes = {"d_model": options.width, "layers": 2, "heads": 4, "dropout": 0.0, "convolution": convolution}
    return preset.changed(
        data=TASKS[task],
        model=replace(model, causal=True, pooling="last", **sizes),
        text=TextConfig(min_count=1),
        optim=OptimConfig(lr=rate, weight_decay=0.0, warmup_steps=STEPS[task] // 20),
        batch_size=options.batch,
        budget=f"{STEPS[task]}steps",
        validations=4,
        metric="loss",
        validation_items=1000,
        seed=seed,
        dtype="float32",
        checkpoint_every_s=600.0,
    )


def trial(data: LabelledCorpus, run: ClassificationRun, place: Path) -> dict[str, float]:
    """Train once; accuracy on the validation and test items, number of parameters and time."""
    task = ClassificationTask.build(data, run)
    with reporting(run.training.metric) as on_progress:
        trained = train_task(task, data, place, run.training, on_progress=on_progress)
    return {
        "valid": trained.task.measure(data.valid).metrics["accuracy"],
        "test": trained.task.measure(data.test).metrics["accuracy"],
        "parameters": task.parameters,
        "train_s": round(trained.training.seconds, 1),
    }


def verdicts(results: list[dict[str, Any]]) -> list[str]:
    """The failed checks in words, for the trained architectures."""
    best: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for one in results:
        of_seed = best.setdefault((one["task"], one["arch"]), {})
        before = of_seed.get(one["seed"])
        if before is None or one["valid"] > before["valid"]:
            of_seed[one["seed"]] = one
    mean = {key: sum(one["test"] for one in seeds.values()) / len(seeds) for key, seeds in best.items()}
    wrong = []
    for (task, arch), value in mean.items():
        print(f"{task:8s} {arch:12s} {value:6.1%}  over {len(best[task, arch])} seeds")
        expected = ATTENTIVE if task == "recall" else RECURRENT
        if arch not in expected:
            continue
        if value < SOLVED:
            wrong.append(f"{task}: {arch} is at {value:.1%}, below {SOLVED:.0%}")
        others = ATTENTIVE if expected == RECURRENT else RECURRENT
        wrong += [
            f"{task}: {other} is at {mean[task, other]:.1%}, within {GAP:.0%} of {arch} at {value:.1%}"
            for other in others
            if mean.get((task, other), 0.0) > value - GAP
        ]
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--archs", default="gru,transformer")
    parser.add_argument(
        "--rates", default="0.005", help="learning rates in order; a model that solves the task tries no further ones"
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    record_options(parser, RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = {key: getattr(options, key) for key in ("batch", "width")}
    record = Record(options.out, {**settings, "data": TASKS, "steps": STEPS}, go_on=options.go_on)
    seeds, rates = map(int, options.seeds.split(",")), list(map(float, options.rates.split(",")))
    for task, arch, seed, rate in product(options.tasks.split(","), options.archs.split(","), list(seeds), rates):
        same = record.matching(task=task, arch=arch, seed=seed)
        if any(one["rate"] == rate or one["valid"] >= 0.999 for one in same):
            continue
        data = load_labelled(TASKS[task])
        with tempfile.TemporaryDirectory() as folder:
            result = trial(data, configured(task, arch, rate, seed, options), Path(folder) / "run")
        record.add({"task": task, "arch": arch, "seed": seed, "rate": rate, **result})
        print(f"{task} {arch} seed {seed} rate {rate:g}: valid {result['valid']:.1%}, test {result['test']:.1%}, "
              f"{result['train_s']:.0f} s", flush=True)  # fmt: skip
    wrong = verdicts(record.results)
    print("\n".join(wrong) or "all checks passed")
    raise SystemExit(5 if wrong else 0)


if __name__ == "__main__":
    main()
