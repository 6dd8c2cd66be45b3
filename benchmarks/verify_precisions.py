"""Multi30k, German to English: what narrower products cost a trained Transformer in BLEU.

    python benchmarks/verify_precisions.py                         # ten minutes on one idle core
    python benchmarks/verify_precisions.py --model runs/multi30k-transformer-0      # of `make verify-multi30k`

Trains the small Transformer of `verify_processes.py`, or takes a run that is there, and measures BLEU on test 2016 in
float32, bf16 and int8, by greedy decoding and beam search, as `sightline eval --compare-precision` does. A training
that was stopped continues. Writes benchmarks/results/precisions.json. Exit status 5 if the BLEU of a precision is more
than .2 below float32's.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from record import measured, write
from sightline.core.subnormals import flush_subnormals
from sightline.data.pairs.corpus import PairCorpus
from sightline.decoding.engine import DecodingConfig
from sightline.models import ARCHITECTURES
from sightline.tasks.fit import train_task
from sightline.tasks.load import Part, load
from sightline.tasks.precisions import compare_precisions
from sightline.tasks.translation.config import TokenizerConfig, TranslationConfig
from sightline.tasks.translation.task import TranslationTask
from sightline.training.progress import reporting
from sightline.training.state import TrainConfig
from verify_multi30k import corpus_of

OUT = Path(__file__).parent / "results" / "precisions.json"
MOST_LOST = 0.2  # BLEU
SEARCHES = {"greedy": DecodingConfig(), "beam 5": DecodingConfig(beam=5)}
MODEL = replace(ARCHITECTURES["transformer"], d_model=128, layers=2, d_feed_forward=512)


def trained(corpus: PairCorpus, budget: str, run: Path, seed: int) -> TranslationTask:
    """The small Transformer, trained, or the rest of its training."""
    config = TranslationConfig.preset(
        "transformer", model=MODEL, tokenizer=TokenizerConfig("bpe", size=4000, shared=True), batch_tokens=2048
    )
    training = TrainConfig(budget=budget, seed=seed, validations=1)
    with reporting(training.metric) as on_progress:
        untrained = TranslationTask.create(corpus, config, seed=seed)
        resume = (run / "checkpoints").exists()
        return train_task(untrained, corpus, run, training, resume=resume, on_progress=on_progress).task


def result_of(search: str, comparison: Any) -> dict[str, Any]:
    """BLEU by precision, and how far each is below float32's."""
    bleu = {precision: one.metrics["bleu"] for precision, one in comparison.measured.items()}
    lost = {precision: round(bleu["float32"] - one, 3) for precision, one in bleu.items() if precision != "float32"}
    return {
        "search": search, "bleu": {precision: round(one, 3) for precision, one in bleu.items()}, "lost": lost,
        "loss": {precision: round(one.metrics["loss"], 5) for precision, one in comparison.measured.items()},
        "same_outputs": comparison.same, "cpu_s": {name: round(s, 1) for name, s in comparison.cpu_s.items()},
        "left_out": comparison.left_out, "at_most": MOST_LOST, "met": all(one <= MOST_LOST for one in lost.values()),
        "signature": comparison.measured["float32"].details["signatures"]["bleu"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a run on this data; without, one is trained")
    parser.add_argument("--budget", default="800steps", help="training budget, as in sightline train")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--limit", type=int, help="use only the first N pairs of the test part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    flush_subnormals()
    corpus = corpus_of(Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "multi30k")
    run = chosen.model or chosen.runs / f"precisions-{chosen.budget}-{chosen.seed}"
    task = load(run) if chosen.model else trained(corpus, chosen.budget, run, chosen.seed)
    part = Part.of(corpus, "test", task.unit, chosen.limit)
    results = []
    for name, search in SEARCHES.items():
        comparison = compare_precisions(task, part, search)
        print(f"{name}: {comparison!r}", flush=True)
        results.append(result_of(name, comparison))
        facts = {"arch": task.arch, "parameters": task.parameters, "pairs": part.size, "threads": chosen.threads}
        facts |= {} if chosen.model else {"budget": chosen.budget}
        write(chosen.out, {**facts, "results": results, "environment": measured()})
    raise SystemExit(0 if passes(results) else 5)


def passes(results: list[dict[str, Any]]) -> bool:
    """Whether no precision loses more than it may; prints a line for each search."""
    for one in results:
        losses = ", ".join(f"{name} {0.0 - lost:+.2f}" for name, lost in one["lost"].items())
        verdict = "passed" if one["met"] else "failed"
        print(f"{one['search']}: BLEU {one['bleu']['float32']:.2f}; {losses}; at most {MOST_LOST} lost: {verdict}")
    return all(one["met"] for one in results)


if __name__ == "__main__":
    main()
