"""The result of a comparison: its verdict, its tables, and the model of its winner."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from sightline.core.notebook import html_lines, html_table
from sightline.core.spelling import as_arguments
from sightline.data.rows.given import frame_like
from sightline.lab.results import Results
from sightline.report.estimates import score_of
from sightline.report.recommendation import recommendation_line
from sightline.report.text import quantity, visible
from sightline.tasks.load import load


@final
@dataclass(frozen=True, repr=False)
class ComparisonResult:
    """The result of a comparison.

    results: all numbers, the content of results.json
    directory, report: where its files are, and the page for a browser
    like: the data as it was given, whose library makes the tables
    """

    results: Results
    directory: Path
    report: Path
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
        """The `Task` of the winner, of its runs the one with the lowest validation loss."""
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
        return _frame(rows, self.like)

    @property
    def runs(self) -> Any:
        """A frame with a row for each training: its status, test metrics, seconds, steps and error."""
        names = dict.fromkeys(name for run in self.results.runs for name in run.metrics)
        rows = [
            {
                "architecture": run.arch, "seed": run.seed, "status": run.status,
                **{name: run.metrics.get(name) for name in names},
                "train_s": run.train_s, "steps": run.steps, "error": run.error,
            }
            for run in self.results.runs
        ]  # fmt: skip
        return _frame(rows, self.like)

    def _cells(self) -> list[tuple[str, ...]]:
        info = self.results.metric
        rows = []
        for one in self.results.ranked:
            score = one.metrics.get(info.name)
            text = "no run finished" if score is None else score_of(info, score)
            rows.append((one.arch, text, quantity(one.train_s), quantity(one.parameters)))
        return [("architecture", info.label, "train s", "parameters"), *rows]

    def _notes(self) -> list[str]:
        note = self.results.power_note
        return [note, *self.results.warnings] if note else self.results.warnings

    def __repr__(self) -> str:
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        notes = [*map(as_arguments, self._notes()), self.recommendation, f"report: {self.report}"]
        return "\n".join([visible(line) for line in (self.results.judgement, "", *lines, "", *notes)])

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        notes = html_lines([*map(as_arguments, self._notes()), self.recommendation])
        place = html.escape(str(self.report))
        return (
            f"<p><b>{html.escape(self.results.judgement)}</b></p>{html_table(head, rows)}{notes}"
            f'<p>report: <a href="{place}">{place}</a></p>'
        )


def _frame(rows: list[dict[str, Any]], like: Any) -> Any:
    return frame_like({name: [row[name] for row in rows] for name in rows[0]}, like)
