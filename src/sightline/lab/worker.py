"""One process of a comparison: `python -m sightline.lab.worker job.json`.

A process of its own for each training gives it its own threads and memory, so that both can be measured, and a crash
ends that one run only. Progress goes to standard output, one JSON object a line; the result to `result.json`, or what
went wrong to `failure.json`, in the job's directory.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sightline.core.errors import Diverged, InputError, Interrupted, SightlineError, exit_status
from sightline.core.state import nbytes
from sightline.data.read import Corpus, Pairs
from sightline.data.tokenizer import Tokenizer, TokenizerPair
from sightline.lab.attention import attention_maps
from sightline.lab.jobs import DONE, FAILED, Failure, Job, Measured, Prepared, read_json, write_json
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.results import Baseline
from sightline.models import match_parameters
from sightline.tasks.baselines import guesses
from sightline.tasks.config import TokenizerConfig, TranslationRun
from sightline.tasks.fit import train_task
from sightline.tasks.metrics import score_texts
from sightline.tasks.recipe import run_files
from sightline.tasks.translation import TranslationTask, spaced
from sightline.training.budget import Budget
from sightline.training.environment import environment
from sightline.training.state import Progress

VALIDATIONS = 10
TIMED_SENTENCES = 20
MOST_RECORDS = 200  # of a run's training loss kept in results.json
REPORT_EVERY_S = 0.5


def main(arguments: list[str]) -> int:
    """Do the job in the file named, and return 0 if it was done."""
    job = Job.load(Path(arguments[0]))
    if "--watch" in arguments:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        write_json(job.directory / DONE, prepare(job) if job.kind == "prepare" else train(job))
    except SightlineError as error:
        kind = "diverged" if isinstance(error, Diverged) else "failed"
        kind = "interrupted" if isinstance(error, Interrupted) else kind
        write_json(job.directory / FAILED, Failure(kind, str(error), exit_status(error)))
        return 1
    except Exception as error:
        traceback.print_exc()
        message = " ".join(f"{type(error).__name__}: {error}".split())
        write_json(job.directory / FAILED, Failure("failed", message))
        return 1
    return 0


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the comparing process does, however that happens."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def run_config(config: CompareConfig, arch: str) -> TranslationRun:
    """The architecture's preset on the comparison's data and tokens; where a preset shares its vocabulary it does."""
    base = TranslationTask.preset(arch)
    return replace(
        base,
        data=config.data,
        valid=config.valid,
        test=config.test,
        source_column=config.source_column,
        target_column=config.target_column,
        limit=config.limit,
        lowercase=config.lowercase,
        match=config.match,
        tokenizer=TokenizerConfig(config.tokens, config.vocabulary, base.tokenizer.shared, config.lowercase),
        device=config.device,
        dtype=config.dtype,
    )


def tokenizer_file(prepared: Path, config: TranslationRun) -> Path:
    """Where the tokenizers for this architecture lie."""
    return prepared / ("shared-tokenizer.json" if config.tokenizer.shared else "tokenizer.json")


def prepare(job: Job) -> Prepared:
    """Read the data, train tokenizers, check every architecture, and score the trivial baselines, once for all runs."""
    config = job.config
    budget = Budget.parse(config.budget)
    divide(config, budget.amount, budget.unit)
    runs = [run_config(config, arch) for arch in config.archs]
    say("reading the data")
    corpus = runs[0].corpus.load()
    for part in ("train", "valid", "test"):
        if not getattr(corpus, part).sources:
            raise InputError(f"no {part} pairs", where=corpus.name)
    tested = spaced(corpus.test, config.tested)
    pairs = {"train": corpus.train, "valid": corpus.valid, "test": tested}
    _save_pairs(job.prepared, corpus, pairs)
    say("training tokenizers")
    tokenizers = _prepare_architectures(job, runs, corpus.train)
    metric = _metric(config, corpus.train.targets)
    say("scoring trivial baselines")
    baselines = [
        Baseline(guess.name, guess.description, score_texts(guess.outputs, tested.targets).metrics)
        for guess in guesses(*corpus.train, tested.sources)
    ]
    attended = attention_examples(tested.sources, tokenizers)
    source, target = _state_example(tested, tokenizers)
    return Prepared(
        data_name=corpus.name,
        sha256=corpus.sha256,
        train=len(corpus.train.sources),
        valid=len(corpus.valid.sources),
        test=len(corpus.test.sources),
        tested=len(tested.sources),
        notes=list(corpus.notes),
        budget_amount=budget.amount,
        budget_unit=budget.unit,
        learning_rates={run.arch: run.optim.lr for run in runs},
        metric=metric,
        source_vocabulary=tokenizers.source.size,
        target_vocabulary=tokenizers.target.size,
        tokens=config.tokens,
        state_lengths=f"{len(source)} source and {len(target)} target tokens in",
        sources=tested.sources,
        references=tested.targets,
        attended=attended,
        attended_pieces=[tokenizers.source.pieces(tokenizers.source.encode(tested.sources[i])) for i in attended],
        baselines=baselines,
        environment=environment() | {"threads": torch.get_num_threads(), "command": ""},
    )


def _prepare_architectures(job: Job, runs: list[TranslationRun], pairs: Pairs) -> TokenizerPair:
    """Tokenizers for every architecture; what does not fit the data or the size is refused here, before training."""
    made: dict[Path, TokenizerPair] = {}
    for run in runs:
        path = tokenizer_file(job.prepared, run)
        if path not in made:
            tokens = run.tokenizer
            made[path] = TokenizerPair.train(
                *pairs, kind=tokens.kind, size=tokens.size, lowercase=tokens.lowercase, shared=tokens.shared
            )
            made[path].save(path)
        if run.parameters is not None:
            match_parameters(run.model, run.parameters, made[path].source.size, made[path].target.size)
    return next(iter(made.values()))


def _metric(config: CompareConfig, targets: list[str]) -> str:
    """The metric of the verdict: exact match where most targets are single words, BLEU elsewhere."""
    if config.metric != "auto":
        return config.metric
    single = sum(len(target.split()) <= 1 for target in targets)
    return "exact_match" if 2 * single > len(targets) else "bleu"


def _save_pairs(directory: Path, corpus: Corpus, pairs: dict[str, Pairs]) -> None:
    content = {"name": corpus.name, "sha256": corpus.sha256, **{part: list(both) for part, both in pairs.items()}}
    (directory / "pairs.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _load_pairs(directory: Path) -> Corpus:
    content = json.loads((directory / "pairs.json").read_text(encoding="utf-8"))
    train, valid, test = (Pairs(*content[part]) for part in ("train", "valid", "test"))
    return Corpus(content["name"], train, valid, test, content["sha256"])


def attention_examples(sources: list[str], tokenizers: TokenizerPair) -> list[int]:
    """Three test sources to look at: of the middle length, one of those with the most foreign letters, and a long one.

    Only sources of 4 to 48 pieces are taken, so that a map can be read; fewer where there are no others.
    """
    lengths = [len(ids) for ids in tokenizers.source.encode_batch(sources)]
    fit = [i for i, length in enumerate(lengths) if 4 <= length <= 48]
    if not fit:
        return []
    by_length = sorted(fit, key=lambda i: (lengths[i], i))
    middle = by_length[len(by_length) // 2]
    near = [i for i in fit if lengths[i] <= lengths[middle] + 4]
    foreign = max(near, key=lambda i: (sum(char > "\u02ff" for char in sources[i]), -i))
    return list(dict.fromkeys([middle, foreign, by_length[len(by_length) * 9 // 10]]))


def _state_example(pairs: Pairs, tokenizers: TokenizerPair) -> tuple[list[int], list[int]]:
    """The ids of the test pair of the middle source length, on which the state is measured."""
    ids = tokenizers.source.encode_batch(pairs.sources)
    middle = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))[len(ids) // 2]
    return ids[middle], tokenizers.target.encode(pairs.targets[middle])


def train(job: Job) -> Measured:
    """Train once and, unless it is a trial, measure."""
    say("starting")
    corpus = _load_pairs(job.prepared)
    run = run_config(job.config, job.arch)
    run = replace(
        run,
        budget=job.budget,
        seed=job.seed,
        optim=replace(run.optim, lr=run.optim.lr * job.lr_factor),
        validations=VALIDATIONS if job.kind == "run" else 2,
    )
    tokenizers = TokenizerPair.load(tokenizer_file(job.prepared, run))
    task = TranslationTask.create(corpus, run.settings, seed=run.seed, parameters=run.parameters, tokenizers=tokenizers)
    found = train_task(
        task,
        corpus,
        job.directory,
        run.training,
        on_progress=_progress(),
        files=lambda task: run_files(run, corpus, task.sizes),
    )
    peak = peak_memory_bytes()
    result = found.training
    losses = [record["loss"] for record in result.history if record["event"] == "valid" and record["loss"] is not None]
    measured = Measured(
        loss=min(losses, default=None),
        learning_rate=run.optim.lr,
        train_s=result.seconds,
        history=_thinned(result.history),
        steps=result.steps,
        tokens=result.tokens,
        flops=float(result.flops),
        parameters=found.task.parameters,
        peak_memory_bytes=peak,
    )
    shutil.rmtree(job.directory / "checkpoints", ignore_errors=True)
    return measured if job.kind == "trial" else _measure(job, found.task, corpus.test, measured)


def _measure(job: Job, task: TranslationTask, test: Pairs, measured: Measured) -> Measured:
    """`measured` with quality on the test items, decoding time, state and attention."""
    say("testing", fraction=1.0)
    evaluation = task.evaluate(test)
    maps = []
    if job.attention:
        prepared = read_json(Prepared, job.prepared / DONE)
        maps = [attention_maps(task, test.sources[i]) for i in prepared.attended]
    return replace(
        measured,
        metrics={name: value for name, value in evaluation.metrics.items() if math.isfinite(value)},
        outputs=[item.hypothesis for item in evaluation.items],
        exact=[item.exact for item in evaluation.items],
        bleu=[list(item.bleu) for item in evaluation.items],
        decode_ms_per_token=decode_ms_per_token(task, spaced(test, TIMED_SENTENCES).sources),
        state_bytes=state_bytes(task, *_state_example(test, task.tokenizers)),
        maps=maps,
    )


def decode_ms_per_token(task: TranslationTask, sources: list[str]) -> float | None:
    """Median over sentences of greedy decoding time per output token, end token counted, one sentence at a time."""
    task.translate(sources[:2])  # first calls are slower
    times = []
    for source in sources:
        began = time.perf_counter()
        (output,) = task.translate([source])
        seconds = time.perf_counter() - began
        times.append(1000 * seconds / (len(task.tokenizers.target.encode(output.text)) + output.finished or 1))
    return statistics.median(times) if times else None


@torch.no_grad()
def state_bytes(task: TranslationTask, source: list[int], target: list[int]) -> int:
    """Bytes of the decoder's state for one sentence after its start token and all of `target`."""
    read = torch.tensor([source], device=task.device)  # (1, M)
    fed = torch.tensor([[Tokenizer.BOS, *target]], device=task.device)  # (1, T)
    state = task.model.initial_state(task.model.encode(read, torch.ones_like(read, dtype=torch.bool)))
    _, state = task.model.decode(fed, state)
    return nbytes(state)


def peak_memory_bytes() -> int:
    """The largest resident set that this process has had."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _thinned(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All validations, and of the rest at most `MOST_RECORDS`, evenly."""
    others = [i for i, record in enumerate(history) if record["event"] == "train"]
    kept = set(others[:: max(1, -(-len(others) // MOST_RECORDS))])
    return [record for i, record in enumerate(history) if record["event"] == "valid" or i in kept]


def say(stage: str, **values: float | None) -> None:
    """One line of progress."""
    print(json.dumps({"stage": stage, **values}), flush=True)


def _progress() -> Callable[[Progress], None]:
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_EVERY_S:
            last = now
            loss = progress.loss if abs(progress.loss) < float("inf") else None
            say("validating" if progress.validating else "training", fraction=progress.fraction, loss=loss,
                tokens_per_s=progress.tokens_per_s)  # fmt: skip

    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
