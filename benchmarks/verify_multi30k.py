"""Multi30k, German to English: do the architectures rank as published?

    python benchmarks/verify_multi30k.py --archs lstm,gru,bahdanau,transformer --budget 55min

Trains each architecture on the 29,000 pairs of `multi30k` under $SIGHTLINE_VERIFY_DATA (default ../shared/data),
lower-cased, with one byte-pair vocabulary of 8,000 for both languages, and prints BLEU on test 2016 (lower-cased) for
greedy decoding and beam search with sacreBLEU's signature. Writes the results to
benchmarks/results/multi30k-<arch>.json and resumes interrupted runs. Exit status 5 if a gap between architectures is
below 4 BLEU, or the Transformer is below 34.5.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import torch

from record import measured, write
from sightline.core.config import encode
from sightline.data.pairs.corpus import PairCorpus, load_corpus
from sightline.decoding.engine import DecodingConfig
from sightline.models import ARCHITECTURES, ModelConfig
from sightline.tasks.fit import train_task
from sightline.tasks.translation.config import TokenizerConfig, TranslationConfig
from sightline.tasks.translation.task import TranslationTask
from sightline.training.optim import OptimConfig
from sightline.training.progress import reporting
from sightline.training.state import TrainConfig

RESULTS = Path(__file__).parent / "results"
PUBLISHED = {"lstm": 13.8, "gru": 20.6, "bahdanau": 28.3, "transformer": 36.5}
THRESHOLDS = {"transformer": 34.5}
LEAST_GAP = 4.0


@dataclass(frozen=True)
class Setting:
    """The training settings of one architecture, chosen on the validation part."""

    model: ModelConfig
    optim: OptimConfig
    batch_tokens: int = 3072
    label_smoothing: float = 0.1


def recurrent(lr: float = 2e-3) -> OptimConfig:
    """The optimizer of the recurrent architectures."""
    return OptimConfig(lr=lr, warmup_steps=200, schedule="cosine")


SETTINGS = {
    "lstm": Setting(replace(ARCHITECTURES["lstm"], d_model=384, layers=2, dropout=0.3), recurrent()),
    "gru": Setting(replace(ARCHITECTURES["gru"], d_model=384, dropout=0.3), recurrent()),
    "bahdanau": Setting(replace(ARCHITECTURES["bahdanau"], d_model=256, dropout=0.3), recurrent()),
    "transformer": Setting(
        replace(ARCHITECTURES["transformer"], d_model=256, layers=3, d_feed_forward=1024, tie="all", dropout=0.2),
        OptimConfig(lr=1.5e-3, warmup_steps=400, schedule="cosine"),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """The results of one architecture."""

    arch: str
    parameters: int
    budget: str
    epochs: float
    steps: int
    target_tokens: int
    train_s: float
    flops: float
    threads: int
    dtype: str
    bleu_greedy: float
    bleu_beam_5: float
    chrf_beam_5: float
    test_loss: float
    signature: str
    published_bleu: float
    environment: dict[str, object] = field(default_factory=dict)


def corpus_of(root: Path) -> PairCorpus:
    """Training, validation and test 2016 data, lower-cased."""

    def pair(name: str) -> str:
        return f"{root / name}.de.gz,{root / name}.en.gz"

    return load_corpus(pair("train"), valid=pair("val"), test=pair("test_2016_flickr"), lowercase=True)


def verify(arch: str, corpus: PairCorpus, budget: str, runs: Path, seed: int) -> Outcome:
    """Train one architecture, or resume its run, and evaluate it on the test part."""
    setting = SETTINGS[arch]
    config = TranslationConfig.preset(
        arch,
        model=setting.model,
        tokenizer=TokenizerConfig("bpe", size=8000, shared=True),
        batch_tokens=setting.batch_tokens,
        label_smoothing=setting.label_smoothing,
        validation_outputs=100,
    )
    train_config = TrainConfig(budget=budget, seed=seed, optim=setting.optim, validations=12, checkpoint_every_s=120)
    run = runs / f"multi30k-{arch}-{seed}"
    with reporting(train_config.metric) as on_progress:
        untrained = TranslationTask.create(corpus, config, seed=seed)
        result = train_task(
            untrained, corpus, run, train_config, resume=(run / "checkpoints").exists(), on_progress=on_progress
        )
    task, training = result.task, result.training
    greedy = task.measure(corpus.test)
    beam = task.measure(corpus.test, DecodingConfig(beam=5))
    return Outcome(
        arch=arch,
        parameters=task.parameters,
        budget=budget,
        epochs=round(training.tokens / labels(task, corpus), 2),
        steps=training.steps,
        target_tokens=training.tokens,
        train_s=round(training.seconds, 1),
        flops=training.flops,
        threads=torch.get_num_threads(),
        dtype=train_config.dtype,
        bleu_greedy=round(greedy.metrics["bleu"], 2),
        bleu_beam_5=round(beam.metrics["bleu"], 2),
        chrf_beam_5=round(beam.metrics["chrf"], 2),
        test_loss=round(beam.metrics["loss"], 4),
        signature=beam.details["signatures"]["bleu"],
        published_bleu=PUBLISHED[arch],
        environment=measured(),
    )


def labels(task: TranslationTask, corpus: PairCorpus) -> int:
    """Target tokens of one epoch, including end tokens."""
    return task.batches(corpus.train, seed=0).tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default=",".join(SETTINGS))
    parser.add_argument("--budget", default="55min", help="training budget of each architecture, as in sightline train")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    corpus = corpus_of(Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "multi30k")
    outcomes = []
    for arch in chosen.archs.split(","):
        outcome = verify(arch, corpus, chosen.budget, chosen.runs, chosen.seed)
        write(RESULTS / f"multi30k-{arch}.json", {**asdict(outcome), "setting": encode(SETTINGS[arch])})
        outcomes.append(outcome)
    raise SystemExit(0 if passes(outcomes) else 5)


def passes(outcomes: list[Outcome]) -> bool:
    """Whether the thresholds are met for the trained architectures; prints one line each."""
    good = True
    for below, above in pairwise(outcomes):
        gap = above.bleu_beam_5 - below.bleu_beam_5
        good &= gap >= LEAST_GAP
        print(
            f"{below.arch} {below.bleu_beam_5} < {above.arch} {above.bleu_beam_5}: gap {gap:.1f}, "
            f"required {LEAST_GAP}: {'passed' if gap >= LEAST_GAP else 'failed'}"
        )
    for outcome in outcomes:
        threshold = THRESHOLDS.get(outcome.arch, 0.0)
        good &= outcome.bleu_beam_5 >= threshold
        print(
            f"{outcome.arch}: BLEU {outcome.bleu_beam_5} (beam 5), {outcome.bleu_greedy} (greedy), "
            f"published {outcome.published_bleu}, "
            f"required {threshold}: {'passed' if outcome.bleu_beam_5 >= threshold else 'failed'}"
        )
    return good


if __name__ == "__main__":
    main()
