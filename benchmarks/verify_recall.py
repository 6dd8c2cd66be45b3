"""Multi-query associative recall: which mechanisms can look things up, and at which size of state?

    python benchmarks/verify_recall.py --mixers softmax,window,gated_delta --widths 32,64,128

The protocol of Arora et al. 2023 (arXiv:2312.04927): two layers without feed-forward, a vocabulary of 8,192, accuracy
at the keys that are asked for, the best of several learning rates. Deviations: every training row is new, and there are
fewer of them. Prints one line a model and writes benchmarks/results/recall.json. A window of w in two layers reaches
2 (w - 1) positions back: the share of queries whose value stands there, with one guess among all values for the others,
is its ceiling, and a model above it by more than chance fails the run, as does softmax attention below 99 %.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from sightline.core.seeds import derive
from sightline.core.state import nbytes
from sightline.data.synthetic import IGNORED, Recall, recall
from sightline.models import LanguageModelConfig
from sightline.models.decoder import Decoder
from sightline.training.environment import environment
from sightline.training.optim import OptimConfig, build_optimizer, learning_rate

RESULTS = Path(__file__).parent / "results" / "recall.json"
LAYERS, VOCABULARY, TESTED = 2, 8192, 1000
OPTIONS: dict[str, dict[str, Any]] = {"gated_linear": {"variant": "ssd"}}
LEAST = 0.99  # for softmax attention


def answers(model: Decoder, data: Recall) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (queries, V) at the keys that are asked for, and the values that belong to them."""
    asked = data.labels != IGNORED
    x, _ = model.mixer(model.embedding(data.inputs))
    return model.head(model.norm(x[asked])), data.labels[asked]


def accuracy(model: Decoder, data: Recall) -> float:
    """The share of queries answered rightly."""
    model.eval()
    right = []
    with torch.no_grad():
        for first in range(0, len(data.inputs), 50):
            logits, values = answers(model, Recall(*(part[first : first + 50] for part in data)))
            right.append((logits.argmax(1) == values).double())
    return float(torch.cat(right).mean())


def train(config: LanguageModelConfig, rate: float, options: argparse.Namespace, test: Recall) -> dict[str, Any]:
    """One model trained on new rows at every step, and its accuracy on `test`."""
    torch.manual_seed(derive(options.seed, "initial"))
    model = config.build(VOCABULARY)
    optim = OptimConfig(lr=rate, warmup_steps=options.steps // 20, weight_decay=0.1)
    optimizer = build_optimizer(model, optim)
    began = time.perf_counter()
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(optim, step, step / options.steps, optim.warmup_steps / options.steps)
        seed = derive(options.seed, "rows", step)
        rows = recall(options.batch, options.length, options.pairs, vocabulary=VOCABULARY, seed=seed)
        model.train()
        loss = F.cross_entropy(*answers(model, rows))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - began
    with torch.no_grad():
        _, state = model.mixer(model.embedding(test.inputs[:1]))
    return {"accuracy": accuracy(model, test), "rate": rate, "seconds": round(seconds, 1), "state_bytes": nbytes(state)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixers", default="softmax,window,linear,retention,gated_linear,gated_delta")
    parser.add_argument("--widths", default="32,64,128")
    parser.add_argument("--rates", default="0.001,0.003,0.01")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--window", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed = derive(options.seed, "test")
    test = recall(TESTED, options.length, options.pairs, vocabulary=VOCABULARY, seed=seed)
    within = test.within(LAYERS * (options.window - 1))
    ceiling = within + (1 - within) / (VOCABULARY // 2)
    chance = 4 * math.sqrt(ceiling * (1 - ceiling) / (TESTED * options.pairs))
    found, good = [], True
    for name in options.mixers.split(","):
        own = {"window": {"window": options.window}}.get(name, OPTIONS.get(name, {}))
        for width in map(int, options.widths.split(",")):
            config = LanguageModelConfig(
                (name,), {name: own}, d_model=width, layers=LAYERS, heads=1, d_feed_forward=0, dropout=0.0
            )
            trials = [train(config, float(rate), options, test) for rate in options.rates.split(",")]
            best = max(trials, key=lambda trial: trial["accuracy"])
            found.append({"mixer": name, "d_model": width, **best, "trials": trials})
            limit = f"  ceiling {ceiling:.1%}" if name == "window" else ""
            print(f"{name:14s} {width:4d}  {best['accuracy']:6.1%}  {best['state_bytes']:8d} bytes of state{limit}",
                  flush=True)  # fmt: skip
            good &= name != "window" or best["accuracy"] <= ceiling + chance
            good &= name != "softmax" or width < max(map(int, options.widths.split(","))) or best["accuracy"] >= LEAST
    content = {"schema_version": 1, "ceiling": ceiling, "options": vars(options), "environment": environment()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**content, "results": found}, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if good else 5)


if __name__ == "__main__":
    main()
