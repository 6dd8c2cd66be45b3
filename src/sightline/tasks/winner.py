"""The model to use after a comparison: of the architecture that scored best, the run that validated best."""

from __future__ import annotations

import logging
from pathlib import Path

from sightline.core.errors import InputError
from sightline.core.files import parse_json_object, read_regular
from sightline.core.metrics import defined, find_metric, kept_order, kept_words
from sightline.tasks.scores import best_scores

PLAN, RESULTS, RUNS = "plan.json", "results.json", "runs"

logger = logging.getLogger("sightline")


def chosen_run(path: Path) -> Path:
    """The run to use: `path` itself, or where that is a comparison a run of its winner; logs which.

    The winner has the best mean of the metric that decided; of its seeds the one is used whose kept model has the best
    validation, by the metric that kept it (`kept_order`), so that the choice does not depend on the test items.

    Raises:
        InputError: "runs/which: no run of this comparison finished"; "…/results.json: not the results of a comparison";
            "runs/which: this comparison has not ended: continue it, or use one of the runs in runs/which/runs".
    """
    file = path / RESULTS
    if (path / PLAN).is_file() and not file.exists():
        unended = f"this comparison has not ended: continue it, or use one of the runs in {path / RUNS}"
        raise InputError(unended, where=path)
    if not (file.is_file() and (path / RUNS).is_dir()):
        return path
    results = parse_json_object(read_regular(file), where=file)
    try:
        name = results["primary_metric"]
        scores = {one["arch"]: one["metrics"].get(name, {}) for one in results["architectures"]}
        means = {arch: score.get("mean") for arch, score in scores.items()}
        seeds: dict[str, list[int]] = {}
        kept_by: dict[str, str] = {}
        for run in results["runs"]:
            if run["status"] == "done":
                seeds.setdefault(run["arch"], []).append(run["seed"])
                kept_by[run["arch"]] = run.get("kept_by", "loss")  # files of older versions do not say
        metric = (
            find_metric(name)
            .in_unit_of(results["data"]["loss_unit"])
            .apart(means.values(), [_spread(score.get("low"), score.get("high")) for score in scores.values()])
        )
    except (KeyError, TypeError, AttributeError):
        raise InputError("not the results of a comparison", where=file) from None
    measured = {arch: mean for arch, mean in means.items() if defined(mean) and arch in seeds}
    if not measured:
        raise InputError("no run of this comparison finished", where=path)
    arch = (max if metric.higher_is_better else min)(measured, key=lambda one: measured[one])
    runs = [path / RUNS / f"{arch}-seed{seed}" for seed in seeds[arch]]
    run = min(runs, key=lambda run: kept_order(best_scores(run), kept_by[arch]))
    why = "" if len(runs) == 1 else f", of its {len(runs)} runs the one with {kept_words(kept_by[arch])}"
    logger.warning(
        "%s: the winner of this comparison is %s (%s %s); using %s%s",
        path, arch, metric.label, metric.text(measured[arch]), run, why,
    )  # fmt: skip
    return run


def _spread(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else (high - low) / 2
