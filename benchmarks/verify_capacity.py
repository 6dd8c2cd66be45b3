"""What a byte of state recalls: mechanisms at equal bytes of state, on multi-query associative recall.

    python benchmarks/verify_capacity.py --go-on                     # continues where it was stopped
    python benchmarks/verify_capacity.py --bytes 4000 --seeds 0 --out capacity-4000.json

The models are those of `sightline.lab.capacity`: a short convolution of 3, then one layer of the mechanism with one
head, width 64. The size of the head is the even one with which the state before the first question of rows of 16 pairs
is nearest to the target number of bytes, measured; 512 bytes of it are the convolution's. One training has rows of 4,
8, 16 and 32 pairs out of 255 keys and 256 values, in the first half of the steps rows of 4 pairs. Each learning rate is
tried with every seed; the one with the best accuracy on validation rows is reported. 20 minutes on one core.

Expected: no window exceeds its ceiling by more than chance, and at 16 pairs softmax attention is better than
gated_delta, this better than linear attention, and this better than a window of 16. Exit status 5 if a window exceeds
its ceiling. The order is the question, not a check: every pair is reported, as better, practically the same or not
decided.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from record import Record, record_options
from sightline.lab.capacity import (
    SHARE,
    RecallModel,
    RecallTraining,
    recall_point,
    rows_for,
    stored_bytes,
    trial,
    visibility,
)
from sightline.lab.recall_tasks import MultiQueryRecall
from sightline.lab.stats import compare_items

OUT = Path(__file__).parent / "results" / "capacity.json"
PAIRS, COMPARED, WIDTH = (4, 8, 16, 32), 16, 64
HEADS = range(4, 129, 2)  # sizes of the head
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("softmax", {}),
    "gated_delta": ("gated_delta", {}),
    "delta_net": ("gated_delta", {"decay": False, "gate": False}),
    "linear": ("linear", {}),
    "window_16": ("window", {"window": 16}),
    "window_32": ("window", {"window": 32}),
}
ORDER = ("softmax", "gated_delta", "linear", "window_16")
TASKS = [MultiQueryRecall(pairs) for pairs in PAIRS]
COMPARED_TASK = TASKS[PAIRS.index(COMPARED)]


def model_of(name: str, target: int) -> RecallModel:
    """The model with a state nearest to the target bytes."""
    mixer, options = MODELS[name]
    models = [RecallModel(mixer, {**options, "d_head": size}, WIDTH) for size in HEADS]
    return min(models, key=lambda model: abs(bytes_of(model, COMPARED_TASK) - target))


def bytes_of(model: RecallModel, task: MultiQueryRecall) -> int:
    return stored_bytes(model.build(task.vocabulary, 0), task)


def trained(name: str, target: int, rate: float, seed: int, training: RecallTraining) -> dict[str, Any]:
    """One training: accuracy at each number of pairs, and the shares of right answers of rows of 16 pairs."""
    model = model_of(name, target)
    one = trial(model, TASKS, rate, seed, training)
    return {
        "model": name,
        "target_bytes": target,
        "d_head": model.options["d_head"],
        "rate": rate,
        "seed": seed,
        "loss": one.loss,
        "valid": float(np.mean([right.mean() for right in one.valid])),
        "right": [counts_of(right, task) for task, right in zip(TASKS, one.test)],
        "cpu_s": round(one.cpu_s, 1),
    }


def counts_of(right: np.ndarray, task: MultiQueryRecall) -> str:
    """The numbers of right answers of each row, on one line of the file."""
    return " ".join(str(round(share * task.items)) for share in right)


def shares_of(one: dict[str, Any], place: int) -> np.ndarray:
    """The shares of right answers (N,) of each row at one number of pairs."""
    return np.array(one["right"][place].split(), dtype=float) / PAIRS[place]


def best_rate(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials of one model with the rate that has the best validation rows, by seed."""
    rates = sorted({one["rate"] for one in results})
    best = max(rates, key=lambda rate: np.mean([one["valid"] for one in results if one["rate"] == rate]))
    return sorted((one for one in results if one["rate"] == best), key=lambda one: one["seed"])


def summary(results: Sequence[dict[str, Any]], training: RecallTraining) -> dict[str, Any]:
    """Points and ceilings of each model, and the outcome of each pair in the expected order, by bytes."""
    summed: dict[str, Any] = {"points": [], "order": [], "wrong": []}
    for target in sorted({one["target_bytes"] for one in results}):
        chosen = {}
        for name in MODELS:
            of_model = [one for one in results if (one["model"], one["target_bytes"]) == (name, target)]
            if of_model:
                chosen[name] = best_rate(of_model)
                summed["points"] += points_of(name, target, chosen[name], training)
        right = {name: np.array([shares_of(one, PAIRS.index(COMPARED)) for one in of]) for name, of in chosen.items()}
        for pair in compare_items(right, replace(SHARE, relative_margin=False)).pairs:
            if pair.first in ORDER and pair.second in ORDER:
                agrees = ORDER.index(pair.first) < ORDER.index(pair.second)
                summed["order"].append({"target_bytes": target, "as_expected": agrees, **asdict(pair)})
    for point in summed["points"]:
        low, ceiling = point["accuracy"]["low"], point["ceiling"]  # what is above it is not chance
        if low is not None and low > ceiling:
            summed["wrong"].append(f"{point['model']} at {point['items']} pairs: {low:.1%}, above {ceiling:.1%}")
    return summed


def points_of(name: str, target: int, of: Sequence[dict[str, Any]], training: RecallTraining) -> list[dict[str, Any]]:
    model = model_of(name, target)
    visible = visibility(model.build(TASKS[0].vocabulary, 0), TASKS[-1].length)
    points = []
    for place, task in enumerate(TASKS):
        seen = rows_for(task, training).seen(visible[: task.length, : task.length])
        point = recall_point(task, bytes_of(model, task), np.array([shares_of(one, place) for one in of]), seen)
        fixed = {"model": name, "target_bytes": target, "d_head": of[0]["d_head"], "rate": of[0]["rate"]}
        loss = float(np.mean([one["loss"] for one in of]))
        points.append({**fixed, "loss": loss, **asdict(point), "bits_per_byte": point.bits_per_byte})
    return points


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--bytes", default="2500,4600,8700")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rates", default="0.02,0.007")
    parser.add_argument("--steps", type=int, default=500)
    record_options(parser, OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    training = RecallTraining(steps=options.steps)
    settings = {"pairs": list(PAIRS), "width": WIDTH, "training": {**asdict(training), "rates": []}}  # as JSON has them
    record = Record(options.out, settings, go_on=options.go_on)
    for seed in map(int, options.seeds.split(",")):
        for target in map(int, options.bytes.split(",")):
            for name in options.models.split(","):
                for rate in map(float, options.rates.split(",")):
                    if record.matching(model=name, target_bytes=target, rate=rate, seed=seed):
                        continue
                    one = trained(name, target, rate, seed, training)
                    record.add(one)
                    shares = ", ".join(f"{shares_of(one, place).mean():.1%}" for place in range(len(PAIRS)))
                    print(f"{name:12s} {target} bytes, rate {rate:g}, seed {seed}: {shares}", flush=True)
    found = summary(record.results, training)
    record.write(**found)
    for point in found["points"]:
        if point["items"] == COMPARED:
            print(f"{point['model']:12s} {point['state_bytes']:6d} bytes  {point['accuracy']['mean']:6.1%}  "
                  f"ceiling {point['ceiling']:6.1%}  {point['bits_per_byte']:.3f} bits per byte")  # fmt: skip
    for pair in found["order"]:
        print(f"{pair['target_bytes']} bytes: {pair['first']} over {pair['second']}: {pair['outcome']}"
              f"{'' if pair['as_expected'] else ', against the expected order'}")  # fmt: skip
    print("\n".join(found["wrong"]), file=sys.stderr)
    return 5 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
