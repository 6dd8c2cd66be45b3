"""A ladder from Python: data as a path or in memory, a result to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sightline.api.compare import command_of, configured, new_directory
from sightline.api.resume import check_resume
from sightline.api.shown import ShownResult, frame_of
from sightline.core.config import override
from sightline.core.errors import InputError
from sightline.core.settings import check_in_range
from sightline.core.spelling import as_arguments, respelled
from sightline.lab.directory import RESULTS, occupied
from sightline.lab.ladder import check_meant
from sightline.lab.ladder_results import LadderResults
from sightline.lab.ladder_run import LENGTH, run_ladder
from sightline.lab.progress import Display
from sightline.lab.results import Results
from sightline.report.html import write_report
from sightline.report.ladder import write_ladder
from sightline.report.ladder_text import difference_text, quality_text


@final
@dataclass(frozen=True, repr=False)
class LadderResult(ShownResult):
    """The result of a ladder; results: the content of ladder.json.

    like: the data as it was given, whose library makes the table
    """

    results: LadderResults
    like: Any = None

    @property
    def verdict(self) -> str:
        """Which of the reasons hold on this data, and which do not."""
        return as_arguments(self.results.verdict)

    @property
    def table(self) -> Any:
        """A frame with a row for each rung: its verdict, its score, the difference from the rung before, and costs."""
        name, columns = self.results.primary_metric, []
        for rung in self.results.rungs:
            score, gap = rung.quality, rung.difference
            columns.append(
                {
                    "rung": rung.name, "over": rung.over or None, "verdict": rung.verdict,
                    name: score and score.mean, "difference": gap and gap.mean, "low": gap and gap.low,
                    "high": gap and gap.high, "train_s": rung.train_s, "tokens_per_s": rung.speed,
                    "parameters": rung.parameters, "state_bytes": rung.state_bytes,
                }
            )  # fmt: skip
        return frame_of(columns, self.like)

    def _parts(self) -> tuple[str, list[tuple[str, ...]], list[str]]:
        results = self.results
        head = ("rung", "reason", "difference", results.metric.label)
        rows = [(r.title, r.verdict or "", difference_text(results, r), quality_text(results, r))
                for r in results.rungs]  # fmt: skip
        return self.verdict, [head, *rows], [as_arguments(warning) for warning in results.warnings]


def ladder(
    data: Any,
    task: str | None = None,
    budget: str | None = None,
    *,
    plan: str | Path | LadderResult | None = None,
    valid: Any = None,
    test: Any = None,
    out_dir: str | Path | None = None,
    length: int = LENGTH,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    cluster: str | None = None,
    quiet: bool = False,
    **keys: Any,
) -> LadderResult:
    """Climb from RNN to linear attention on data, one change at a time: does the historical reason for each hold here?

    Arguments are those of `sightline.compare`, except that the architectures are the rungs of the task's ladder and
    that `archs`, `sizes`, `prefer`, `until_decided` and `max_seeds` have no meaning; `plan` is an earlier ladder, or
    its directory. `length` is the number of positions at which the rungs' layers are timed alone, on this machine. Each
    mechanism of the loaded plugins is one more rung.

        climbed = sightline.ladder("builtin:dates", budget="60s", out_dir="ladder")
        climbed.verdict
        climbed.results.find("attention").verdict

    Raises:
        InputError: wrong data, sizes or metric; a key in which the rungs differ; `out_dir` contains a comparison;
            `resume` without `out_dir` or with `overwrite`.
        EnvironmentFault, Interrupted, NoRunFinished: as `sightline.compare`.
    """
    if budget is not None and plan is not None:
        raise InputError("budget and plan are mutually exclusive")
    check_resume(out_dir, resume=resume, overwrite=overwrite, what="ladder")
    with respelled(as_arguments):
        check_meant(keys)
    check_in_range("length", length, at_least=16)
    directory = new_directory(out_dir, data, "ladder")
    plan = plan.directory / RESULTS if isinstance(plan, LadderResult) else None if plan is None else Path(plan)
    with configured(directory, task, settings, keys, data=data, valid=valid, test=test) as base:
        config = override(base, {"budget": budget or base.budget})
        command = command_of("ladder", config, plan, length=length)
        how: dict[str, Any] = {"overwrite": overwrite, "resume": resume, "display": Display(quiet=quiet), "plan": plan}
        how["cluster"] = cluster
        with occupied(directory, overwrite=overwrite or resume):
            results = run_ladder(config, directory, command=command, length=length, **how)
            write_report(Results.load(directory / RESULTS), directory)
            return LadderResult(results, directory, write_ladder(results, directory), data)
