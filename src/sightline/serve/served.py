"""The models of a server: a trained task with its queue, under a name."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.core.precision import Precision
from sightline.core.suggest import unknown
from sightline.decoding.engine import DecodingConfig
from sightline.parts.packed_linear import check_precision
from sightline.serve.batching import Batcher, PendingJob, Work
from sightline.serve.limits import ServerLimits
from sightline.serve.metrics import Measurements
from sightline.serve.refusal import Refusal
from sightline.tasks.load import MODELS

logger = logging.getLogger("sightline")


def names_of_runs(runs: Sequence[Path]) -> list[str]:
    """A name for each run: that of its directory, with its parents' where two are the same."""
    parts = [run.absolute().parts for run in runs]
    parts = [of_run[:-1] if of_run[-1] in MODELS and len(of_run) > 2 else of_run for of_run in parts]
    names = ["/".join(of_run[-1:]) for of_run in parts]
    depth = 2
    while len(set(names)) < len(names) and depth <= max(map(len, parts)):
        twice = {name for name in names if names.count(name) > 1}
        names = [
            "/".join(of_run[-depth:]) if name in twice else name for name, of_run in zip(names, parts, strict=True)
        ]
        depth += 1
    return [name if names.count(name) == 1 else f"{name}#{place}" for place, name in enumerate(names, 1)]


@final
class ServedModel:
    """A trained task, its name and its queue.

    precision: of the products of the model when it decodes; None = float32
    compiled: beam widths whose steps are compiled now, 1 for greedy decoding and sampling; None = none

    Raises:
        InputError: "--precision: reviews is a classification model and does not decode sequences"; what
            `check_precision` and `check_compiler` raise.
    """

    def __init__(
        self,
        name: str,
        task: Any,
        limits: ServerLimits,
        measurements: Measurements,
        precision: Precision | None = None,
        compiled: Sequence[int] | None = None,
    ) -> None:
        for flag, value in (("--precision", precision), ("--compiled", compiled)):
            if value is not None and not task.accepts_decoding:
                raise InputError(f"{name} is a {task.name} model and does not decode sequences", where=flag)
        if precision is not None:
            check_precision(precision, next(task.model.parameters()).device)
        self.name, self.task, self._limits = name, task, limits
        self.precision: Precision = precision or "float32"
        self.compiled = () if compiled is None else _compiled(name, task, self.precision, compiled)
        self.created = int(time.time())
        self._measurements = measurements
        self.batcher: Batcher | None = None

    def start(self) -> None:
        """Begin to compute; in a running event loop."""
        batcher = self.batcher = Batcher(self.name, self.task, self._limits, self._measurements.batches(self.name))
        self._measurements.watch(self.name, lambda: batcher.waiting)
        self.task.model.eval()
        batcher.start()

    async def stop(self) -> None:
        """End its thread after what it computes."""
        if self.batcher is not None:
            await self.batcher.stop()

    async def result(self, job: PendingJob) -> Any:
        """The result of a job that was added; see `Batcher.answer`."""
        assert self.batcher is not None
        return await self.batcher.answer(job)

    def add(
        self,
        work: Work,
        inputs: Sequence[Any],
        timeout_s: float | None = None,
        hear: Callable[[int, str], None] | None = None,
    ) -> PendingJob:
        """Put inputs into the queue; raises `Refusal` where it is full."""
        assert self.batcher is not None
        job = PendingJob(work, inputs, self._limits.seconds(timeout_s), hear)
        self.batcher.add(job)
        return job

    def decoding(self, config: DecodingConfig) -> DecodingConfig:
        """The settings of a request, at the precision of this server, with the steps that are compiled.

        Where the request limits no output, the model's own limit applies, or that of the server if it is lower.
        """
        length, own, most = config.max_length, self.task.longest_output, self._limits.new_tokens
        if length is None and own is not None and own > most:
            length = most
        compiled = config.beam in self.compiled
        return replace(config, max_length=length, precision=self.precision, compiled=compiled)

    def facts(self) -> dict[str, Any]:
        """Its entry in `/v1/models`."""
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "sightline",
            "task": self.task.name,
            "architecture": self.task.arch,
            "parameters": self.task.parameters,
            "precision": self.precision,
            "compiled_beams": self.compiled,
            "max_new_tokens": self._limits.new_tokens if self.task.accepts_decoding else None,
            "sources": [{"name": name, "kind": kind} for name, kind in self.task.input_sources.items()],
            "continues_prompts": self.task.continues_prompts,
            "accepts_decoding": self.task.accepts_decoding,
        }


def _compiled(name: str, task: Any, precision: Precision, beams: Sequence[int]) -> tuple[int, ...]:
    """The beam widths whose steps have been compiled, with a message."""
    began = time.monotonic()
    ready = task.compile_steps(precision, beams)
    left = [beam for beam in beams if beam not in ready]
    for widths, what in ((ready, "compiled"), (left, "plain steps, as compiled ones would gain nothing")):
        if widths:
            logger.info("%s: %s for %s (%.1f s)", name, what, _searches(widths), time.monotonic() - began)
    return ready


def _searches(beams: Sequence[int]) -> str:
    return ", ".join("greedy decoding and sampling" if beam == 1 else f"beam {beam}" for beam in beams)


@final
class ServedModels:
    """All models of a server, by name."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Any:
        return iter(self._models.values())

    def named(self, name: str | None) -> ServedModel:
        """The model of that name; without one the only one.

        Raises:
            Refusal: 404 "unknown model 'datez', did you mean 'dates'?"; 422 "model: name one of a, b".
        """
        if name is None:
            if len(self._models) > 1:
                raise Refusal(422, f"model: name one of {', '.join(self._models)}", param="model")
            return next(iter(self._models.values()))
        if name not in self._models:
            raise Refusal(404, unknown("model", name, self._models), param="model")
        return self._models[name]
