"""JSB chorales: recurrences on polyphonic music, compared with published numbers.

    python benchmarks/verify_jsb.py
    python benchmarks/verify_jsb.py --cells lstm --rates 2e-3 --seed 1

The protocol of Bai, Kolter & Koltun 2018 (arXiv:1803.01271, § 4.1 and table 1), data of Boulanger-Lewandowski et al.
2012: each frame of 88 keys predicts the next one, with independent keys; the negative log-likelihood is summed over the
keys and averaged over the frames of the test part (the first frame of a piece is not predicted). Published results at
about 300K parameters: RNN 8.91, GRU 8.43, LSTM 8.45.

A model consists of one recurrent layer that reads the keys, dropout, and a linear head with a Bernoulli distribution
per key. The validation part selects the learning rate, the dropout and the step. Each result is written to
benchmarks/results/jsb.json; `--go-on` keeps the results in this file. Exit status 5 if a test result is more than 0.15
above the published one, or if the RNN is not the worst. The data is `jsb_chorales/JSB_Chorales.mat` under
$SIGHTLINE_VERIFY_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from scipy.io import loadmat
from torch import Tensor, nn
from torch.nn import functional as F

from record import Record, record_options
from sightline.core.seeds import derive
from sightline.data.batches import Cursor
from sightline.mixers import MIXERS
from sightline.training.loop import train
from sightline.training.loss import Loss
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig

RESULTS = Path(__file__).parent / "results" / "jsb.json"
PUBLISHED = {"rnn": 8.91, "gru": 8.43, "lstm": 8.45}
MARGIN = 0.15
KEYS, PARAMETERS, ROWS = 88, 300_000, 8


class Frames(NamedTuple):
    """Pieces padded on the right: frames (B, T, 88) and mask (B, T)."""

    frames: Tensor
    mask: Tensor
    rows: tuple[int, ...]

    def to(self, device: torch.device | str) -> Frames:
        return Frames(self.frames.to(device), self.mask.to(device), self.rows)


class Pieces:
    """Batches of pieces in an order determined by the seed and the epoch."""

    def __init__(self, pieces: list[Tensor], seed: int) -> None:
        self.pieces, self.seed = pieces, seed

    @property
    def size_key(self) -> tuple[str, int]:
        return "ROWS", ROWS

    def batch(self, chosen: list[int]) -> Frames:
        pieces = [self.pieces[i] for i in chosen]
        lengths = torch.tensor([len(piece) for piece in pieces])
        frames = nn.utils.rnn.pad_sequence(pieces, batch_first=True)
        return Frames(frames, torch.arange(frames.shape[1]) < lengths.unsqueeze(1), tuple(chosen))

    def stream(self, cursor: Cursor) -> Iterator[tuple[Frames, Cursor]]:
        epoch, index = cursor
        count = -(-len(self.pieces) // ROWS)
        while True:
            random = np.random.Generator(np.random.PCG64(derive(self.seed, "pieces", epoch)))
            shuffled = random.permutation(len(self.pieces))
            # Batch pieces of similar length, since the longest determines the time, but vary the batches.
            lengths = np.array([len(self.pieces[i]) for i in shuffled]) * random.uniform(0.8, 1.25, len(shuffled))
            order = shuffled[np.argsort(lengths)]
            batches = [order[first : first + ROWS].tolist() for first in range(0, len(order), ROWS)]
            turns = random.permutation(count)
            for number in range(index, count):
                following = Cursor(epoch + 1, 0) if number + 1 == count else Cursor(epoch, number + 1)
                yield self.batch(batches[turns[number]]), following
            epoch, index = epoch + 1, 0


class Polyphony(nn.Module):
    """Logits of each key in the next frame."""

    def __init__(self, cell: str, d_hidden: int, dropout: float) -> None:
        super().__init__()
        self.mixer = MIXERS[cell](d_hidden=d_hidden).build(KEYS)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(d_hidden, KEYS)
        nn.init.constant_(self.head.bias, math.log(4 / (KEYS - 4)))  # a chorale has four voices

    def forward(self, frames: Tensor) -> Tensor:
        y, _ = self.mixer(frames)  # padding is on the right: a causal mixer needs no mask
        return self.head(self.dropout(y))


def loss(model: nn.Module, batch: Frames) -> Loss:
    """Negative log-likelihood of all frames except the first, in nats summed over keys."""
    logits = model(batch.frames[:, :-1])
    each = F.binary_cross_entropy_with_logits(logits, batch.frames[:, 1:], reduction="none").sum(2)  # (B, T)
    real = batch.mask[:, 1:]
    total = each[real].sum()
    return Loss(total, total.detach(), int(real.sum()))


def per_frame(model: nn.Module, pieces: Pieces) -> float:
    """Mean loss over all predicted frames."""
    model.eval()
    with torch.no_grad():
        total = loss(model, pieces.batch(list(range(len(pieces.pieces)))))
    return float(total.nll) / total.count


def width(cell: str) -> int:
    """The width, a multiple of eight, whose model size is closest to the published one."""

    def distance(d_hidden: int) -> int:
        with torch.device("meta"):
            return abs(sum(p.numel() for p in Polyphony(cell, d_hidden, 0.0).parameters()) - PARAMETERS)

    return min(range(64, 1024, 8), key=distance)


def trial(
    cell: str, rate: float, dropout: float, parts: dict[str, list[Tensor]], options: argparse.Namespace
) -> dict[str, Any]:
    """Train once; evaluate the weights of the best validation on the test part."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(options.seed, "init"))
        model = Polyphony(cell, width(cell), dropout)
    train_part, valid, test = (
        Pieces(parts[name], derive(options.seed, "order")) for name in ("train", "valid", "test")
    )

    def validate(current: nn.Module) -> dict[str, float]:
        return {"loss": per_frame(current, valid)}

    def save(directory: Path) -> None:
        safetensors.torch.save_file(model.state_dict(), directory / "model.safetensors")

    config = TrainConfig(
        budget=f"{options.steps}steps",
        seed=options.seed,
        optim=OptimConfig(lr=rate, beta2=0.999, warmup_steps=100, weight_decay=0.01, final_lr=0.02),
        validate_every=58,
        patience=options.patience,
        checkpoint_every_s=600.0,
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        done = train(model, loss, train_part, config, run, validate=validate, save_model=save)
        model.load_state_dict(safetensors.torch.load_file(run / "best" / "model.safetensors"))
    return {
        "cell": cell,
        "d_hidden": width(cell),
        "parameters": sum(p.numel() for p in model.parameters()),
        "rate": rate,
        "dropout": dropout,
        "seed": options.seed,
        "of_steps": options.steps,
        "steps": done.steps,
        "best_step": done.best_step,
        "train": per_frame(model, train_part),
        "valid": done.best_metric,
        "test": per_frame(model, test),
        "cpu_s": round(time.process_time() - began, 1),
    }


def chosen(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The trial of each cell with the best validation result."""
    return {
        cell: min(of_cell, key=lambda result: result["valid"])
        for cell in PUBLISHED
        if (of_cell := [result for result in results if result["cell"] == cell])
    }


def verdicts(best: dict[str, dict[str, Any]]) -> list[str]:
    """The failed checks in words."""
    wrong = [
        f"{cell} is at {result['test']:.3f}, more than {MARGIN} above {PUBLISHED[cell]}"
        for cell, result in best.items()
        if result["test"] > PUBLISHED[cell] + MARGIN
    ]
    wrong += [f"{cell} was not trained" for cell in PUBLISHED if cell not in best]
    if "rnn" in best and any(result["test"] >= best["rnn"]["test"] for cell, result in best.items() if cell != "rnn"):
        wrong.append("the RNN is not the worst")
    return wrong


def read(path: Path) -> dict[str, list[Tensor]]:
    """Pieces (T, 88) of each part."""
    content = loadmat(path)
    names = {"train": "traindata", "valid": "validdata", "test": "testdata"}
    return {part: [torch.from_numpy(piece).float() for piece in content[name][0]] for part, name in names.items()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default=",".join(PUBLISHED))
    parser.add_argument("--rates", default="2e-3,8e-3")
    parser.add_argument("--dropouts", default="0.3")
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument(
        "--patience", type=int, default=8, help="validations without improvement; one per 58 steps (two epochs)"
    )
    parser.add_argument("--seed", type=int, default=0)
    record_options(parser, RESULTS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    path = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "jsb_chorales" / "JSB_Chorales.mat"
    if not path.exists():
        raise SystemExit(f"{path}: no such file; set SIGHTLINE_VERIFY_DATA to the folder with the data")
    parts = read(path)
    record = Record(options.out, {"published": PUBLISHED}, go_on=options.go_on)

    def each(text: str) -> list[str]:
        return text.split(",")

    for cell, rate, dropout in product(each(options.cells), map(float, each(options.rates)),
                                       map(float, each(options.dropouts))):  # fmt: skip
        settings = {"cell": cell, "rate": rate, "dropout": dropout, "seed": options.seed, "of_steps": options.steps}
        if record.matching(**settings):
            continue
        result = trial(cell, rate, dropout, parts, options)
        record.add(result)
        print(f"{cell:5s} {result['parameters']:,d} parameters  rate {rate:g}  dropout {dropout:g}  "
              f"train {result['train']:.3f}  valid {result['valid']:.3f}  test {result['test']:.3f}  "
              f"best at step {result['best_step']}  {result['cpu_s']:.0f} s", flush=True)  # fmt: skip
    best = chosen(record.results)
    for cell, result in best.items():
        print(f"{cell:5s} test {result['test']:.3f}, published {PUBLISHED[cell]}, selected on validation")
    wrong = verdicts(best)
    print("\n".join(wrong) or "all checks passed")
    raise SystemExit(5 if wrong else 0)


if __name__ == "__main__":
    main()
