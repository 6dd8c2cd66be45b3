"""Training of translation models on Multi30k against loops as one writes them with torch: the same weights first.

    python benchmarks/bench_translation.py --architectures bahdanau --pairs 3

Sentences, tokenizers (the default) and batches are those of a training with `sightline train`; the peers get the same
batches. Before anything is timed, the losses and all gradients of the peers that compute the same function are compared
with ours, and each contestant takes a step of every shape of its batches: kernels prepare, and our operations are
counted, once for a shape, of which the 242 batches of an epoch have 18. Then each takes one step on one batch in each
round, in an order that alternates; batches change with the rounds. With one thread, times are processor time of the
thread. A step is loss, gradients, clipping and fused AdamW; all have the settings of our commands' own processes:
subnormal numbers are flushed, freed memory is kept. One more row shows a peer on batches of random sentences, as many
in each as ours have on average: as loops that know nothing of lengths make them. `make bench-translation` also writes
the page.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from record import measured, write
from sightline.core.kept_memory import keep_freed_memory
from sightline.core.processor import cpuinfo
from sightline.core.subnormals import flush_subnormals
from sightline.data.batches import Batch, PairBatches
from sightline.data.pairs.corpus import PairCorpus, load_corpus
from sightline.lab.bench.equality import largest_difference
from sightline.lab.bench.timing import call_seconds, spread
from sightline.tasks.translation.config import TranslationConfig
from sightline.tasks.translation.task import TranslationTask
from sightline.training.environment import has_bfloat16
from sightline.training.flops import shapes
from sightline.training.optim import OptimConfig, build_optimizer
from sightline.training.step import Stepper
from training_steps import CPU, LEARNING_RATE, slug_of
from translation_models import PAD, PEERS, WEIGHTS, copy_weights, gradients, our_config

BATCH_TOKENS = 2048
TARGET = 1.5  # ours by the fastest peer on the same batches
# In float32 the rounding of large terms that cancel is a large part of a small gradient.
MOST_DIFFERENCE = {"float64": 1e-6, "float32": 1e-3}
EXACT_ROWS = 16  # sentences that are compared in float64
WARM = 2  # batches
BY_LENGTH, RANDOM = "by length", "random sentences"

Step = Callable[[Batch], None]


class Contestant(NamedTuple):
    """A step of a batch, and the batches that it gets, one in each round after the first `WARM`."""

    name: str
    step: Step
    batches: list[Batch]
    kind: str  # of the batches


def multi30k() -> PairCorpus:
    root = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "multi30k"
    train, valid = (f"{root / name}.de.gz,{root / name}.en.gz" for name in ("train", "val"))
    return load_corpus(train, valid=valid)


def task_of(architecture: str, corpus: PairCorpus, dropout: float, batch_tokens: int) -> TranslationTask:
    """Our task as `sightline train` builds it, of the sizes that are compared."""
    model = our_config(architecture, dropout)
    config = TranslationConfig.preset(architecture, model=model, batch_tokens=batch_tokens, label_smoothing=0.0)
    return TranslationTask.create(corpus, config, seed=0)


def our_step(task: TranslationTask, model: nn.Module, dtype: str) -> Step:
    stepper = Stepper(model, task.loss, OptimConfig(), CPU, dtype)

    def step(batch: Batch) -> None:
        stepper.gradients(batch)
        stepper.update(LEARNING_RATE)

    return step


def their_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    logits = model(batch.source, batch.target[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), batch.target[:, 1:].flatten(), ignore_index=PAD)


def their_step(model: nn.Module, dtype: str) -> Step:
    optimizer = build_optimizer(model, OptimConfig())
    parameters = list(model.parameters())

    def step(batch: Batch) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = their_loss(model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return step


def difference(architecture: str, task: TranslationTask, theirs: nn.Module, batch: Batch) -> float:
    """The largest relative difference of the loss and of any gradient, without dropout.

    The weights become ours; the models are in the dtype of `task.model`.
    """
    theirs.to(next(task.model.parameters()).dtype)
    copied = WEIGHTS[architecture](task.model, theirs)
    copy_weights(copied)
    for model in (task.model, theirs):
        model.eval().zero_grad(set_to_none=True)
    own = task.loss(task.model, batch)
    (own.total / own.count).backward()
    loss = their_loss(theirs, batch)
    loss.backward()
    mine, others = gradients(copied)
    error = max(
        largest_difference(lambda: mine, lambda: others),
        largest_difference(lambda: [own.total / own.count], lambda: [loss]),
    )
    for model in (task.model, theirs):
        model.train().zero_grad(set_to_none=True)
    return error


def differences(architecture: str, task: TranslationTask, theirs: nn.Module, batch: Batch) -> dict[str, float]:
    """`difference` by dtype: in float64 of some sentences, in float32 of all."""
    task.model.double()
    errors = {"float64": difference(architecture, task, theirs, first_rows(batch, EXACT_ROWS))}
    task.model.float()
    errors["float32"] = difference(architecture, task, theirs, batch)
    return errors


def first_rows(batch: Batch, rows: int) -> Batch:
    """The first sentences of a batch, as wide as the longest of them."""
    parts = [part[:rows] for part in batch]
    source, target = (int(parts[place].any(0).sum()) for place in (1, 3))
    return Batch(
        *(part[:, :width] for part, width in zip(parts[:4], (source, source, target, target), strict=True)), parts[4]
    )


def peers_of(
    architecture: str, task: TranslationTask, dropout: float, batch: Batch
) -> Iterator[tuple[str, nn.Module, dict[str, float]]]:
    """Name, model and differences of each peer; none of one that computes another function."""
    sizes = task.tokenizers.source.size, task.tokenizers.target.size
    for name, peer in PEERS[architecture].items():
        torch.manual_seed(0)
        theirs = peer.build(*sizes, dropout)
        errors = differences(architecture, task, theirs, batch) if peer.same else {}
        for dtype, error in errors.items():
            if not error <= MOST_DIFFERENCE[dtype]:
                raise SystemExit(f"{name}: loss and gradients differ from ours by {error:.1e} in {dtype}: not timed")
        yield name, theirs, {dtype: float(f"{error:.3g}") for dtype, error in errors.items()}


def random_batches(batches: PairBatches, rows: int, number: int) -> list[Batch]:
    """Batches of `rows` random sentences."""
    order = np.random.default_rng(0).permutation(batches.examples)[: rows * number]
    return [batches.batch(part) for part in order.reshape(number, rows)]


def contestants(
    architecture: str, task: TranslationTask, corpus: PairCorpus, given: argparse.Namespace
) -> tuple[list[Contestant], dict[str, dict[str, float]]]:
    """All of an architecture, and the differences of the equality checks."""
    batches = task.batches(corpus.train, seed=0)
    number = given.pairs + WARM
    same = [batch for batch, _ in zip(batches, range(number), strict=False)]
    others = random_batches(batches, batches.examples // len(batches), number)
    every: list[Contestant] = []
    errors: dict[str, dict[str, float]] = {}
    modes = [mode for mode in given.modes.split(",") if mode == "float32" or has_bfloat16(CPU)]
    for mode in modes:
        if "compiled" not in mode:  # ours has no compiled mode
            step = our_step(task, copy.deepcopy(task.model), mode)
            every.append(Contestant(f"sightline, {mode}", step, same, BY_LENGTH))
    for name, theirs, error in peers_of(architecture, task, given.dropout, same[0]):
        errors |= {name: error} if error else {}
        for mode in modes:
            dtype, _, compiled = mode.partition(" ")
            if compiled and not PEERS[architecture][name].compiled:
                continue
            one: Any = copy.deepcopy(theirs)
            if compiled:
                one.compile_parts()
            step = their_step(one, dtype)
            every.append(Contestant(f"{name}, {mode}", step, same, BY_LENGTH))
            if not compiled and name == next(iter(PEERS[architecture])):
                every.append(Contestant(f"{name}, {mode}", step, others, RANDOM))
    return every, errors


def measure(architecture: str, corpus: PairCorpus, given: argparse.Namespace) -> dict[str, Any]:
    """The result of one architecture."""
    task = task_of(architecture, corpus, given.dropout, given.batch_tokens)
    every, errors = contestants(architecture, task, corpus, given)
    every = [one for one in every if warmed(one)]
    print(f"{architecture}: {len(every)} contestants take their steps in turns", flush=True)
    rates: list[list[float]] = [[] for _ in every]  # target tokens per second, by round
    for turn in range(given.pairs):
        order = list(enumerate(every))
        for place, one in order[::-1] if turn % 2 else order:
            batch = one.batches[WARM + turn]
            rates[place].append(batch.tokens / call_seconds(lambda b=batch, s=one.step: s(b), CPU))
    padding = {one.kind: round(mean(1 - float(b.target_mask[:, 1:].float().mean()) for b in one.batches), 3)
               for one in every}  # fmt: skip
    return {
        "architecture": architecture, "parameters": task.parameters, "dropout": given.dropout, "pairs": given.pairs,
        "batch_tokens": given.batch_tokens, "rows_per_batch": round(mean(len(b.target) for b in every[0].batches), 1),
        "vocabularies": [task.tokenizers.source.size, task.tokenizers.target.size], "padding": padding,
        "differences": errors, **compared(every, rates),
    }  # fmt: skip


def warmed(one: Contestant) -> bool:
    """Take the first steps, compilation included, and one of every shape; False if they fail, with the reason."""
    every = {shapes(batch): batch for batch in one.batches[WARM:]}
    try:
        for batch in (*one.batches[:WARM], *every.values()):
            one.step(batch)
    except Exception as error:
        print(f"{one.name}: left out: {type(error).__name__}: {error}")
        return False
    return True


def compared(every: list[Contestant], rates: list[list[float]]) -> dict[str, Any]:
    """Rates of all, the fastest of ours and of the peers on the same batches, and the ratios of ours to each."""
    middle = [spread(rate)["median"] for rate in rates]
    places = range(len(every))
    own = max((p for p in places if every[p].name.startswith("sightline")), key=lambda p: middle[p])
    same = [p for p in places if not every[p].name.startswith("sightline") and every[p].kind == every[own].kind]
    ratios = [spread([mine / theirs for mine, theirs in zip(rates[own], rate, strict=True)]) for rate in rates]
    rows = [
        {"name": one.name, "batches": one.kind, "tokens_per_s": spread(rate), "ratio": ratio}
        for one, rate, ratio in zip(every, rates, ratios, strict=True)
    ]
    result: dict[str, Any] = {"rows": rows, "ours": every[own].name}
    if same:
        best = max(same, key=lambda p: middle[p])
        met = round(ratios[best]["median"], 2) >= TARGET
        result |= {"best_peer": every[best].name, "ratio": ratios[best], "at_least": TARGET, "met": met}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", default=",".join(PEERS))
    parser.add_argument("--modes", default="float32,bfloat16,bfloat16 compiled")
    parser.add_argument("--pairs", type=int, default=10, help="rounds, each with another batch")
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS)
    parser.add_argument("--dropout", type=float, default=0.0, help="where each model has it; 0 is the same function")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    flush_subnormals()
    keep_freed_memory()
    processor = cpuinfo("model name") or "unknown"
    name = f"translation-{slug_of(processor)}-{given.threads}.json"
    out = given.out or Path(__file__).parent / "results" / name
    results: list[dict[str, Any]] = []
    if out.exists():  # what is not measured again stays
        results = json.loads(out.read_text(encoding="utf-8"))["results"]
    corpus = multi30k()
    for architecture in given.architectures.split(","):
        result = measure(architecture, corpus, given) | {"environment": measured()}
        show(result)
        key = ("architecture", "dropout")
        others = [one for one in results if any(one[name] != result[name] for name in key)]
        results = sorted([*others, result], key=lambda one: (list(PEERS).index(one["architecture"]), one["dropout"]))
        write(out, {"processor": processor, "threads": given.threads, "results": results})


def show(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        print(f"{result['architecture']}: {row['name']}, batches {row['batches']}: "
              f"{row['tokens_per_s']['median']:,.0f} tok/s; {result['ours']} is {row['ratio']['median']:.2f} times as "
              "fast", flush=True)  # fmt: skip
    if "ratio" in result:
        verdict = "met" if result["met"] else "missed"
        print(f"{result['ratio']['median']:.2f} times {result['best_peer']}, target {result['at_least']}: {verdict}")


if __name__ == "__main__":
    main()
