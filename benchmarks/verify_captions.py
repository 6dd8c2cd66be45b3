"""Captions: does a model that sees a handwritten number say its name?

    python benchmarks/verify_captions.py
    python benchmarks/verify_captions.py --kind two --archs transformer,gru --budget 300s
    python benchmarks/verify_captions.py --kind question

`mnist` under $SIGHTLINE_DATA (default ../shared/data). The caption is the digit's English word, letter by letter; of
`--kind two`, pictures of two digits side by side, it is two words ("four seven"), made of the same training and test
pictures: 55,000 random pairs to train on and 5,000 to choose on, the 10,000 test pictures each once left and once
right. Of `--kind question` a picture of one digit comes with one of three questions ("which digit is it?", "is it
even?", "is it more than four?"), drawn at random, and both are read as one memory (task `answering`). Validation, which
picks the best step and all settings, is the last 5,000 of the training pictures; of two digits both come from those.
Test: all 10,000 test pictures.

Gate, for the first architecture named: at least 98 % of the captions or answers right to the letter. Results go to
benchmarks/results/captions-<kind>-<arch>.json; exit status 5 where the gate does not hold.
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
    """What one architecture reached."""

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
    confused: list[tuple[str, str, int]]  # said, wanted, how often; the commonest
    guesses: dict[str, dict[str, float]]  # without a model
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, object] = field(default_factory=dict)


def manifests(kind: str, mnist: Path, folder: Path) -> dict[str, Path]:
    """A table of pictures, as places in an idx file, and captions for each part."""
    made = {}
    for part, prefix in FILES.items():
        pictures = read_idx(mnist / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(mnist / f"{prefix}-labels-idx1-ubyte.gz")
        names = [WORDS[label] for label in labels]
        file = (mnist / f"{prefix}-images-idx3-ubyte.gz").resolve()
        if part == "test":
            made["test"] = rows(kind, pictures, names, file, folder, "test")
            continue
        first = len(labels) - VALIDATED
        made["train"] = rows(kind, pictures[:first], names[:first], file, folder, "train")
        made["valid"] = rows(kind, pictures[first:], names[first:], file, folder, "valid", first)
    return made


def rows(
    kind: str, pictures: np.ndarray, names: list[str], file: Path, folder: Path, part: str, first: int = 0
) -> Path:
    """The table of one part; of two digits the pictures stand in an idx file of their own."""
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
    """Trains one architecture, or goes on with it, and scores it on the test part."""
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
    found = task.measure(corpus.test)
    pairs = zip(found.outputs, found.references, strict=True)
    confused = Counter((said, wanted) for said, wanted in pairs if said != wanted)
    settings = encode(run)
    return Outcome(
        kind=kind,
        arch=arch,
        parameters=task.parameters,
        budget=run.training.budget,
        steps=training.steps,
        train_s=round(training.seconds, 1),
        tested=len(corpus.test),
        right=round(found.metrics["exact_match"], 5),
        cer=round(found.metrics["cer"], 5),
        loss=round(found.metrics["loss"], 5),
        confused=[(said, wanted, count) for (said, wanted), count in confused.most_common(10)],
        guesses={
            baseline.name: {name: round(baseline.metrics[name], 4) for name in ("cer", "exact_match")}
            for baseline in task.baselines(corpus.train, corpus.test)
        },
        settings={key: settings[key] for key in ("picture", "model", "optim", "batch_tokens", "seed")},
        environment=measured(),
    )


def holds(outcome: Outcome) -> bool:
    """Whether the gate holds, in a line."""
    good = outcome.right >= LEAST_RIGHT
    verdict = "holds" if good else "does not hold"
    print(f"{outcome.arch}, {outcome.kind}: right {outcome.right:.2%}, at least {LEAST_RIGHT:.0%}: {verdict}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(TASKS), default="one")
    parser.add_argument("--archs", default="bahdanau")
    parser.add_argument("--budget", help="of training, each; as in sightline train; without it that of the kind")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another setting")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    changes = {"budget": chosen.budget or BUDGETS[chosen.kind], **dict(text.split("=", 1) for text in chosen.set)}
    mnist = Path(os.environ.get("SIGHTLINE_DATA", "../shared/data")) / "mnist"
    good = []
    with tempfile.TemporaryDirectory() as folder:
        parts = manifests(chosen.kind, mnist, Path(folder))
        for arch in chosen.archs.split(","):
            outcome = verify(chosen.kind, arch, parts, chosen.runs, changes)
            write(chosen.out / f"captions-{chosen.kind}-{arch}.json", asdict(outcome))
            good.append(holds(outcome))
    raise SystemExit(0 if good[0] else 5)


if __name__ == "__main__":
    main()
