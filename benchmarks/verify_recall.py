"""Multi-query associative recall by mechanism and state size.

    python benchmarks/verify_recall.py
    python benchmarks/verify_recall.py --models softmax,gated_delta --widths 64 --seed 1 --out recall.json
    python benchmarks/verify_recall.py --models softmax_2 --widths 64 --pairs 4 --no-noise --out recall-attention.json

The task of Arora et al. 2023 ("Zoology", arXiv:2312.04927) with two layers of one head, no feed-forward, a vocabulary
of 8,192, tied embeddings, and AdamW with weight decay 0.1 and a cosine schedule. The result is the accuracy at the
queried keys with the best learning rate. The files named below are those of github.com/HazyResearch/zoology. The two
layers are

- a short convolution of 3, then the mechanism, as in Arora et al. 2024 ("Based", arXiv:2402.18668) and
  zoology/experiments/arxiv24_based_figure2/configs.py, whose `Hybrid` uses `BaseConv` as the first of two layers and
  the mechanism as the second, without positions; they test 64 tokens with 4, 8 and 16 pairs, and longer rows.
  Differences: 16 pairs only; the convolution has no gate; rotary positions in softmax and window; ssd and gated_delta
  have four heads and, as in their papers, an additional convolution.
- softmax_2: attention in both layers, as in figure 2 of "Zoology" and
  zoology/experiments/iclr24_zoology_figure2/configs.py, whose shortest rows have 64 tokens with 4 pairs and zeros
  between the keys (the third command above); the first command queries 16 pairs among noise. Difference: rotary
  instead of learned positions.

Differences of both: RMSNorm; no dropout (published: 0.1); every training row is new and there are fewer rows
(published: at least 100,000, 32 or 64 times); answers are restricted to the 4,096 values instead of all tokens, and in
training to those of the batch; gradients are clipped; no weight decay for embeddings. In the first half of the steps,
rows have a quarter of the length and as many pairs as fit: otherwise mechanisms with an output gate learn the task
late or never.

A window of w after a convolution of c reaches (w - 1) + (c - 1) positions back. The ceiling of the window is the
fraction of test queries whose value is in this range, plus chance among all values for the others. Each result is
written to benchmarks/results/recall.json; `--go-on` trains only missing ones. Exit status 5 if a window exceeds its
ceiling by more than chance, if softmax attention of either kind is below 99 % at the largest width, or if a mechanism
of the linear family is worse with a larger state.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from record import Record, record_options
from sightline.core.seeds import derive
from sightline.core.state import nbytes
from sightline.lab.recall_tasks import IGNORED, RecallRows, multi_query_recall
from sightline.models import LanguageModelConfig
from sightline.models.decoder import Decoder
from sightline.training.optim import OptimConfig, build_optimizer, learning_rate

RESULTS = Path(__file__).parent / "results" / "recall.json"
VOCABULARY, TESTED, CONVOLUTION = 8192, 1000, 3
VALUES = VOCABULARY // 2  # the upper half of the vocabulary
ENOUGH = 0.99  # for softmax attention; the search ends at a rate that reaches it
SPREAD = {"heads": 4, "d_head": 0.5}  # decay rates are initialised per head; same state size as one head of D × D
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("softmax", {}),
    "softmax_2": ("softmax", {}),  # attention in both layers
    "window_16": ("window", {"window": 16}),
    "window_32": ("window", {"window": 32}),
    "linear": ("linear", {}),
    "retention": ("retention", {}),
    "gla": ("gated_linear", {"variant": "gla"}),
    "ssd": ("gated_linear", {"variant": "ssd", **SPREAD}),
    "delta_net": ("gated_delta", {"decay": False, "gate": False}),
    "gated_delta": ("gated_delta", SPREAD),
    "lru": ("lru", {}),
    "min_gru": ("min_gru", {}),
}
ALONE = ("softmax_2",)  # two layers of the mechanism without a convolution
LINEAR = ("linear", "retention", "gla", "ssd", "delta_net", "gated_delta")


def read(model: Decoder, rows: RecallRows) -> tuple[torch.Tensor, torch.Tensor]:
    """The model's outputs (queries, D) at the queried keys, and the values of these keys."""
    queried = rows.labels != IGNORED
    x, _ = model.mixer(model.embedding(rows.inputs))
    return model.norm(x[queried]), rows.labels[queried]


def loss(model: Decoder, rows: RecallRows) -> torch.Tensor:
    """Cross-entropy over the values that occur as answers in the batch."""
    outputs, values = read(model, rows)
    candidates, number = torch.unique(values, return_inverse=True)
    return F.cross_entropy(F.linear(outputs, model.embedding.weight[candidates]), number)


def accuracy(model: Decoder, rows: RecallRows) -> float:
    """The fraction of queries answered correctly, with all values as candidates."""
    model.eval()
    right = []
    with torch.no_grad():
        for first in range(0, len(rows.inputs), 50):
            outputs, values = read(model, RecallRows(*(part[first : first + 50] for part in rows)))
            logits = F.linear(outputs, model.embedding.weight[VALUES:])
            right.append((logits.argmax(1) == values - VALUES).double())
    return float(torch.cat(right).mean())


def train(config: LanguageModelConfig, rate: float, options: argparse.Namespace) -> Decoder:
    """Train on new rows at every step; in the first half on as many tokens in rows of a quarter of the length."""
    torch.manual_seed(derive(options.seed, "initial"))
    model = config.build(VOCABULARY).train()
    optim = OptimConfig(lr=rate, warmup_steps=options.steps // 20, weight_decay=0.1)
    optimizer = build_optimizer(model, optim)
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(optim, step, step / options.steps, optim.warmup_steps / options.steps)
        seed = derive(options.seed, "rows", step)
        part = 4 if 2 * step < options.steps else 1
        length = options.length // part
        sizes = (options.batch * part, length, min(options.pairs, length // 4))
        rows = multi_query_recall(*sizes, vocabulary=VOCABULARY, noise=options.noise, seed=seed)
        optimizer.zero_grad()
        loss(model, rows).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


def trial(name: str, width: int, rate: float, options: argparse.Namespace, test: RecallRows) -> dict[str, Any]:
    """Train once; the settings, the accuracy on `test`, the size and the CPU time."""
    mixer, own = MODELS[name]
    own = {key: int(value * width) if key == "d_head" else value for key, value in own.items()}
    layers, convolution = (2, 0) if name in ALONE else (1, CONVOLUTION)
    shape = {"d_model": width, "layers": layers, "heads": 1, "convolution": convolution, "d_feed_forward": 0}
    config = LanguageModelConfig((mixer,), {mixer: own}, **shape, dropout=0.0)
    began = time.process_time()
    model = train(config, rate, options)
    seconds = time.process_time() - began
    with torch.no_grad():
        _, state = model.mixer(model.embedding(test.inputs[:1]))
    return {
        "model": name,
        "d_model": width,
        "rate": rate,
        "seed": options.seed,
        "accuracy": accuracy(model, test),
        "state_bytes": nbytes(state),
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_s": round(seconds, 1),
    }


def ceiling(window: int, test: RecallRows) -> tuple[float, float]:
    """The fraction of queries that a window can answer, and the tolerance for chance (four standard deviations)."""
    within = test.within(window - 1 + CONVOLUTION - 1)
    most = within + (1 - within) / VALUES
    return most, 4 * math.sqrt(most * (1 - most) / int((test.labels != IGNORED).sum()))


def verdicts(results: list[dict[str, Any]], test: RecallRows) -> list[str]:
    """The failed checks in words."""
    best: dict[str, dict[int, float]] = {}
    for result in results:
        of_model = best.setdefault(result["model"], {})
        of_model[result["d_model"]] = max(result["accuracy"], of_model.get(result["d_model"], 0.0))
    wrong = []
    for name, of_model in best.items():
        by_width = [of_model[width] for width in sorted(of_model)]
        if name.startswith("window"):
            most, chance = ceiling(MODELS[name][1]["window"], test)
            if max(by_width) > most + chance:
                wrong.append(f"{name} is at {max(by_width):.2%}, above its ceiling of {most:.2%}")
        if name.startswith("softmax") and by_width[-1] < ENOUGH:
            wrong.append(f"{name} is at {by_width[-1]:.2%}, below {ENOUGH:.0%}")
        if name in LINEAR and any(b < min(a, ENOUGH) for a, b in pairwise(by_width)):
            wrong.append(f"{name} is worse with a larger state: {', '.join(f'{a:.1%}' for a in by_width)}")
    return wrong


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--widths", default="16,32,64")
    parser.add_argument(
        "--rates", default="0.02", help="learning rates in order; a model that reaches 99 %% tries no further ones"
    )
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--no-noise", dest="noise", action="store_false", help="zeros between the queried keys")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    record_options(parser, RESULTS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    settings = {key: getattr(options, key) for key in ("length", "pairs", "noise", "steps", "batch")}
    settings |= {"vocabulary": VOCABULARY, "tested": TESTED, "convolution": CONVOLUTION}
    # the same test rows for all seeds
    sizes = (TESTED, options.length, options.pairs)
    test = multi_query_recall(*sizes, vocabulary=VOCABULARY, noise=options.noise, seed=derive(0, "test"))
    windows = {name: ceiling(own["window"], test)[0] for name, (mixer, own) in MODELS.items() if mixer == "window"}
    record = Record(options.out, {**settings, "ceilings": windows}, go_on=options.go_on)
    models, widths, rates = options.models.split(","), map(int, options.widths.split(",")), options.rates.split(",")
    for rate, name, width in product(map(float, rates), models, widths):
        same = record.matching(model=name, d_model=width, seed=options.seed)
        if any(r["rate"] == rate or r["accuracy"] >= ENOUGH for r in same):
            continue
        result = trial(name, width, rate, options, test)
        record.add(result)
        print(f"{name:12s} d {width:3d}  rate {rate:g}  {result['accuracy']:6.2%}  "
              f"{result['state_bytes']:7,d} bytes of state  {result['cpu_s']:.0f} s", flush=True)  # fmt: skip
    print("ceilings:", ", ".join(f"{name} {most:.2%}" for name, most in windows.items()))
    wrong = verdicts(record.results, test)
    print("\n".join(wrong) or "all checks passed")
    raise SystemExit(5 if wrong else 0)


if __name__ == "__main__":
    main()
