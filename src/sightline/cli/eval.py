"""`sightline eval`: metrics of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sightline.cli.decoding_flags import OutputFlags, SearchFlags
from sightline.cli.plugins import Plugins


def eval(
    run: Path,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    data: str | None = None,
    part: Literal["train", "valid", "test"] = "test",
    limit: int | None = None,
    search: SearchFlags = SearchFlags(),
    written: OutputFlags = OutputFlags(),
    compare_precision: bool = False,
    device: str = "auto",
    plugin: Plugins = None,
    figures: Path | None = None,
    json: bool = False,
) -> None:
    """Evaluate a model on the test part of its training data, or on other data.

    Each task has its own metrics. Translation: exact match, BLEU and chrF (sacreBLEU) of the decoded outputs; loss
    (nats per token), perplexity and token accuracy of the references. With --data, every key that describes the data is
    a flag, as with `sightline train`: --source-column, --lowercase. --stride and --evaluate set how a language model is
    evaluated.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        data: Data to evaluate on, as `sightline train` reads it: all of a file, one part of built-in data.
        part: Part of the run's data or of built-in data.
        limit: Use only the first N items.
        device: auto, cpu, cuda or mps.
        compare_precision: Measure in float32, bf16 and int8, and print the differences.
        figures: Write figures as PNG and SVG to this directory: confusion matrix and reliability diagram
            (classification), loss by position (language), error by step (forecasting).
        json: Print one JSON object with `schema_version`.
    """
    from sightline.cli.messages import messages, opened, print_json, tell
    from sightline.cli.overrides import parse_overrides
    from sightline.core.config import override
    from sightline.core.errors import InputError
    from sightline.core.metrics import undefined_notes
    from sightline.core.settings import check_in_range
    from sightline.decoding.engine import DecodingConfig
    from sightline.models.plugins import load_plugins
    from sightline.tasks.evaluation import Evaluation, check_measured
    from sightline.tasks.load import check_part, part_of_data, part_of_run
    from sightline.tasks.winner import chosen_run

    check_in_range("--limit", limit, at_least=1)
    check_part(part, data)
    keys, settings = parse_overrides(overrides), search.settings() | written.settings()
    decoding = override(DecodingConfig(), settings, prefix="--")
    load_plugins(plugin)
    with messages():
        run = chosen_run(run)
    task = opened(run, device)
    measuring = {key: keys.pop(key) for key in task.measured_by if key in keys}
    task.config = override(task.config, measuring, prefix="--")
    if keys and data is None:
        raise InputError("requires --data", where=f"--{next(iter(keys)).replace('_', '-')}")
    if not task.accepts_decoding and (settings or compare_precision):
        raise InputError(f"{task.name} does not decode sequences: remove --beam and other decoding flags")
    check_measured(task, settings)
    if compare_precision and (search.precision is not None or figures is not None):
        raise InputError("measures in every precision: remove --precision and --figures", where="--compare-precision")
    if data is None:
        with messages():
            measured = part_of_run(run, part, limit)
    else:
        with messages():
            measured = part_of_data(task, run, {"data": data, **keys}, part, limit)
    if compare_precision:
        _compare(task, measured, decoding, json)
        return
    with messages():
        result = task.measure(measured.items, decoding if task.accepts_decoding else None)
    evaluation = Evaluation.of(task, measured, result)
    for note in undefined_notes(evaluation.metrics):
        tell(note)
    if figures is not None:
        _draw(task, evaluation.details, measured.name, figures)
    if json:
        facts = {"task": task.name, "arch": task.arch, "data": measured.name, measured.unit: measured.size}
        print_json({"schema_version": 1, **facts, "metrics": evaluation.metrics, **evaluation.details})
        return
    print(evaluation)


def _compare(task: Any, part: Any, decoding: Any, json: bool) -> None:
    """Print the metrics in each precision."""
    from sightline.cli.messages import print_json, tell
    from sightline.tasks.precisions import compare_precisions

    comparison = compare_precisions(task, part, decoding)
    for precision, reason in comparison.left_out.items():
        tell(f"{precision} is left out: {reason}")
    if json:
        facts = {"task": task.name, "arch": task.arch, "data": part.name, part.unit: part.size}
        print_json({"schema_version": 1, **facts, "precisions": comparison.record()})
        return
    print(comparison)


def _draw(task: Any, details: dict[str, Any], part: str, directory: Path) -> None:
    """Write the figures of an evaluation; raises `InputError` if the task has none."""
    from sightline.core.errors import InputError
    from sightline.core.files import faults
    from sightline.lab.details import details_of
    from sightline.report.details import measurement_drawings

    drawings = measurement_drawings(task.arch, details_of(details), task.loss_unit, part)
    if not drawings:
        raise InputError(f"eval draws no figures for {task.name}", where="--figures")
    with faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            drawing.save(directory)
