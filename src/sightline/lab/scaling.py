"""A ladder of sizes: every architecture trained at several sizes under the same budget, and the law of its loss.

Each size is one comparison (`lab.compare`) of all architectures, matched to the same number of parameters, with its own
search for learning rates: a rate that is right for one size is wrong for another, and a law of wrong rates bends
(Kaplan et al. 2020, section 3.1 and appendix D.6; Hoffmann et al. 2022, section 3). This process imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from sightline.core.config import encode
from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.files import faults
from sightline.core.metrics import find_metric
from sightline.core.processes import in_child
from sightline.core.settings import check_in_range
from sightline.lab.compare import NoRunFinished
from sightline.lab.compare import compare as run_comparison
from sightline.lab.differences import stored_items
from sightline.lab.directory import LADDER_OF_SIZES, OF_SIZES, SCALE, clear, occupied, size_directory
from sightline.lab.plan import CompareConfig
from sightline.lab.progress import Display
from sightline.lab.results import Results, Run
from sightline.lab.scaling_fits import SAME, ScaleFits, SizeScores, fit_ladder
from sightline.lab.scaling_results import ScaleResults, SizePoint
from sightline.lab.scaling_verdict import scaling_verdict, scaling_warnings
from sightline.training.budget import Budget

FIXED = ("tokens", "flops")
TOKENS = "tokenizer.kind"
# By task, where models write tokens: a small model with a large vocabulary would be little else.
FEWEST_TOKENS = {
    "language": "byte",
    **dict.fromkeys(("translation", "transcription", "captioning", "answering"), "char"),
}


@final
@dataclass(frozen=True)
class ScaleConfig:
    """One ladder.

    comparison: what every size is compared with; its `match` is set by the ladder, and its budget, in tokens or
        training FLOPs, is that of each run at every size; without a kind of tokens it has `FEWEST_TOKENS`
    smallest, ratio, sizes: `sizes` numbers of parameters, of which the first is `smallest` and each next one `ratio`
        times as large
    held_out: the largest of them that no fit sees
    margin: exponents that differ by no more are practically the same; by default a model ten times as large gains less
        than 1 % of the loss from the difference
    """

    comparison: CompareConfig = field(default_factory=CompareConfig)
    smallest: int = 50_000
    ratio: float = 2.0
    sizes: int = 5
    held_out: int = 1
    margin: float = SAME

    def __post_init__(self) -> None:
        for flag, value, least in (
            ("--smallest", self.smallest, 1), ("--sizes", self.sizes, 2), ("--held-out", self.held_out, 0),
            ("--margin", self.margin, 0),
        ):  # fmt: skip
            check_in_range(flag, value, at_least=least)
        if self.ratio <= 1:
            raise InputError(f"must be above 1, found {self.ratio:g}", where="--ratio")
        if self.sizes - self.held_out < 2:
            left = number_of(self.sizes - self.held_out, "size")
            raise InputError(f"a law needs at least two sizes, {left} would be left", where="--held-out")
        if Budget.parse(self.comparison.budget).unit not in FIXED:
            equal = "sizes are compared at equal tokens (2Mtok) or training FLOPs (1e13flop)"
            raise InputError(f"{equal}, found {self.comparison.budget!r}", where="--budget")
        if self.comparison.match is not None:
            raise InputError("the ladder sets the size of every model: leave it out", where="--match")
        fewest = FEWEST_TOKENS.get(self.comparison.task)
        if fewest is not None and TOKENS not in self.comparison.settings:
            settings = {**self.comparison.settings, TOKENS: fewest}
            object.__setattr__(self, "comparison", replace(self.comparison, settings=settings))

    @property
    def targets(self) -> list[int]:
        """The numbers of parameters, ascending."""
        return [round(self.smallest * self.ratio**step) for step in range(self.sizes)]

    @property
    def trainings(self) -> int:
        """The runs at all sizes, without the trials of learning rates."""
        return self.sizes * len(self.comparison.archs) * self.comparison.seeds


def planned_sizes(config: ScaleConfig) -> tuple[str, list[SizePoint]]:
    """The metric that is fitted and the points of the ladder without losses: built and counted, in a child process.

    Raises:
        InputError: what `lab.sizes.measure_sizes` raises; "two sizes of gru have the same 52,360 parameters: …".
    """
    metric, points = in_child(_measured, config.comparison, config.targets, passing=(InputError,))
    held = set(config.targets[len(config.targets) - config.held_out :])
    for arch in config.comparison.archs:
        counts = [point.parameters for point in points if point.arch == arch]
        if len(set(counts)) < len(counts):
            same = next(count for count in counts if counts.count(count) > 1)
            message = f"two sizes of {arch} have the same {same:,} parameters: begin larger or take a larger --ratio"
            raise InputError(message, where="--smallest")
    return metric, [replace(point, held_out=point.target in held) for point in points]


def scale(
    config: ScaleConfig,
    out_dir: Path,
    *,
    command: str = "",
    overwrite: bool = False,
    resume: bool = False,
    cluster: str | None = None,
    display: Display | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> ScaleResults:
    """Train the ladder and fit its laws; write `scale.json` and a comparison for each size to `out_dir`.

    With `resume` what ended is not trained again; architectures, seeds and sizes may be added. `cluster` is as in
    `lab.compare.compare`.

    Raises:
        InputError: what `planned_sizes`, `occupied` and `lab.compare.compare` raise.
        EnvironmentFault, Interrupted: as `lab.compare.compare`; NoRunFinished: no run of any size finished.
    """
    with occupied(out_dir, overwrite=overwrite or resume, what=LADDER_OF_SIZES):
        metric, points = planned_sizes(config)
        if not resume:
            with faults(out_dir):
                clear(out_dir, OF_SIZES)
        comparison = replace(config.comparison, metric=metric)
        finished: list[tuple[int, Results, Path]] = []
        failure: NoRunFinished | None = None
        for number, target in enumerate(config.targets, 1):
            say(f"size {number} of {config.sizes}: {target:,} parameters")
            directory = size_directory(out_dir, target)
            try:
                sized = replace(comparison, match=f"params={target}")
                how: dict[str, Any] = {"resume": resume, "cluster": cluster, "display": display}
                results = run_comparison(sized, directory, command=command, **how)
            except NoRunFinished as error:
                failure, results = error, error.results
            finished.append((target, results, directory))
        if failure is not None and not any(run.status == "done" for _, results, _ in finished for run in results.runs):
            raise failure
        scaled = summarise_sizes(config, metric, points, finished, command)
        scaled.save(out_dir / SCALE)
        return scaled


def summarise_sizes(
    config: ScaleConfig,
    metric: str,
    points: Sequence[SizePoint],
    finished: Sequence[tuple[int, Results, Path]],
    command: str = "",
) -> ScaleResults:
    """The results of the comparisons of all sizes: target, results and directory of each."""
    by_target = {target: (results, stored_items(directory, results)) for target, results, directory in finished}
    scores, measured = [], []
    for point in points:
        results, items = by_target[point.target]
        done = [run for run in results.runs if run.arch == point.arch and run.status == "done"]
        if point.arch in items and done:
            rows, flops = items[point.arch], _mean([run.flops for run in done])
            scores.append(SizeScores(point.arch, point.parameters, flops, rows, point.held_out))
        measured.append(_measured_point(point, metric, results, done))
    fits = fit_ladder(scores, find_metric(metric), margin=config.margin) if scores else ScaleFits([], [], [], {})
    measured = [replace(point, loss=fits.losses.get((point.arch, point.parameters))) for point in measured]
    first = finished[0][1]
    scaled = ScaleResults(
        command=command,
        environment=first.environment,
        data=first.data,
        metric=metric,
        fixed=config.comparison.budget,
        ratio=config.ratio,
        seeds=first.budget.seeds,
        points=measured,
        laws=fits.laws,
        held_out=fits.held_out,
        pairs=fits.pairs,
        margin=config.margin,
        settings=encode(config),
    )
    return replace(
        scaled,
        verdict=scaling_verdict(scaled),
        warnings=scaling_warnings(scaled, [(target, results) for target, results, _ in finished]),
    )


def _measured(config: CompareConfig, targets: Sequence[int]) -> tuple[str, list[SizePoint]]:
    """`measure_sizes` in a process that may import torch."""
    from sightline.lab.sizes import measure_sizes

    return tuple(measure_sizes(config, targets))


def _measured_point(point: SizePoint, metric: str, results: Results, done: Sequence[Run]) -> SizePoint:
    own = next((a for a in results.architectures if a.arch == point.arch), None)
    losses = [value for run in done if (value := run.metrics.get(metric)) is not None]
    changes: dict[str, Any] = {"losses": losses, "started": 0 if own is None else own.started}
    if done and own is not None:
        changes |= {
            "flops": _mean([run.flops for run in done]),
            "tokens": _mean([run.tokens for run in done]),
            "learning_rate": own.learning_rate,
            "by_position": own.details and own.details.curve,
        }
    return replace(point, **changes)


def _mean(values: Sequence[float | int | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / max(len(known), 1)
