"""Transcription of spoken digits on the official test recordings.

    python benchmarks/verify_spoken_digits.py
    python benchmarks/verify_spoken_digits.py --archs transformer,gru --budget 3min --set sound.stride=2

Reads `fsdd` under $SIGHTLINE_VERIFY_DATA (default ../shared/data): 3,000 recordings at 8 kHz, fifty for each of ten
digits and six speakers. Official test part: recordings 0 to 4 of each digit and speaker, 300 in total. Validation
part, which selects the best step and all settings: recordings 5 to 9. Training part: the other 2,400. The target is
the English word of the digit, letter by letter.

Thresholds for the first architecture: character error rate at most 3 %, at least 97 % of words correct. Writes the
results to benchmarks/results/spoken-digits-<arch>.json. Exit status 5 if a threshold is not met.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from record import measured, write
from sightline.core.config import encode, override
from sightline.data.media.corpus import MediaCorpus
from sightline.tasks.fit import train_task
from sightline.tasks.media.transcription import TranscriptionTask
from sightline.training.progress import reporting

RESULTS = Path(__file__).parent / "results"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARTS = {"train": range(10, 50), "valid": range(5, 10), "test": range(5)}
SIZES = {"train": 2400, "valid": 300, "test": 300}
MOST_CER, LEAST_RIGHT = 0.03, 0.97
# Chosen on the validation part; the same for every architecture.
SETTINGS: dict[str, Any] = {
    "sound.rate_hz": 8000,
    "sound.augment.band_width": 10,
    "sound.augment.stretch_share": 0.3,
    "model.dropout": 0.2,
    "dtype": "float32",
    "validations": 10,
    "validation_outputs": 300,
}


@dataclass(frozen=True)
class Outcome:
    """The results of one architecture."""

    arch: str
    parameters: int
    budget: str
    steps: int
    train_s: float
    tested: int
    cer: float
    words_right: float
    loss: float
    wrong: list[tuple[str, str, str]]  # file, output, reference
    guesses: dict[str, dict[str, float]]  # baselines
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, object] = field(default_factory=dict)


def manifests(recordings: Path, folder: Path) -> dict[str, Path]:
    """A table of files and words per part."""
    rows: dict[str, list[str]] = {part: ["source,target"] for part in PARTS}
    for path in sorted(recordings.resolve().glob("*.wav")):
        digit, _, number = path.stem.split("_")
        part = next(part for part, numbers in PARTS.items() if int(number) in numbers)
        rows[part].append(f"{path},{WORDS[int(digit)]}")
    for part, lines in rows.items():
        (folder / f"{part}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {part: folder / f"{part}.csv" for part in PARTS}


def verify(arch: str, folder: Path, runs: Path, changes: dict[str, Any]) -> Outcome:
    """Train one architecture, or resume its run, and evaluate it on the test part."""
    data = {"data": str(folder / "train.csv"), "valid": str(folder / "valid.csv"), "test": str(folder / "test.csv")}
    run = override(TranscriptionTask.preset(arch), {**SETTINGS, **data, **changes})
    corpus: MediaCorpus = TranscriptionTask.load_data(run)
    if corpus.sizes != SIZES:
        raise SystemExit(f"expected {SIZES} recordings, found {corpus.sizes}")
    place = runs / f"spoken_digits-{arch}-{run.training.seed}"
    with reporting(run.training.metric) as on_progress:
        trained = train_task(
            TranscriptionTask.build(corpus, run),
            corpus,
            place,
            run.training,
            resume=(place / "checkpoints").exists(),
            on_progress=on_progress,
        )
    task, training = trained.task, trained.training
    evaluation = task.measure(corpus.test)
    named = zip(task.sources(corpus.test), evaluation.outputs, evaluation.references, strict=True)
    settings = encode(run)
    return Outcome(
        arch=arch,
        parameters=task.parameters,
        budget=run.training.budget,
        steps=training.steps,
        train_s=round(training.seconds, 1),
        tested=len(corpus.test),
        cer=round(evaluation.metrics["cer"], 5),
        words_right=round(evaluation.metrics["exact_match"], 5),
        loss=round(evaluation.metrics["loss"], 5),
        wrong=[(name, output, reference) for name, output, reference in named if output != reference],
        guesses={
            baseline.name: {name: round(baseline.metrics[name], 4) for name in ("cer", "exact_match")}
            for baseline in task.baselines(corpus.train, corpus.valid, corpus.test)
        },
        settings={key: settings[key] for key in ("sound", "model", "optim", "batch_tokens", "label_smoothing", "seed")},
        environment=measured(),
    )


def passes(outcome: Outcome) -> bool:
    """Whether the thresholds are met; prints one line each."""
    cer, right = outcome.cer <= MOST_CER, outcome.words_right >= LEAST_RIGHT
    print(f"{outcome.arch}: character error rate {outcome.cer:.2%}, at most {MOST_CER:.0%} allowed: {_verdict(cer)}")
    print(f"{outcome.arch}: {outcome.words_right:.2%} of words correct, {LEAST_RIGHT:.0%} required: {_verdict(right)}")
    return cer and right


def _verdict(good: bool) -> str:
    return "passed" if good else "failed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="bahdanau")
    parser.add_argument(
        "--budget", default="2000steps", help="training budget of each architecture, as in sightline train"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    changes = {"budget": chosen.budget, **dict(text.split("=", 1) for text in chosen.set)}
    recordings = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "fsdd" / "recordings"
    good = []
    with tempfile.TemporaryDirectory() as folder:
        manifests(recordings, Path(folder))
        for arch in chosen.archs.split(","):
            outcome = verify(arch, Path(folder), chosen.runs, changes)
            write(chosen.out / f"spoken-digits-{arch}.json", asdict(outcome))
            good.append(passes(outcome))
    raise SystemExit(0 if good[0] else 5)


if __name__ == "__main__":
    main()
