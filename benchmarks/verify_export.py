"""Multi30k through an export: an environment of numpy and onnxruntime alone translates as the model does.

    python benchmarks/verify_export.py --archs gru,transformer --budget 3min

Trains each architecture for a short time on the pairs of `multi30k` under $SIGHTLINE_VERIFY_DATA (default
../shared/data), lower-cased, with one byte-pair vocabulary of 4,000; exports it, makes a fresh virtual environment with
numpy and onnxruntime, and translates test 2016 there with the export's `run.py`. Prints how many sentences are the same
as from `predict`, the seconds of both, and BLEU; writes benchmarks/results/export-multi30k.json. A sentence may differ
where two tokens are equally likely to the last digits of float32. Exit status 5 if more than 5 in 1,000 do, or if the
environment has more than it needs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import sacrebleu

from record import measured, write
from sightline.export import FORMATS, export
from sightline.tasks.fit import train_task
from sightline.tasks.translation.config import TokenizerConfig, TranslationConfig
from sightline.tasks.translation.task import TranslationTask
from sightline.training.state import TrainConfig
from verify_multi30k import corpus_of

RESULTS = Path(__file__).parent / "results"
DIFFERING = 0.005  # of the sentences
ALLOWED = {"numpy", "onnxruntime", "flatbuffers", "packaging", "protobuf", "pip", "setuptools"}


def environment(folder: Path) -> Path:
    """A Python with numpy and onnxruntime; SystemExit where it has more."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    constraints = Path(__file__).parents[1] / "constraints.txt"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, "numpy", "onnxruntime"]
    subprocess.run(install, check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
    )
    more = {one["name"].lower() for one in json.loads(listed.stdout)} - ALLOWED
    if more:
        print(f"the environment has more than numpy and onnxruntime: {', '.join(sorted(more))}", file=sys.stderr)
        raise SystemExit(5)
    return python


def trained(arch: str, corpus: Any, budget: str, folder: Path) -> TranslationTask:
    """A model of about a million parameters."""
    tokenizer = TokenizerConfig("bpe", size=4000, shared=True)
    config = TranslationConfig.preset(arch, tokenizer=tokenizer, batch_tokens=3072)
    config = replace(config, model=config.model.resized(128))
    task = TranslationTask.create(corpus, config)
    return train_task(task, corpus, folder / arch, TrainConfig(budget=budget, validations=1)).task


def verify(arch: str, corpus: Any, budget: str, python: Path, folder: Path, limit: int | None) -> dict[str, Any]:
    """Train, export, and translate test 2016 twice."""
    task = trained(arch, corpus, budget, folder)
    sources, references = (list(side)[:limit] for side in (corpus.test.sources, corpus.test.targets))
    began = time.perf_counter()
    ours = task.predict(sources)
    seconds = time.perf_counter() - began
    export(task, FORMATS["onnx"], folder / f"{arch}-onnx", overwrite=True)
    began = time.perf_counter()
    command = [python, "-I", folder / f"{arch}-onnx" / "run.py"]
    done = subprocess.run(command, input="\n".join(sources) + "\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    theirs = done.stdout.removesuffix("\n").split("\n")
    outcome = {
        "arch": arch,
        "budget": budget,
        "sentences": len(sources),
        "same": sum(a == b for a, b in zip(ours, theirs, strict=True)),
        "predict_s": round(seconds, 2),
        "runner_s": round(time.perf_counter() - began, 2),
    }
    for name, outputs in (("bleu_predict", ours), ("bleu_runner", theirs)):
        outcome[name] = round(sacrebleu.corpus_bleu(outputs, [references]).score, 2)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", type=lambda text: text.split(","), default=["bahdanau", "transformer"])
    parser.add_argument("--budget", default="3min")
    parser.add_argument("--limit", type=int, help="translate only the first sentences of the test")
    arguments = parser.parse_args()
    root = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", Path(__file__).parents[2] / "shared" / "data")) / "multi30k"
    corpus = corpus_of(root)
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment(folder / "venv")
        for arch in arguments.archs:
            outcomes.append(verify(arch, corpus, arguments.budget, python, folder, arguments.limit))
            print(json.dumps(outcomes[-1]), flush=True)
    write(RESULTS / "export-multi30k.json", {"outcomes": outcomes, "environment": measured()})
    if any(one["same"] < (1.0 - DIFFERING) * one["sentences"] for one in outcomes):
        raise SystemExit(5)


if __name__ == "__main__":
    main()
