"""The laws of tasks, over any task: from this package or your own (`check_task`)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np
import torch
from torch import nn

from sightline.core.config import decode, encode, override, to_yaml
from sightline.core.digits import percent
from sightline.core.errors import CheckFailed, InputError, SightlineError
from sightline.core.hooks import removed_after
from sightline.core.metrics import find_metric
from sightline.core.settings import describe_keys, missing_descriptions
from sightline.core.yaml12 import parse_yaml
from sightline.data.inputs import InputTable
from sightline.models import FORMS
from sightline.tasks.architectures import check_architecture
from sightline.tasks.fit import train_run
from sightline.testing.batches import BATCH_LAWS, StreamSubject
from sightline.testing.findings import refusal
from sightline.testing.task_subject import TaskSubject

_SHOWN = 3  # problems of a law
_BRIEF = {
    "budget": "30steps",
    "validations": 1,
    "optim.lr": 1e-2,
    "optim.warmup_steps": 0,
    "device": "cpu",
    "dtype": "float32",
}
_ROUNDING = 1e-4  # relative, between batches of other sizes
_STREAM_LAWS = ("resumes at every cursor", "the seed decides the order", "cursors of other data are refused")


def saved_is_loaded(subject: TaskSubject) -> Iterator[str]:
    """A loaded task has the same config, metrics and answers, to the bit, and is saved as the same files."""
    task, part = subject.task, subject.corpus.test
    with TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        task.save(first)
        loaded: Any = subject.kind.load(first)
        loaded.save(second)
        before, after = ({file.name: file.read_bytes() for file in place.iterdir()} for place in (first, second))
    differing = sorted(name for name in before | after if before.get(name) != after.get(name))
    yield from (f"{name} differs when saved again" for name in differing)
    for what in ("config", "data", "arch", "parameters", "source", "outputs", "run"):
        if getattr(loaded, what) != getattr(task, what):
            yield f"{what} was {getattr(task, what)}, is {getattr(loaded, what)}"
    if not _alike(loaded.measure(part).metrics, task.measure(part).metrics, 0.0):
        yield f"metrics were {task.measure(part).metrics}, are {loaded.measure(part).metrics}"
    if not _alike(loaded.predict(subject.inputs), task.predict(subject.inputs), 0.0):
        yield "other predictions"
    if loaded.model.training:
        yield "it is in training mode"


def answers_in_order(subject: TaskSubject) -> Iterator[str]:
    """Answers come in the order of the inputs; inputs answered one at a time, or in another order, get the same."""
    task, inputs, lines = subject.task, list(subject.inputs), list(subject.all_lines)
    predictions, answers = task.predict(inputs), subject.answers()
    if len(predictions) != len(inputs) or len(answers) != len(lines):
        yield f"{len(predictions)} predictions and {len(answers)} answers to {len(inputs)} inputs"
        return
    if all(_alike(one, answers[0], 0.0) for one in answers):
        yield "all answers are the same, which says nothing: choose other inputs"
    if not _alike([task.predict([one])[0] for one in inputs], predictions):
        yield "predictions of one input at a time differ"
    if not _alike([subject.answers([one])[0] for one in lines], answers):
        yield "answers to one input at a time differ"
    if not _alike([task.predict(one) for one in inputs], predictions):
        yield "predictions of an input that is not in a list differ"
    if not _alike(task.predict(inputs[::-1]), predictions[::-1]):
        yield "predictions of the inputs in reverse are not the predictions in reverse"
    if not _alike(subject.answers(lines[::-1]), answers[::-1]):
        yield "answers to the inputs in reverse are not the answers in reverse"
    if len(task.predict([])) or subject.answers([]):
        yield "there are answers to no inputs"


def used_as_evaluated(subject: TaskSubject) -> Iterator[str]:
    """Under each option of the data, an evaluation of a file has the outputs that `predict` gives for its content.

    The model is one that has been trained, saved and loaded. Its evaluation reads the file by the configuration of the
    training, and by what the saved model alone knows. The rows of the file, read as inputs, have these outputs too.
    """
    for name, option in subject.options.items():
        run = override(subject.run, {"data": option.data, **_BRIEF, **option.keys})
        with TemporaryDirectory() as folder:
            data = subject.kind.load_data(run)
            train_run(subject.kind.build(data, run), data, Path(folder, "run"), run)
            task = subject.kind.load(Path(folder, "run", "best"))
        predicted = [subject.plain(output) for output in task.predict(option.inputs)]
        changed = {"data": option.evaluated or option.data}
        rows = task.table_inputs(InputTable(Path(changed["data"])))  # of series the table itself is one input
        if rows != [changed["data"]] and not _alike([subject.plain(one) for one in task.predict(rows)], predicted):
            yield f"{name}: predictions of the rows of the table differ"
        known = {"the training": task.like(run).changed(**changed), "the saved model": task.run.changed(**changed)}
        for where, config in known.items():
            outputs = task.outputs_of(task.read_as_trained(config))
            if len(outputs) != len(predicted):
                yield f"{name}: read as {where} says: {len(outputs)} outputs of {len(predicted)} inputs"
                continue
            if all(_alike(output, outputs[0], 0.0) for output in outputs):
                yield f"{name}: all outputs are {outputs[0]!r}, which says nothing: choose other data"
            for number, pair in enumerate(zip(outputs, predicted, strict=True), 1):
                if not _alike(*pair):
                    yield f"{name}: read as {where} says: item {number}: evaluated {pair[0]!r}, predicted {pair[1]!r}"


def items_make_up_the_metrics(subject: TaskSubject) -> Iterator[str]:
    """Each metric is what `core.metrics` makes of its items, with a row for each item or group of them."""
    part = subject.corpus.test
    measured = subject.task.measure(part)
    order = list(range(len(part)))[::-2]
    chosen = subject.task.measure(part.select(order))
    counts = {len(rows) for rows in measured.items.values()}
    texts = subject.kind.sources(part) or subject.kind.lengths(part) or measured.outputs
    if len(counts) > 1 or max(counts, default=0) > len(part) or (texts and counts != {len(part)}):
        yield f"{sorted(counts)} rows of items for {len(part)} items"
        return
    for name, value in measured.metrics.items():
        if name not in measured.items:
            yield f"{name} has no items"
            continue
        rows, (low, high) = measured.items[name].astype(float), find_metric(name).limits
        if not _alike(float(find_metric(name).value(rows[None])[0]), float(value)):
            yield f"{name} is {value}, but {find_metric(name).value(rows[None])[0]} by its items"
        if not (math.isnan(value) or low <= value <= high):
            yield f"{name} is {value}, outside of {low} to {high}"
        if counts == {len(part)} and not _alike(chosen.items[name].astype(float), rows[order]):
            yield f"{name} has other items when every other item is measured, the last one first"
    for name, texts in {"outputs": measured.outputs, "references": measured.references}.items():
        if len(texts) not in (0, len(part)):
            yield f"{len(texts)} {name} of {len(part)} items"


def metrics_decide(subject: TaskSubject) -> Iterator[str]:
    """The metrics that `metrics` names are those that `measure` reports; the first decides a comparison by default."""
    task, data = subject.task, subject.corpus
    names, measured = subject.kind.metrics(data, subject.run), task.measure(data.test)
    if set(names) != set(measured.metrics) or len(set(names)) != len(names):
        yield f"named are {', '.join(names)}, measured {', '.join(measured.metrics)}"
        return
    if not find_metric(names[0]).decides:
        yield f"{names[0]}, the first one, ranks no models"
    for name in names:
        metric, rows = find_metric(name), measured.items[name][None].astype(float)
        twice = np.full((1, rows.shape[1]), 2.0)  # a bootstrap draws some items more than once
        if metric.decides and not _alike(metric.value(rows, twice)[0, 0], metric.value(rows.repeat(2, 1))[0]):
            yield f"{name} of items drawn twice is not that of all items twice"
    for share in (1.0, 0.01):
        validated = task.validator(data.valid, share)(task.model).metrics
        if "loss" not in validated or not all(isinstance(value, float) for value in validated.values()):
            yield f"a validation of {percent(share)} of the items gives {validated}, not numbers with 'loss' among them"
        elif missing := [name for name in names if name not in validated]:
            yield f"a validation of {percent(share)} of the items lacks {', '.join(missing)}, which --metric may name"


def evaluation_leaves_no_trace(subject: TaskSubject) -> Iterator[str]:
    """Measuring and answering use no dropout, draw nothing, and leave the model's mode, after an exception too."""
    task, part = subject.task, subject.corpus.test
    calls: dict[str, Callable[[], Any]] = {
        "measure": lambda: task.measure(part).metrics,
        "predict": lambda: task.predict(subject.inputs),
        "answer": subject.answers,
        "costs": lambda: bool(task.costs(part)),
    }
    for name, call in calls.items():
        results = []
        for training in (True, False):
            task.model.train(training)
            before = torch.get_rng_state()
            results.append(call())
            if task.model.training is not training:
                yield f"{name} leaves the model with training={task.model.training}"
            if not torch.equal(torch.get_rng_state(), before):
                yield f"{name} draws random numbers"
        if not _alike(results[0], results[1], 0.0):
            yield f"{name} gives something else in training mode"
        if name != "costs":
            task.model.train()
            if not _stopped(task.model, call):
                yield f"{name} does not run the model"
            if not task.model.training:
                yield f"{name} leaves the model in evaluation mode after an exception"


def data_is_described(subject: TaskSubject) -> Iterator[str]:
    """A corpus describes itself, and a task its data, in plain values; the data's hash is stored with the model."""
    task, data = subject.task, subject.corpus
    survey = data.describe()
    json.dumps(survey.to_dict(), allow_nan=False)  # raises where values are not plain, or not finite
    parts = {name for name, size in data.sizes.items() if size}
    if not parts <= set(survey.parts) or not list(survey.lines()):
        yield f"a survey of the parts {', '.join(survey.parts)}, where data has {', '.join(parts)}"
    json.dumps(task.describe(data), allow_nan=False)
    if data.sha256 not in task.data:
        yield f"the data's sha256 is not in {task.data!r}"
    if not all(isinstance(value, str) for value in task.facts().values()):
        yield f"facts are not texts: {task.facts()}"
    for part in data.filled.values():
        sources, lengths = subject.kind.sources(part), subject.kind.lengths(part)
        if not {len(sources), len(lengths)} <= {0, len(part)}:
            yield f"{len(sources)} sources and {len(lengths)} lengths of {len(part)} items"
    baselines = task.baselines(data.train, data.valid, data.test)
    if len({baseline.name for baseline in baselines}) < len(baselines):
        yield f"baselines of the same name: {', '.join(baseline.name for baseline in baselines)}"
    for baseline in baselines:
        if not baseline.description or baseline.seconds is None:
            yield f"the baseline {baseline.name!r} does not say what it does, or how long it took"
        if unknown := set(baseline.metrics) - set(subject.kind.metrics(data, subject.run)):
            yield f"the baseline {baseline.name!r} has metrics that the task has not: {', '.join(sorted(unknown))}"


def keys_are_flags(subject: TaskSubject) -> Iterator[str]:
    """Keys are described, each once; errors about settings, and `size_key` of batches, name keys that exist."""
    run = subject.run
    rows = describe_keys(type(run), run)
    names = [row.name for row in rows]
    models = {type(model) for model in subject.kind.architectures().values()}
    if undescribed := [name for kind in (type(run), *models) for name in missing_descriptions(kind)]:
        yield f"no description of {', '.join(undescribed)}"
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"{', '.join(twice)} exists twice"
    key, _ = subject.task.batches(subject.corpus.train, seed=0).size_key
    if key not in names:
        yield f"size_key is {key!r}, which is not a key"
    wrong = ("", "no such value", "-1", "0", "0.5", "1e30", "nan", "null", "a,b")
    for row in rows:
        for value in wrong:
            try:
                override(run, {row.name: value}, prefix="--")
            except InputError as error:
                places = [error.where or "", *re.findall(r"(?<![\w-])--[a-z][\w.-]*", str(error))]
                for place in places:
                    if place.removeprefix("--").replace("-", "_").split(":")[0] not in names:
                        yield f"{row.name}={value!r}: {error}"
    for data in ("", "no/such/file.tsv"):
        try:
            subject.kind.load_data(run.changed(data=data))
            yield f"data={data!r} is accepted"
        except SightlineError as error:
            if not str(error).startswith(data or "--data: "):
                yield f"data={data!r}: {error}"


def run_survives_its_file(subject: TaskSubject) -> Iterator[str]:
    """A configuration written to YAML is read back the same, from the preset of its architecture."""
    for run in (subject.run, *map(subject.kind.preset, subject.kind.architectures())):
        base = subject.kind.preset(run.settings.arch)
        if run.task != subject.kind.name:
            yield f"the task of a configuration is {run.task!r}"
        again = decode(type(run), parse_yaml(to_yaml(run), where="config.yaml"), base=base)
        if again != run:
            changed = [name for name, value in run.dotted().items() if again.dotted().get(name) != value]
            yield f"{run.settings.arch}: {', '.join(changed) or 'something'} differs"
    if encode(subject.task.run.settings) != encode(subject.task.config):
        yield "the settings of a task's `run` are not its own"


def other_forms_are_refused(subject: TaskSubject) -> Iterator[str]:
    """Architectures of the task are accepted, others refused in the words of `check_architecture`."""
    kind, known = subject.kind, subject.kind.architectures()
    others = {arch for presets in FORMS.values() for arch in presets if arch not in known}
    misspelt = f"{next(iter(known))}x"
    for arch in (*known, *sorted(others), misspelt):
        expected = "" if arch in known else refusal(check_architecture, arch, kind.form, kind.name, known)
        for call in (kind.check_architecture, kind.preset):
            if (message := refusal(call, arch)) != expected:
                yield f"{arch}: {message or 'accepted'}" + (f", not: {expected}" if expected else "")


def seed_draws_the_weights(subject: TaskSubject) -> Iterator[str]:
    """The same seed draws the same weights, another one others; torch's own random numbers play no part."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = subject.built(3).model.state_dict()
        if not torch.equal(torch.get_rng_state(), before):
            yield "torch's random state has changed"
        torch.manual_seed(2)
        again, other = subject.built(3).model.state_dict(), subject.built(4).model.state_dict()
    if first.keys() != again.keys() or not all(torch.equal(first[name], again[name]) for name in first):
        yield "the same seed draws other weights"
    if all(torch.equal(first[name], other[name]) for name in first):
        yield "another seed draws the same weights"


def batches_resume(subject: TaskSubject) -> Iterator[str]:
    """The laws of batch streams that do not depend on the kind of batch, over the training part's batches."""
    stream = StreamSubject(lambda _, seed: subject.task.batches(subject.corpus.train, seed=seed), (), sizes=(1,))
    for law in _STREAM_LAWS:
        yield from (f"{law}: {problem}" for problem in BATCH_LAWS[law](stream))


TASK_LAWS: dict[str, Callable[[TaskSubject], Iterator[str]]] = {
    "saved = loaded": saved_is_loaded,
    "answers in order": answers_in_order,
    "used = evaluated": used_as_evaluated,
    "items make up the metrics": items_make_up_the_metrics,
    "metrics decide": metrics_decide,
    "evaluation leaves no trace": evaluation_leaves_no_trace,
    "data is described": data_is_described,
    "keys are flags": keys_are_flags,
    "a run survives its file": run_survives_its_file,
    "other forms are refused": other_forms_are_refused,
    "a seed draws the weights": seed_draws_the_weights,
    "batches resume": batches_resume,
}


def check_task(subject: TaskSubject, laws: Iterable[str] | None = None) -> None:
    """Check the laws of tasks, all of `TASK_LAWS` or those named.

    Raises:
        CheckFailed: "tagging: answers in order: answers to one input at a time differ; …", all laws that fail, with the
            first problems of each.
    """
    failures = []
    for law in laws or TASK_LAWS:
        try:
            failures += [f"{law}: {problem}" for problem in islice(TASK_LAWS[law](subject), _SHOWN)]
        except Exception as error:
            failures.append(f"{law}: {type(error).__name__}: {error}")
    if failures:
        raise CheckFailed(f"{subject.kind.name}: {'; '.join(failures)}")


@final
class _Stop(Exception):
    """Stops a model."""


def _stopped(model: nn.Module, call: Callable[[], Any]) -> bool:
    """Whether the call runs into an exception that every module of the model raises."""

    def stop(module: nn.Module, inputs: Any) -> None:
        raise _Stop

    try:
        with removed_after(module.register_forward_pre_hook(stop) for module in model.modules()):
            call()
    except _Stop:
        return True
    return False


def _alike(left: Any, right: Any, tolerance: float = _ROUNDING) -> bool:
    """Whether values are equal, numbers in them up to a relative error; NaN equals NaN."""
    if isinstance(left, float | np.ndarray | torch.Tensor):
        a, b = np.asarray(left), np.asarray(right)
        return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_alike(left[name], right[name], tolerance) for name in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(_alike(a, b, tolerance) for a, b in zip(left, right, strict=True))
    if is_dataclass(left):
        return all(_alike(getattr(left, one.name), getattr(right, one.name), tolerance) for one in fields(left))
    return bool(left == right)
