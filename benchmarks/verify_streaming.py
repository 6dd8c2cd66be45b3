"""Five gigabytes of text: training in bounded memory, and identical batches after a kill.

    python benchmarks/verify_streaming.py
    python benchmarks/verify_streaming.py --gigabytes 0.2 --steps 60

Generates a text (removed afterwards) and trains a small model on it three times, in separate processes: without
interruption; killed with SIGKILL; and resumed from the state of the killed one. Every process logs the SHA-256 of each
training batch and its peak resident memory. Exit status 5 if the peak is 2 GiB or more above the size of the model
(weights, gradients, both moments of AdamW), or if a batch after the kill or the final weights differ from the
uninterrupted run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from record import measured, write
from sightline.data.batches import Cursor
from sightline.data.text.corpus import load_text
from sightline.tasks.fit import train_task
from sightline.tasks.language.config import LanguageConfig, TextTokenizerConfig
from sightline.tasks.language.task import LanguageTask
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig

RESULTS = Path(__file__).parent / "results" / "streaming.json"
LIMIT_BYTES = 2 << 30


def write_text(path: Path, size: int, seed: int) -> None:
    """Write numbered paragraphs of random words from a pool: fast to write, and no two parts are equal."""
    random = np.random.Generator(np.random.PCG64(seed))
    letters = random.integers(97, 123, (20_000, 9), dtype=np.uint8)
    lengths = random.integers(2, 10, 20_000)
    words = np.array([bytes(row[:length]).decode() for row, length in zip(letters, lengths, strict=True)])
    pool = []
    for _ in range(2000):
        drawn = words[np.minimum(random.zipf(1.3, (40, 12)), 20_000) - 1]
        pool.append("\n".join(" ".join(line) for line in drawn.tolist()).encode())
    written, number = 0, 0
    with path.open("wb") as file:
        while written < size:
            chosen = random.integers(0, len(pool), 1000).tolist()
            written += file.write(b"".join(b"%d\n%b\n" % (number + i, pool[j]) for i, j in enumerate(chosen)))
            number += len(chosen)


class Logged:
    """Batches that log their step and hash when they are used."""

    def __init__(self, inner: Any, path: Path, first: int) -> None:
        self.inner, self.path, self.step = inner, path, first

    @property
    def size_key(self) -> tuple[str, int]:
        return self.inner.size_key

    def stream(self, cursor: Cursor) -> Iterator[tuple[Any, Cursor]]:
        with self.path.open("a", encoding="utf-8") as file:
            for batch, following in self.inner.stream(cursor):
                parts = b"".join(part.numpy().tobytes() for part in batch[:4] if part is not None)
                self.step += 1
                print(self.step, hashlib.sha256(parts).hexdigest(), file=file, flush=True)
                yield batch, following


def child(options: argparse.Namespace) -> None:
    """Train once; the last line of the log contains the peak memory and the hash of the weights."""
    torch.set_num_threads(1)
    corpus = load_text(options.text)
    config = LanguageConfig.preset(
        options.arch,
        tokenizer=TextTokenizerConfig("bpe", size=2000, sample_bytes=4 << 20),
        context=128,
        batch_tokens=1024,
        bptt=options.bptt,
        validation_bytes=20_000,
        group_bytes=1 << 21,
    )
    train_config = TrainConfig(
        budget=f"{options.steps}steps",
        optim=OptimConfig(lr=1e-3, warmup_steps=10),
        validations=2,
        checkpoint_every_s=options.checkpoint_every_s,
    )
    task = LanguageTask.create(corpus, config, parameters=options.parameters)
    first = 0
    if options.resume:
        states = sorted((options.run / "checkpoints").glob("step-*/state.json"))
        first = json.loads(states[-1].read_text(encoding="utf-8"))["state"]["spent"]["steps"]
    batches = task.batches
    task.batches = lambda part, *, seed: Logged(batches(part, seed=seed), options.notes, first)
    trained = train_task(task, corpus, options.run, train_config, resume=options.resume)
    weights = hashlib.sha256()
    for tensor in LanguageTask.load(options.run / "last").model.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    facts = {"peak_bytes": peak_bytes(), "parameters": trained.task.parameters, "weights": weights.hexdigest()}
    with options.notes.open("a", encoding="utf-8") as file:
        print(json.dumps(facts), file=file)


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def start(text: Path, run: Path, notes: Path, options: argparse.Namespace, *extra: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--text", text, "--run", run, "--notes", notes, "--steps", options.steps,
               "--arch", options.arch, "--bptt", options.bptt, "--parameters", options.parameters,
               "--checkpoint-every-s", options.checkpoint_every_s, *extra]  # fmt: skip
    return subprocess.Popen(list(map(str, command)))


def batches_of(notes: Path) -> list[tuple[int, str]]:
    """Step and hash of each batch in the log of a process."""
    lines = [line.split() for line in notes.read_text(encoding="utf-8").splitlines() if not line.startswith("{")]
    return [(int(step), digest) for step, digest in lines]


def finished(process: subprocess.Popen[bytes], notes: Path) -> dict[str, Any]:
    if process.wait() != 0:
        raise SystemExit(f"a training ended with status {process.returncode}")
    return json.loads(notes.read_text(encoding="utf-8").splitlines()[-1])


def verify(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    text = place / "text.txt"
    began = time.perf_counter()
    write_text(text, int(options.gigabytes * 1e9), options.seed)
    wrote_s = time.perf_counter() - began
    print(f"{text.stat().st_size:,} bytes written in {wrote_s:.0f} s", flush=True)
    notes = {name: place / f"{name}.txt" for name in ("whole", "killed", "resumed")}
    began = time.perf_counter()
    whole = finished(start(text, place / "whole", notes["whole"], options), notes["whole"])
    whole_s = time.perf_counter() - began
    print(f"{options.steps} steps in {whole_s:.0f} s, peak {whole['peak_bytes'] / 2**20:.0f} MiB", flush=True)
    process = start(text, place / "cut", notes["killed"], options)
    while not notes["killed"].exists() or len(batches_of(notes["killed"])) < options.steps * 2 // 3:
        if process.poll() is not None:
            raise SystemExit("the training ended before it could be killed")
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = finished(start(text, place / "cut", notes["resumed"], options, "--resume"), notes["resumed"])
    reference = dict(batches_of(notes["whole"]))
    before, after = batches_of(notes["killed"]), batches_of(notes["resumed"])
    model_bytes = 16 * whole["parameters"]
    peak = max(whole["peak_bytes"], resumed["peak_bytes"])
    return {
        "text_bytes": text.stat().st_size,
        "arch": options.arch,
        "bptt": options.bptt,
        "parameters": whole["parameters"],
        "steps": options.steps,
        "killed_after_step": before[-1][0],
        "resumed_after_step": after[0][0] - 1,
        "batches_compared": len(after),
        "same_batches": all(reference[step] == digest for step, digest in [*before, *after]),
        "same_weights": whole["weights"] == resumed["weights"],
        "model_bytes": model_bytes,
        "peak_bytes": peak,
        "above_model_bytes": peak - model_bytes,
        "wrote_s": round(wrote_s, 1),
        "whole_s": round(whole_s, 1),
        "environment": measured(),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--arch", default="lstm")
    parser.add_argument("--bptt", default="rows", choices=["rows", "stateful"])
    parser.add_argument("--parameters", type=int, default=200_000)
    parser.add_argument("--checkpoint-every-s", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    for name in ("--text", "--run", "--notes"):  # for the processes that this one starts
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.text is not None:
        child(options)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as place:
        result = verify(options, Path(place))
    write(options.out, result)
    print(f"killed after step {result['killed_after_step']}, resumed from step {result['resumed_after_step']}; "
          f"peak {result['above_model_bytes'] / 2**20:.0f} MiB above the size of the model")  # fmt: skip
    wrong = [name for name in ("same_batches", "same_weights") if not result[name]]
    if result["above_model_bytes"] >= LIMIT_BYTES:
        wrong.append("memory")
    print(f"failed: {', '.join(wrong)}" if wrong else "all checks passed")
    raise SystemExit(5 if wrong else 0)


if __name__ == "__main__":
    main()
