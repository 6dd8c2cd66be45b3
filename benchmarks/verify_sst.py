"""Stanford Sentiment: does the BiLSTM with additive attention reach the accuracy published by Jain & Wallace 2019?

    python benchmarks/verify_sst.py --seeds 0,1,2

Trains the preset `bilstm_attention` on `sst/sst_dataset.csv` under $SIGHTLINE_VERIFY_DATA (default ../shared/data),
with the published split of the binary task: sentences of more than 5 words without the longest ones of each part,
1,725 test items. The settings are the published ones (embeddings of 300, an LSTM of 128 units per direction, batches
of 32, Adam with a learning rate of 0.001 and a weight decay of 0.00001, at most 8 epochs, selection on the development
part), with three differences: randomly initialised embeddings instead of FastText's, weight decay decoupled from the
gradient and not applied to embeddings, and four validations per epoch. Published accuracy: .808. The baselines are
evaluated on the same items.

Writes the results to benchmarks/results/sst.json; `--go-on` trains only missing ones. Exit status 5 if there are not
1,725 test items, or if the mean accuracy is outside .79 to .83.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from record import Record, record_options
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.tasks.classification.config import ClassificationRun
from sightline.tasks.classification.task import ClassificationTask
from sst import BILSTM, PATIENCE, sentences, sst_run, train_sst, wrong_accuracy, wrong_sizes

RESULTS = Path(__file__).parent / "results" / "sst.json"
PUBLISHED = 0.808


def trained(data: LabelledCorpus, seed: int, options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Train once; the settings and the metrics on the test part."""
    changes = {"dropout": options.dropout, "min_count": options.min_count}
    run = sst_run(data, seed, patience=options.patience, **changes)
    task = ClassificationTask.build(data, run)
    trained_run = train_sst(task, data, run, place)
    best = next(
        r
        for r in trained_run.training.history
        if r["event"] == "valid" and r["steps"] == trained_run.training.best_step
    )
    evaluation = trained_run.task.measure(data.test)
    return {
        "seed": seed,
        **changes,
        "parameters": task.parameters,
        "vocabulary": 0 if task.inputs.words is None else task.inputs.words.size,
        "steps": trained_run.training.steps,
        "best_step": trained_run.training.best_step,
        "train_s": round(trained_run.training.seconds, 1),
        "dev_accuracy": round(best["accuracy"], 4),
        **{name: round(value, 4) for name, value in evaluation.metrics.items()},
        "reliability": evaluation.details["reliability"],
        "confusion": evaluation.details["confusion"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--min-count", type=int, default=1)
    parser.add_argument("--patience", type=int, default=PATIENCE, help="validations without improvement")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    record_options(parser, RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = sentences()
    print("items:", data.sizes)
    settings = {"items": data.sizes, "sha256": data.sha256, "published": PUBLISHED, "threads": options.threads}
    record = Record(options.out, settings, go_on=options.go_on)
    with tempfile.TemporaryDirectory() as runs:
        for seed in map(int, options.seeds.split(",")):
            same = {"seed": seed, "dropout": options.dropout, "min_count": options.min_count}
            if record.matching(**same):
                continue
            one = trained(data, seed, options, Path(runs) / str(seed))
            record.add(one)
            details = (
                f"dev {one['dev_accuracy']:.4f}, step {one['best_step']} of {one['steps']}, {one['train_s']:.0f} s"
            )
            print(f"seed {seed}: test accuracy {one['accuracy']:.4f}, {details}", flush=True)
    task = ClassificationTask.build(data, ClassificationRun.preset(BILSTM))
    baselines = {baseline.name: baseline.metrics for baseline in task.baselines(data.train, data.valid, data.test)}
    for name, metrics in baselines.items():
        print(f"{name}: {metrics['accuracy']:.4f}")
    mean = sum(one["accuracy"] for one in record.results) / len(record.results)
    record.write(mean_accuracy=round(mean, 4), baselines=baselines)
    wrong = wrong_sizes(data) + wrong_accuracy(mean)
    print(f"n = {data.sizes['test']}, mean accuracy {mean:.4f} (published {PUBLISHED})")
    print("\n".join(wrong) or "all checks passed")
    raise SystemExit(5 if wrong else 0)


if __name__ == "__main__":
    main()
