"""The result of a comparison: its verdict, its tables, and the model of its winner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from sightline.api.shown import ShownResult, frame_of
from sightline.core.spelling import as_arguments
from sightline.lab.results import Results
from sightline.report.estimates import score_of
from sightline.report.recommendation import recommendation_line
from sightline.report.text import quantity
from sightline.tasks.load import load


@final
@dataclass(frozen=True, repr=False)
class ComparisonResult(ShownResult):
    """The result of a comparison; results: the content of results.json.

    like: the data as it was given, whose library makes the tables
    """

    results: Results
    like: Any = None

    @property
    def verdict(self) -> str:
        """Which architecture is best, and how certain that is."""
        return as_arguments(self.results.verdict)

    @property
    def recommendation(self) -> str:
        """Which architecture to take for the priority `prefer`, and why."""
        return recommendation_line(self.results)

    @cached_property
    def best(self) -> Any:
        """The `Task` of the winner, of its runs the one whose kept model has the best validation."""
        return load(self.directory)

    @property
    def table(self) -> Any:
        """A frame with a row for each architecture, best first: the mean of the metric that decides, its 95 % interval,
        and costs.
        """
        name = self.results.primary_metric
        rows = []
        for one in self.results.ranked:
            score = one.metrics.get(name)
            ends = (None, None, None) if score is None else (score.mean, score.low, score.high)
            rows.append(
                {
                    "architecture": one.arch, **dict(zip((name, "low", "high"), ends, strict=True)),
                    "train_s": one.train_s, "tokens_per_s": one.tokens_per_s, "parameters": one.parameters,
                    "peak_memory_bytes": one.peak_memory_bytes, "ms": one.ms, "learning_rate": one.learning_rate,
                    "finished": one.finished, "started": one.started,
                }
            )  # fmt: skip
        return frame_of(rows, self.like)

    @property
    def runs(self) -> Any:
        """A frame with a row for each training: its status, test metrics, seconds, steps and error."""
        names = dict.fromkeys(name for run in self.results.runs for name in run.metrics)
        rows = [
            {
                "architecture": run.arch, "seed": run.seed, "status": run.status,
                **{name: run.metrics.get(name) for name in names},
                "train_s": run.train_s, "steps": run.steps, "error": run.error and as_arguments(run.error),
            }
            for run in self.results.runs
        ]  # fmt: skip
        return frame_of(rows, self.like)

    def _parts(self) -> tuple[str, list[tuple[str, ...]], list[str]]:
        info = self.results.metric
        rows: list[tuple[str, ...]] = [("architecture", info.label, "train s", "parameters")]
        for one in self.results.ranked:
            score = one.metrics.get(info.name)
            text = "no run finished" if score is None else score_of(info, score)
            rows.append((one.arch, text, quantity(one.train_s), quantity(one.parameters)))
        notes = [*filter(None, [self.results.power_note]), *self.results.warnings]
        return self.results.judgement, rows, [*map(as_arguments, notes), self.recommendation]
