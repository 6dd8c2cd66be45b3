"""Multi-query associative recall: which mechanisms can look things up, and at which size of state?

    python benchmarks/verify_recall.py
    python benchmarks/verify_recall.py --models softmax,gated_delta --widths 64 --seed 1 --out recall.json
    python benchmarks/verify_recall.py --models softmax_2 --widths 64 --pairs 4 --no-noise --out recall-attention.json

The task of Arora et al. 2023 ("Zoology", arXiv:2312.04927) with two layers of one head, no feed-forward, a vocabulary
of 8,192, tied embeddings, AdamW with weight decay 0.1 on a cosine, accuracy at the keys that are asked for, the best of
the rates given. Files named below are those of github.com/HazyResearch/zoology. The two layers are

- a short convolution of 3, then the mechanism: Arora et al. 2024 ("Based", arXiv:2402.18668) and
  zoology/experiments/arxiv24_based_figure2/configs.py, whose `Hybrid` takes `BaseConv` for the first of two layers and
  the mechanism for the second, without positions; tests of 64 tokens with 4, 8 and 16 pairs, and longer ones. Here: 16
  pairs alone; the convolution has no gate; rotary positions in softmax and window; ssd and gated_delta have four heads
  and, as in their papers, one more convolution inside.
- softmax_2: attention in both and nothing else: figure 2 of "Zoology" and zoology/experiments/iclr24_zoology_figure2/
  configs.py, whose shortest rows are 64 tokens with 4 pairs and zeros between the keys (the third command above); the
  first command asks for 16 among noise. Here: rotary positions instead of learned ones.

Deviations of both: RMSNorm, no dropout (there 0.1), every training row is new and there are fewer of them (there
100,000 and more, 32 or 64 times), the answer is sought among the 4,096 values instead of all tokens, and in training
among those of the batch, gradients are clipped, embeddings do not decay. The first half of the steps has rows of a
quarter of the length with as many pairs as fit, at most those asked for: mechanisms with an output gate find the answer
late or never otherwise.

A window of w after a convolution of c reaches (w - 1) + (c - 1) positions back. The share of the test rows' queries
whose value stands there, with one guess among all values for the others, is its ceiling. Each result is written to
benchmarks/results/recall.json as it comes; `--go-on` trains only what is missing there. Exit status 5: a window above
its ceiling by more than chance, softmax attention of either kind below 99 % at the largest width, or a mechanism of the
linear family that gets worse with a larger state.
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
from sightline.data.labelled.multi_query_recall import IGNORED, RecallRows, multi_query_recall
from sightline.models import LanguageModelConfig
from sightline.models.decoder import Decoder
from sightline.training.optim import OptimConfig, build_optimizer, learning_rate

RESULTS = Path(__file__).parent / "results" / "recall.json"
VOCABULARY, TESTED, CONVOLUTION = 8192, 1000, 3
VALUES = VOCABULARY // 2  # the upper half of the vocabulary
ENOUGH = 0.99  # for softmax attention; a rate that gives more ends the search
SPREAD = {"heads": 4, "d_head": 0.5}  # rates of decay are drawn once a head; as much state as one head of D × D
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax": ("softmax", {}),
    "softmax_2": ("softmax", {}),  # attention alone, in both layers
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
ALONE = ("softmax_2",)  # two layers of the mechanism and no convolution
LINEAR = ("linear", "retention", "gla", "ssd", "delta_net", "gated_delta")


def read(model: Decoder, rows: RecallRows) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model says (queries, D) at the keys that are asked for, and the values that belong to them."""
    asked = rows.labels != IGNORED
    x, _ = model.mixer(model.embedding(rows.inputs))
    return model.norm(x[asked]), rows.labels[asked]


def loss(model: Decoder, rows: RecallRows) -> torch.Tensor:
    """Cross-entropy among the values that any row of the batch asks for."""
    said, values = read(model, rows)
    candidates, number = torch.unique(values, return_inverse=True)
    return F.cross_entropy(F.linear(said, model.embedding.weight[candidates]), number)


def accuracy(model: Decoder, rows: RecallRows) -> float:
    """The share of queries answered rightly, out of all values."""
    model.eval()
    right = []
    with torch.no_grad():
        for first in range(0, len(rows.inputs), 50):
            said, values = read(model, RecallRows(*(part[first : first + 50] for part in rows)))
            logits = F.linear(said, model.embedding.weight[VALUES:])
            right.append((logits.argmax(1) == values - VALUES).double())
    return float(torch.cat(right).mean())


def train(config: LanguageModelConfig, rate: float, options: argparse.Namespace) -> Decoder:
    """A model trained on new rows at every step, in the first half of them on as many tokens in rows of a quarter."""
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
    """One training: what it was, its accuracy on `test`, its size, its processor time."""
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
    """The share of queries that a window can answer, and how far above it chance may bring one (four deviations)."""
    within = test.within(window - 1 + CONVOLUTION - 1)
    most = within + (1 - within) / VALUES
    return most, 4 * math.sqrt(most * (1 - most) / int((test.labels != IGNORED).sum()))


def verdicts(found: list[dict[str, Any]], test: RecallRows) -> list[str]:
    """What does not hold, in words."""
    best: dict[str, dict[int, float]] = {}
    for result in found:
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
            wrong.append(f"{name} gets worse with a larger state: {', '.join(f'{a:.1%}' for a in by_width)}")
    return wrong


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--widths", default="16,32,64")
    parser.add_argument("--rates", default="0.02", help="in this order; a model at 99 %% tries no further one")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--no-noise", dest="noise", action="store_false", help="zeros between the keys asked for")
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
    # one set of test rows for all seeds
    sizes = (TESTED, options.length, options.pairs)
    test = multi_query_recall(*sizes, vocabulary=VOCABULARY, noise=options.noise, seed=derive(0, "test"))
    windows = {name: ceiling(own["window"], test)[0] for name, (mixer, own) in MODELS.items() if mixer == "window"}
    record = Record(options.out, {**settings, "ceilings": windows}, go_on=options.go_on)
    models, widths, rates = options.models.split(","), map(int, options.widths.split(",")), options.rates.split(",")
    for rate, name, width in product(map(float, rates), models, widths):
        same = record.alike(model=name, d_model=width, seed=options.seed)
        if any(r["rate"] == rate or r["accuracy"] >= ENOUGH for r in same):
            continue
        result = trial(name, width, rate, options, test)
        record.add(result)
        print(f"{name:12s} d {width:3d}  rate {rate:g}  {result['accuracy']:6.2%}  "
              f"{result['state_bytes']:7,d} bytes of state  {result['cpu_s']:.0f} s", flush=True)  # fmt: skip
    print("ceilings:", ", ".join(f"{name} {most:.2%}" for name, most in windows.items()))
    wrong = verdicts(record.results, test)
    print("\n".join(wrong) or "all holds")
    raise SystemExit(5 if wrong else 0)


if __name__ == "__main__":
    main()
