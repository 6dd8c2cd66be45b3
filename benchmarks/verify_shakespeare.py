"""Character-level tiny-shakespeare: the published small setting, and recurrences on the same tokens.

    python benchmarks/verify_shakespeare.py
    python benchmarks/verify_shakespeare.py --archs transformer --seed 1

The published number is nanoGPT's for a CPU: 4 layers, 4 heads, d_model 128, 12 rows of 64 characters per batch, 2,000
steps, no dropout, validation loss 1.88 nats per character on the last tenth of the text. Its validation loss is the
mean over rows of 64 characters without context at random positions; here it is the mean over all non-overlapping rows,
which the random rows estimate. Our model differs in details (rotary positions, RMS norm, a vocabulary with all bytes)
and uses the AdamW settings in `trial`. `lstm` and `gated_linear` have the same number of parameters and see the same
number of characters; their learning rates are those of the presets and were not tuned.

Each result is written to benchmarks/results/shakespeare.json. Exit status 5 if the Transformer is above 1.88. The text
is `tinyshakespeare/input.txt` under $SIGHTLINE_VERIFY_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from record import Record, record_options
from sightline.data.text.corpus import TextCorpus, load_text
from sightline.models import match_parameters
from sightline.tasks.fit import train_task
from sightline.tasks.language.config import LanguageConfig, TextTokenizerConfig
from sightline.tasks.language.task import LanguageTask
from sightline.training.optim import OptimConfig
from sightline.training.progress import reporting
from sightline.training.state import TrainConfig

RESULTS = Path(__file__).parent / "results" / "shakespeare.json"
PUBLISHED = 1.88
CONTEXT, ROWS, STEPS = 64, 12, 2000
RATES = {"transformer": 2e-3, "lstm": 3e-3, "gated_linear": 2e-3}


def setting(arch: str) -> LanguageConfig:
    """The published sizes; for other architectures, the width that gives the same number of parameters."""
    common = {"tokenizer": TextTokenizerConfig("char"), "context": CONTEXT, "batch_tokens": ROWS * CONTEXT}
    published = LanguageConfig.preset("transformer", **common)
    sizes = replace(published.model, d_model=128, layers=4, heads=4, dropout=0.0)
    if arch == "transformer":
        return replace(published, model=sizes)
    vocabulary = 4 + 256 + 65
    with torch.device("meta"):
        parameters = sum(p.numel() for p in sizes.build(vocabulary).parameters())
    config = LanguageConfig.preset(arch, **common)
    return replace(config, model=match_parameters(config.model, parameters, vocabulary, vocabulary))


def trial(arch: str, corpus: TextCorpus, rate: float, seed: int, run: Path) -> dict[str, Any]:
    """Train once; the loss of the final weights on the last tenth of the text."""
    config = TrainConfig(
        budget=f"{STEPS}steps",
        seed=seed,
        optim=OptimConfig(lr=rate, beta2=0.99, weight_decay=0.1, warmup_steps=100, final_lr=0.1),
        validations=4,
    )
    began = time.process_time()
    with reporting(config.metric) as on_progress:
        trained = train_task(
            LanguageTask.create(corpus, setting(arch), seed=seed), corpus, run, config, on_progress=on_progress
        )
    cpu_s = time.process_time() - began
    last = LanguageTask.load(run / "last").measure(corpus.valid)
    strided = LanguageTask.load(run / "last")
    strided.config = replace(strided.config, stride=CONTEXT // 4)
    strided_evaluation = strided.measure(corpus.valid)
    return {
        "arch": arch,
        "parameters": trained.task.parameters,
        "rate": rate,
        "seed": seed,
        "steps": trained.training.steps,
        "tokens": trained.training.tokens,
        "loss": last.metrics["loss"],
        "bits_per_byte": last.metrics["bits_per_byte"],
        "loss_stride_16": strided_evaluation.metrics["loss"],
        "best_validation_loss": trained.training.best_metric,
        "by_position": last.details["by_position"],
        "cpu_s": round(cpu_s, 1),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default=",".join(RATES))
    parser.add_argument("--rate", type=float, help="learning rate instead of the default one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    record_options(parser, RESULTS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    root = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data"))
    text = root / "tinyshakespeare" / "input.txt"
    if not text.exists():
        raise SystemExit(f"{text}: no such file; set SIGHTLINE_VERIFY_DATA to the folder with the data")
    corpus = load_text(text, test_share=0.0)
    record = Record(options.out, {"published": PUBLISHED}, go_on=options.go_on)
    for arch in options.archs.split(","):
        rate = options.rate or RATES[arch]
        if record.matching(arch=arch, rate=rate, seed=options.seed):
            continue
        with tempfile.TemporaryDirectory() as place:
            result = trial(arch, corpus, rate, options.seed, Path(place) / "run")
        record.add(result)
    for result in record.results:
        print(f"{result['arch']:14s} {result['parameters']:9,d} parameters  rate {result['rate']:g}"
              f"  seed {result['seed']}  {result['loss']:.4f} nats/character"
              f"  {result['loss_stride_16']:.4f} with stride 16"
              f"  {result['cpu_s']:.0f} s of CPU time")  # fmt: skip
    losses = [result["loss"] for result in record.matching(arch="transformer")]
    passed = bool(losses) and max(losses) <= PUBLISHED
    print("passed" if passed else f"failed: the loss of the Transformer must be at most {PUBLISHED}")
    raise SystemExit(0 if passed else 5)


if __name__ == "__main__":
    main()
