"""Free Spoken Digits: does a small encoder over log-mel frames classify 97 % of the official test recordings?

    python benchmarks/verify_spoken_labels.py --arch gru --steps 1000

Trains an encoder on the wav files of `fsdd` under $SIGHTLINE_VERIFY_DATA (default ../shared/data), read from a table
of their paths: recordings 0 to 4 of each digit and speaker are the official test part (300), recordings 5 to 9 are for
validation (300), and the other 2,400 are for training. The model with the best validation accuracy and the baselines
are evaluated once on the test part.

Writes the results to benchmarks/results/spoken-labels.json; `--go-on` keeps the results in this file. Exit status 5
below 97 %.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from record import Record, record_options
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.parts.spec_augment import SpecAugmentConfig
from sightline.tasks.classification.config import ClassificationRun
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import train_task
from sightline.tasks.media.config import SoundConfig
from sightline.training.optim import OptimConfig
from sightline.training.progress import reporting

RESULTS = Path(__file__).parent / "results" / "spoken-labels.json"
GATE, RATE_HZ = 0.97, 8000
TESTED, VALIDATED = range(5), range(5, 10)  # recording numbers


def configured(options: argparse.Namespace, table: Path) -> ClassificationRun:
    """The training configuration; rate and sizes were chosen on the validation recordings."""
    preset = ClassificationRun.preset(options.arch)
    model: Any = preset.settings.model
    augment = SpecAugmentConfig(band_width=options.band_width, stretch_share=options.stretch_share)
    return preset.changed(
        data=str(table),
        split_column="part",
        model=replace(model, d_model=options.d_model, layers=2, pooling=options.pooling, dropout=options.dropout),
        sound=SoundConfig(rate_hz=RATE_HZ, mels=40, normalise="level", stride=options.stride, augment=augment),
        optim=OptimConfig(lr=options.lr, weight_decay=0.01, warmup_steps=options.steps // 20),
        batch_size=options.batch_size,
        budget=f"{options.steps}steps",
        validations=10,
        metric="accuracy",
        seed=options.seed,
        dtype="float32",
        checkpoint_every_s=600.0,
    )


def write_table(recordings: Path, table: Path) -> None:
    """Write the paths of all recordings with their digit and part."""
    lines = ["source,label,part"]
    for path in sorted(recordings.glob("*.wav")):
        digit, _, number = path.stem.split("_")
        part = "test" if int(number) in TESTED else "valid" if int(number) in VALIDATED else "train"
        lines.append(f"{path.resolve()},{digit},{part}")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")


def trained(options: argparse.Namespace, run: ClassificationRun, data: LabelledCorpus, place: Path) -> dict[str, Any]:
    """Train once and evaluate on the test recordings."""
    task = ClassificationTask.build(data, run)
    with reporting(run.training.metric) as on_progress:
        trained_run = train_task(task, data, place, run.training, on_progress=on_progress)
    evaluation = trained_run.task.measure(data.test)
    names = ("arch", "seed", "pooling", "d_model", "steps", "batch_size", "lr")
    names += ("stride", "band_width", "stretch_share", "dropout")
    settings = {name: getattr(options, name) for name in names}
    return {
        **settings,
        "parameters": task.parameters,
        "best_step": trained_run.training.best_step,
        "train_s": round(trained_run.training.seconds, 1),
        "dtype": run.training.dtype,
        "metrics": {name: round(value, 5) for name, value in evaluation.metrics.items()},
        "confusion": evaluation.details["confusion"],
        "items": data.sizes,
        "baselines": {one.name: one.metrics for one in trained_run.task.baselines(data.train, data.valid, data.test)},
        "threads": options.threads,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="gru")
    parser.add_argument("--pooling", default="mean")
    parser.add_argument("--d-model", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--stride", type=int, default=4, choices=[1, 2, 4, 8])
    parser.add_argument("--band-width", type=int, default=10, help="of SpecAugment, out of 40 bands")
    parser.add_argument("--stretch-share", type=float, default=0.3, help="of SpecAugment, as a fraction of the sound")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch-size", type=int, default=96)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    record_options(parser, RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    root = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "fsdd" / "recordings"
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "recordings.csv"
        write_table(root, table)
        run = configured(options, table)
        data = ClassificationTask.load_data(run)
        result = trained(options, run, data, Path(folder) / "run")
    Record(options.out, go_on=options.go_on).add(result)
    accuracy = result["metrics"]["accuracy"]
    print(f"{options.arch}, seed {options.seed}: {accuracy:.2%} of {data.sizes['test']} test recordings, "
          f"{result['parameters']:,} parameters, {result['train_s']:.0f} s")  # fmt: skip
    for name, metrics in result["baselines"].items():
        print(f"{name}: {metrics['accuracy']:.2%}")
    print("all checks passed" if accuracy >= GATE else f"below {GATE:.0%}")
    raise SystemExit(0 if accuracy >= GATE else 5)


if __name__ == "__main__":
    main()
