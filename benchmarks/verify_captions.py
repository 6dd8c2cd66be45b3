"""MNIST captions: does a model write the name of a handwritten digit?

    python benchmarks/verify_captions.py
    python benchmarks/verify_captions.py --kind two --archs transformer,gru --budget 300s
    python benchmarks/verify_captions.py --kind question

Reads `mnist` under $SIGHTLINE_VERIFY_DATA (default ../shared/data). The caption is the English word of the digit,
letter by letter. With `--kind two`, pictures contain two digits next to each other and captions two words ("four
seven"): 55,000 random training pairs, 5,000 validation pairs, and 10,000 test pairs in which each test picture is once
left and once right. With `--kind question`, a picture of one digit comes with one of three random questions ("which
digit is it?", "is it even?", "is it more than four?"), both in one memory (task `answering`). The validation part,
which selects the best step and all settings, consists of the last 5,000 training pictures. The test part consists of
all 10,000 test pictures.

Threshold for the first architecture: at least 98 % of captions or answers exactly correct. Writes the results to
benchmarks/results/captions-<kind>-<arch>.json. Exit status 5 if the threshold is not met.
"""

from __future__ import annotations

import argparse
import os
import struct
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from record import measured, write
from sightline.core.config import encode, override
from sightline.data.media.images import read_idx
from sightline.tasks.fit import train_task
from sightline.tasks.media.answering import AnsweringTask
from sightline.tasks.media.captioning import CaptioningTask
from sightline.tasks.media.task import MediaTextTask
from sightline.training.progress import reporting

RESULTS = Path(__file__).parent / "results"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
QUESTIONS = {
    "which digit is it?": lambda digit: WORDS[digit],
    "is it even?": lambda digit: "no" if digit % 2 else "yes",
    "is it more than four?": lambda digit: "yes" if digit > 4 else "no",
}
TASKS: dict[str, type[MediaTextTask]] = {"one": CaptioningTask, "two": CaptioningTask, "question": AnsweringTask}
BUDGETS = {"one": "1400steps", "two": "2800steps", "question": "2800steps"}
FILES = {"train": "train", "test": "t10k"}
VALIDATED = 5000
LEAST_RIGHT = 0.98
# Chosen on the validation part; the same for every architecture.
SETTINGS: dict[str, Any] = {
    "picture.colour": "grey",
    "picture.patch": 4,
    "picture.stem": "convolution",
    "model.dropout": 0.05,
    "batch_tokens": 4096,
    "dtype": "float32",
    "validations": 4,
    "validation_items": 1000,
    "validation_outputs": 100,
}


@dataclass(frozen=True)
class Outcome:
    """The results of one architecture."""

    kind: str
    arch: str
    parameters: int
    budget: str
    steps: int
    train_s: float
    tested: int
    right: float
    cer: float
    loss: float
    confused: list[tuple[str, str, int]]  # output, reference, count; the most frequent ones
    guesses: dict[str, dict[str, float]]  # baselines
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, object] = field(default_factory=dict)


def manifests(kind: str, mnist: Path, folder: Path) -> dict[str, Path]:
    """A table per part with pictures, as locations in an idx file, and captions."""
    tables = {}
    for part, prefix in FILES.items():
        pictures = read_idx(mnist / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(mnist / f"{prefix}-labels-idx1-ubyte.gz")
        names = [WORDS[label] for label in labels]
        file = (mnist / f"{prefix}-images-idx3-ubyte.gz").resolve()
        if part == "test":
            tables["test"] = rows(kind, pictures, names, file, folder, "test")
            continue
        first = len(labels) - VALIDATED
        tables["train"] = rows(kind, pictures[:first], names[:first], file, folder, "train")
        tables["valid"] = rows(kind, pictures[first:], names[first:], file, folder, "valid", first)
    return tables


def rows(
    kind: str, pictures: np.ndarray, names: list[str], file: Path, folder: Path, part: str, first: int = 0
) -> Path:
    """The table of one part; pictures with two digits are written to a new idx file."""
    header = "source,target"
    if kind == "one":
        lines = [f"{file}#{first + number},{name}" for number, name in enumerate(names)]
    elif kind == "question":
        header = "image,question,target"
        asked = np.random.default_rng([first, len(names)]).integers(len(QUESTIONS), size=len(names))
        lines = []
        for number, (name, which) in enumerate(zip(names, asked, strict=True)):
            question, answer = list(QUESTIONS.items())[which]
            lines.append(f"{file}#{first + number},{question},{answer(WORDS.index(name))}")
    else:
        file = folder / f"{part}-idx3-ubyte"
        random = np.random.default_rng(0)
        left, right = random.permutation(len(names)), random.permutation(len(names))
        both = np.concatenate([pictures[left], pictures[right]], 2)  # (N, 28, 56)
        file.write_bytes(struct.pack(">IIII", 0x0803, *both.shape) + both.tobytes())
        lines = [
            f"{file}#{number},{names[a]} {names[b]}" for number, (a, b) in enumerate(zip(left, right, strict=True))
        ]
    path = folder / f"{part}.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def verify(kind: str, arch: str, parts: dict[str, Path], runs: Path, changes: dict[str, Any]) -> Outcome:
    """Train one architecture, or resume its run, and evaluate it on the test part."""
    data = {"data": str(parts["train"]), "valid": str(parts["valid"]), "test": str(parts["test"])}
    job = TASKS[kind]
    run = override(job.preset(arch), {**SETTINGS, **data, **changes})
    corpus = job.load_data(run)
    place = runs / f"captions-{kind}-{arch}-{run.training.seed}"
    with reporting(run.training.metric) as on_progress:
        trained = train_task(
            job.build(corpus, run),
            corpus,
            place,
            run.training,
            resume=(place / "checkpoints").exists(),
            on_progress=on_progress,
        )
    task, training = trained.task, trained.training
    evaluation = task.measure(corpus.test)
    pairs = zip(evaluation.outputs, evaluation.references, strict=True)
    confused = Counter((output, reference) for output, reference in pairs if output != reference)
    settings = encode(run)
    return Outcome(
        kind=kind,
        arch=arch,
        parameters=task.parameters,
        budget=run.training.budget,
        steps=training.steps,
        train_s=round(training.seconds, 1),
        tested=len(corpus.test),
        right=round(evaluation.metrics["exact_match"], 5),
        cer=round(evaluation.metrics["cer"], 5),
        loss=round(evaluation.metrics["loss"], 5),
        confused=[(output, reference, count) for (output, reference), count in confused.most_common(10)],
        guesses={
            baseline.name: {name: round(baseline.metrics[name], 4) for name in ("cer", "exact_match")}
            for baseline in task.baselines(corpus.train, corpus.valid, corpus.test)
        },
        settings={key: settings[key] for key in ("picture", "model", "optim", "batch_tokens", "seed")},
        environment=measured(),
    )


def passes(outcome: Outcome) -> bool:
    """Whether the threshold is met; prints the result."""
    good = outcome.right >= LEAST_RIGHT
    verdict = "passed" if good else "failed"
    print(
        f"{outcome.arch}, {outcome.kind}: {outcome.right:.2%} correct, at least {LEAST_RIGHT:.0%} required: {verdict}"
    )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(TASKS), default="one")
    parser.add_argument("--archs", default="bahdanau")
    parser.add_argument(
        "--budget", help="training budget of each architecture, as in sightline train; default: by kind"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    changes = {"budget": chosen.budget or BUDGETS[chosen.kind], **dict(text.split("=", 1) for text in chosen.set)}
    mnist = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "mnist"
    good = []
    with tempfile.TemporaryDirectory() as folder:
        parts = manifests(chosen.kind, mnist, Path(folder))
        for arch in chosen.archs.split(","):
            outcome = verify(chosen.kind, arch, parts, chosen.runs, changes)
            write(chosen.out / f"captions-{chosen.kind}-{arch}.json", asdict(outcome))
            good.append(passes(outcome))
    raise SystemExit(0 if good[0] else 5)


if __name__ == "__main__":
    main()
