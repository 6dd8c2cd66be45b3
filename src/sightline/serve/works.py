"""Requests to a model: answers, continuations, influence maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

from sightline.inspect import influence
from sightline.serve.batching import PendingJob, Work
from sightline.serve.inputs import as_files
from sightline.tasks.language.generation import GenerationConfig

NAMES_OF_INPUTS = ("source", "prompt")  # keys of a record that repeat the input


@final
@dataclass(frozen=True)
class Answering(Work):
    """Answers as `predict` gives them; those that are sampled are computed alone, so that their draws are the same.

    decoding: a `DecodingConfig`, or None
    """

    decoding: Any = None

    @property
    def alone(self) -> bool:
        return self.decoding is not None and self.decoding.sample

    def run(self, task: Any, jobs: Sequence[PendingJob]) -> list[Any]:
        """For each job a record for each input: what `sightline predict --json` prints, without the input."""
        with as_files([one for job in jobs for one in job.inputs]) as inputs:
            answers = iter(task.answer(inputs, self.decoding))
        return [[_record(next(answers)) for _ in job.inputs] for job in jobs]


def _record(answer: Any) -> dict[str, Any]:
    record = {key: value for key, value in answer.record.items() if key not in NAMES_OF_INPUTS}
    return {**record, "notes": list(answer.notes)} if answer.notes else record


class Continued(NamedTuple):
    """The outputs of one request, prompt after prompt, and how many tokens its prompts have."""

    outputs: list[Any]
    prompt_tokens: int


@final
@dataclass(frozen=True)
class Continuing(Work):
    """Continuations of prompts, as `generate` gives them."""

    config: GenerationConfig

    @property
    def alone(self) -> bool:
        return self.config.decoding.sample

    def run(self, task: Any, jobs: Sequence[PendingJob]) -> list[Any]:
        owners = [
            (job, number) for job in jobs for number in range(len(job.inputs) * self.config.samples)
        ]  # of each output

        def hear(output: int, text: str) -> None:
            job, number = owners[output]
            if job.hear is not None:
                job.heard = True
                job.hear(number, text)

        listened = any(job.hear is not None for job in jobs)
        prompts = [prompt for job in jobs for prompt in job.inputs]
        outputs = iter(task.continuations(prompts, self.config, on_text=hear if listened else None))
        return [
            Continued(
                [next(outputs) for _ in range(len(job.inputs) * self.config.samples)],
                sum(len(task.tokenizer.encode(prompt)) for prompt in job.inputs),
            )
            for job in jobs
        ]


@final
@dataclass(frozen=True)
class Inspecting(Work):
    """Influence maps of one input, by all methods that the model has; first the one that is an intervention."""

    name: str

    @property
    def alone(self) -> bool:
        return True

    def run(self, task: Any, jobs: Sequence[PendingJob]) -> list[Any]:
        with as_files(jobs[0].inputs) as inputs:
            inspection = influence(task, inputs[0])
        maps = sorted(inspection.maps, key=lambda one: one.method != "effect")
        return [replace(inspection, model=replace(inspection.model, name=self.name), maps=maps)]
