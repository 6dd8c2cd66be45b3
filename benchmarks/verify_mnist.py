"""MNIST in patches: does a small Vision Transformer reach 98.5 % on the official test images?

    python benchmarks/verify_mnist.py --epochs 15 --threads 2
    python benchmarks/verify_mnist.py --epochs 6 --stem convolution

Trains the preset `transformer` on patches of 4 × 4 pixels (49 positions) of the 60,000 training images of `mnist`
under $SIGHTLINE_VERIFY_DATA (default ../shared/data). The last 5,000 of them are for validation. Training images are
randomly shifted by up to two pixels in each direction. `--stem convolution` uses overlapping convolutions for the
patches (Xiao et al. 2021). Interrupted runs are resumed. The model with the best validation accuracy and the baselines
are evaluated once on the 10,000 test images.

Writes the results to benchmarks/results/mnist.json. Exit status 5 below 98.5 %.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from record import measured, write
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.part import LabelledPart, content_sha256
from sightline.data.media.images import read_idx
from sightline.tasks.classification.config import ClassificationRun
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import train_task
from sightline.tasks.media.config import PictureConfig
from sightline.training.optim import OptimConfig
from sightline.training.progress import reporting

RESULTS = Path(__file__).parent / "results" / "mnist.json"
GATE, VALID = 0.985, 5000
CLASSES = tuple("0123456789")


def part(root: Path, name: str, rows: slice) -> LabelledPart:
    """Images and labels from a pair of idx files."""
    images = read_idx(root / f"{name}-images-idx3-ubyte.gz")[rows]
    labels = read_idx(root / f"{name}-labels-idx1-ubyte.gz")[rows]
    places = [f"{name} image {number}" for number in range(len(images))]
    return LabelledPart("image", False, list(images[:, None]), [(str(label),) for label in labels.tolist()], places)


def images(root: Path) -> LabelledCorpus:
    """The official parts, with the last training images for validation."""
    parts = {
        "train": part(root, "train", slice(None, -VALID)),
        "valid": part(root, "train", slice(-VALID, None)),
        "test": part(root, "t10k", slice(None)),
    }
    return LabelledCorpus("MNIST", **parts, sha256=content_sha256(parts), classes=CLASSES)


def configured(options: argparse.Namespace, steps: int) -> ClassificationRun:
    """The training configuration."""
    preset = ClassificationRun.preset("transformer")
    model: Any = preset.settings.model
    return preset.changed(
        model=replace(
            model, d_model=options.d_model, layers=options.layers, heads=4, pooling=options.pooling, dropout=0.0
        ),
        picture=PictureConfig(colour="grey", patch=options.patch, stem=options.stem, mean=0.1307, deviation=0.3081),
        optim=OptimConfig(lr=options.lr, weight_decay=0.05, warmup_steps=steps // 20),
        shift_pixels=2,
        batch_size=options.batch_size,
        validation_items=VALID,
        budget=f"{steps}steps",
        validations=options.epochs,
        metric="accuracy",
        seed=options.seed,
        checkpoint_every_s=60.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--stem", default="linear", choices=["linear", "convolution"])
    parser.add_argument("--pooling", default="mean", choices=["mean", "cls"])
    parser.add_argument("--d-model", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = images(Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "mnist")
    steps = options.epochs * -(-data.sizes["train"] // options.batch_size)
    run = configured(options, steps)
    task = ClassificationTask.build(data, run)
    place = options.runs / f"mnist-{options.stem}-{options.pooling}-{options.epochs}-{options.seed}"
    with reporting(run.training.metric) as on_progress:
        trained = train_task(
            task, data, place, run.training, resume=(place / "checkpoints").exists(), on_progress=on_progress
        )
    evaluation = trained.task.measure(data.test)
    baselines = {one.name: one.metrics for one in trained.task.baselines(data.train, data.valid, data.test)}
    keys = ("epochs", "patch", "stem", "pooling", "d_model", "layers", "lr", "seed")
    settings = {key: getattr(options, key) for key in keys}
    content = {
        "items": data.sizes,
        **settings,
        "batch_size": options.batch_size,
        "parameters": task.parameters,
        "steps": trained.training.steps,
        "train_s": round(trained.training.seconds, 1),
        "dtype": run.training.dtype,
        "metrics": {name: round(value, 5) for name, value in evaluation.metrics.items()},
        "reliability": evaluation.details["reliability"],
        "confusion": evaluation.details["confusion"],
        "validations": [
            {"steps": r["steps"], "accuracy": r["accuracy"], "loss": r["loss"]}
            for r in trained.training.history
            if r["event"] == "valid"
        ],
        "baselines": baselines,
        "threads": options.threads,
        "environment": measured(),
    }
    write(options.out, content)
    accuracy = evaluation.metrics["accuracy"]
    wrong = int(np.rint((1 - accuracy) * data.sizes["test"]))
    print(f"accuracy {accuracy:.2%} ({wrong} of {data.sizes['test']:,} wrong), "
          f"{task.parameters:,} parameters, {trained.training.seconds:.0f} s")  # fmt: skip
    for name, metrics in baselines.items():
        print(f"{name}: {metrics['accuracy']:.2%}")
    print("all checks passed" if accuracy >= GATE else f"below {GATE:.1%}")
    raise SystemExit(0 if accuracy >= GATE else 5)


if __name__ == "__main__":
    main()
