"""A process of a comparison, `python -m sightline.lab.worker`: it works on jobs until its standard input ends.

Each job has a process of its own, so that its threads and memory can be measured and a crash ends only that job. The
imports take seconds: where the system can fork safely, this process does them once, computes nothing itself, and is
forked for each job; elsewhere it does one job and ends.

A line of standard input is the path of a job as JSON. Progress goes to standard output, one JSON object per line, and
last the status of the job's process. The result goes to `result.json` in the job's directory, a failure to
`failure.json` and to standard output, everything else to `worker.log`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sightline.core.config import encode
from sightline.core.errors import Diverged, EnvironmentFault, InputError, Interrupted, SightlineError, exit_status
from sightline.core.files import faults
from sightline.core.json_text import to_json
from sightline.core.kept_memory import keep_freed_memory
from sightline.core.metrics import defined
from sightline.core.processes import peak_memory_bytes
from sightline.core.subnormals import flush_subnormals
from sightline.data.spaced import spaced
from sightline.lab.attention import attention_maps
from sightline.lab.continuing import continues
from sightline.lab.job_runs import built_for, run_config, training_config
from sightline.lab.jobs import (
    DONE,
    FAILED,
    FAILING,
    LOG,
    Failure,
    Job,
    JobResult,
    Prepared,
    Timed,
    read_json,
    say,
    write_json,
)
from sightline.lab.nursery import Nursery
from sightline.lab.preparing import prepare
from sightline.lab.processes import THREAD_COUNTS, log_to
from sightline.lab.watching import watcher
from sightline.models.plugins import line_of, load_plugins
from sightline.tasks.fit import rehearse, train_run
from sightline.tasks.table import task_class
from sightline.training.budget import Budget
from sightline.training.energy import EnergyMeter, budget_meter, find_meter
from sightline.training.environment import resolve_device
from sightline.training.plan import rough_seconds
from sightline.training.state import Progress, most_steps
from sightline.training.timing import Rehearsal, measure_speeds, measuring_s
from sightline.training.trackers import make_tracker

MOST_RECORDS = 200  # of the training loss of a run, kept in results.json
REPORT_EVERY_S = 0.5


def main(arguments: list[str]) -> int:
    """Work on the jobs of standard input, each with `arguments[0]` threads."""
    threads = int(arguments[0])
    if hasattr(os, "pidfd_open"):
        importlib.import_module("torch._dynamo")  # which every optimizer needs: a second that no job has to spend
        Nursery(lambda path: work(read_json(Job, path), threads)).serve()
        return 0
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return work(read_json(Job, Path(json.loads(sys.stdin.readline()))), threads)


def work(job: Job, threads: int) -> int:
    """Do one job and leave its result or failure in its directory; return 0 on success."""
    os.environ.update(dict.fromkeys(THREAD_COUNTS, str(threads)))  # for libraries that start theirs later
    torch.set_num_threads(threads)
    flush_subnormals()
    keep_freed_memory()
    try:
        with faults(job.directory / LOG):
            log_to(job.directory / LOG)
        load_plugins(job.config.plugin)
        write_json(job.directory / DONE, WORK[job.kind](job))
        return 0
    except SightlineError as error:
        failure = failure_of(error)
    except Exception as error:
        traceback.print_exc()
        place = line_of(error)
        message = " ".join(f"{type(error).__name__}: {error}{f' (in {place})' if place else ''}".split())
        failure = Failure("failed", message)
    print(to_json({"stage": FAILING, "failure": encode(failure)}), flush=True)
    with suppress(EnvironmentFault):  # the comparing process writes it too, and stops where it cannot
        write_json(job.directory / FAILED, failure)
    return 1


def _end_with_parent() -> None:
    """Wait for the end of standard input, a pipe that closes when the comparing process ends for any reason."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def measure(job: Job) -> Timed:
    """The speed of every architecture, in turns; without a budget only what bounds their batches.

    An architecture that cannot take a step is left out: its runs fail alone.
    """
    config, kind = job.config, task_class(job.config.task)
    order = [*config.archs[job.turn :], *config.archs[: job.turn]]  # other workers begin with others
    batches: dict[str, str] = {}
    failures: dict[str, Failure] = {}
    most: dict[str, int | None] = {}
    ready: dict[str, Rehearsal] = {}
    for arch in order:
        say(f"measuring the speed of {arch}")
        run = run_config(config, arch)
        data = kind.load_prepared(run, job.prepared)
        task = built_for(kind, data, run, job.prepared)
        rehearsal = rehearse(task, data, run.training)
        batches[arch] = rehearsal.batch_size
        most[arch] = most_steps(task.settled_training(run.training), rehearsal.batches)
        if not job.budget:
            continue
        try:
            rehearsal.warm_up(seconds_each(job))
        except SightlineError as error:
            failures[arch] = failure_of(error)
        else:
            ready[arch] = rehearsal
    training = run_config(config, config.archs[0]).training
    in_joules = bool(job.budget) and Budget.parse(job.budget).unit == "joules"
    meter = budget_meter(str(resolve_device(config.device))) if in_joules else None
    speeds = measure_speeds(ready, seconds_each(job), meter, job.sharing) if ready else {}
    return Timed(speeds, batches, failures, training.validate_every, most, training.checkpoint_every_s)


def seconds_each(job: Job) -> float:
    """The time to measure an architecture in a job that measures."""
    return measuring_s(rough_seconds(Budget.parse(job.budget)))


def failure_of(error: SightlineError) -> Failure:
    """The failure of a job, for the comparing process."""
    kind = "diverged" if isinstance(error, Diverged) else "failed"
    kind = "interrupted" if isinstance(error, Interrupted) else kind
    return Failure(kind, str(error), exit_status(error))


def train(job: Job) -> JobResult:
    """Train once and, except in a trial, evaluate; a training that was cut short continues, to the bit."""
    say("starting")
    config, kind = job.config, task_class(job.config.task)
    run = training_config(job)
    data = kind.load_prepared(run, job.prepared)
    if job.kind == "run" and data.sha256 != read_json(Prepared, job.prepared / DONE).data.sha256:
        raise InputError("the data has changed since the comparison began", where=data.name)
    task = built_for(kind, data, run, job.prepared)
    resume = continues(job.directory)  # of one that continues, nobody measured the beginning
    meter = None if resume else find_meter(str(resolve_device(config.device)))
    progress = _progress(meter)
    watch = watcher(task, data.valid) if run.training.watch and job.kind == "run" else None
    trackers = [] if config.log is None else [make_tracker(config.log)]
    options = {"on_progress": progress, "watch": watch, "trackers": trackers}
    trained = train_run(task, data, job.directory, run, resume=resume, overwrite=not resume, **options)
    peak = peak_memory_bytes() or 0
    training = trained.training
    result = JobResult(
        loss=last_loss(training.history),
        learning_rate=run.training.optim.lr,
        train_s=training.seconds,
        history=_thinned(training.history),
        steps=training.steps,
        tokens=training.tokens,
        epochs=training.epochs,
        cpu_s=training.cpu_seconds,
        flops=float(training.flops),
        parameters=trained.task.parameters,
        peak_memory_bytes=peak,
        machine_j=None if meter is None else meter.read(),
        kept_by=trained.task.settled_training(run.training).metric,
    )
    if job.kind == "trial":
        return result
    return _measure(job, trained.task, data.test.select(spaced(data.sizes["test"], config.tested)), result)


def last_loss(history: Sequence[dict[str, Any]]) -> float | None:
    """The validation loss at the end of a training, of its last weights; those of the best step may be older."""
    return next((record["loss"] for record in reversed(history) if record["event"] == "valid"), None)


def _measure(job: Job, task: Any, part: Any, result: JobResult) -> JobResult:
    """`result` with the metrics on the test items, the cost of an output, and attention maps."""
    say("testing", fraction=1.0)
    prepared = read_json(Prepared, job.prepared / DONE)
    evaluation, costs = task.measure(part), task.costs(part)
    value = evaluation.metrics[prepared.metric]
    if not defined(value):
        raise InputError(f"{prepared.metric} of the trained model is {value}", where="--metric")
    maps = [attention_maps(task, prepared.sources[i]) for i in prepared.attended] if job.attention else []
    return replace(
        result,
        metrics=dict(evaluation.metrics),
        items=evaluation.items[prepared.metric].tolist(),
        outputs=list(evaluation.outputs),
        references=list(evaluation.references),
        details=evaluation.details,
        ms=costs.ms,
        ms_per=costs.per,
        state_bytes=costs.state_bytes,
        state_of=costs.state_of,
        maps=maps,
    )


def _thinned(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All validation records and at most `MOST_RECORDS` evenly spaced other records."""
    others = [i for i, record in enumerate(history) if record["event"] == "train"]
    kept = set(others[:: max(1, -(-len(others) // MOST_RECORDS))])
    return [record for i, record in enumerate(history) if record["event"] == "valid" or i in kept]


def _progress(meter: EnergyMeter | None) -> Callable[[Progress], None]:
    """Reports progress, and reads the meter so often that none of its counters wraps twice in between."""
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_EVERY_S:
            last = now
            if meter is not None:
                meter.read()
            say("validating" if progress.validating else "training", fraction=progress.fraction, loss=progress.loss,
                tokens_per_s=progress.tokens_per_s)  # fmt: skip

    return report


WORK: dict[str, Callable[[Job], Any]] = {"prepare": prepare, "time": measure, "trial": train, "run": train}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
