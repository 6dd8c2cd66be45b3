"""`sightline eval`: how good a trained model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter


def eval(
    run: Path,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    data: str | None = None,
    part: Literal["train", "valid", "test"] = "test",
    limit: int | None = None,
    beam: int = 1,
    length_penalty: float | None = None,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    figures: Path | None = None,
    json: bool = False,
) -> None:
    """Measure a model on the test part of the data that it was trained on, or on other data.

    Of translations exact match, BLEU and chrF (sacreBLEU) of decoded outputs, and loss (nats per token), perplexity and
    token accuracy of the references under the model; other tasks have their own metrics. With --data every key that
    says which data it is, and how to read it, is a flag as it is of `sightline train`: --source-column, --lowercase; so
    are, of a language model, --stride and --evaluate, which say how it is measured.

    Args:
        run: A run's directory, or a model's.
        data: Data to measure on, all of it, as `sightline train` reads it; of built-in data a part.
        part: Which part of a run's or of built-in data.
        limit: Use only the first so many items.
        beam: Hypotheses kept; 1 is greedy decoding.
        length_penalty: Alpha of ((5 + n) / 6)^alpha, which a hypothesis of n tokens is divided by.
        max_length: Most tokens of an output.
        batch_size: Most inputs decoded together.
        device: auto, cpu, cuda or mps.
        figures: Write the figures of the result, where it has any, into this directory: of labels the confusion
            matrix and the reliability of probabilities, of a language model the loss by position, of forecasts the
            error by step, as PNG and SVG.
        json: Print one JSON object with `schema_version`.
    """
    import sys

    from sightline.cli.overrides import parse_overrides
    from sightline.core.config import override
    from sightline.core.errors import InputError
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.load import load, part_of_data, part_of_run
    from sightline.training.environment import resolve_device

    if limit is not None and limit < 1:
        raise InputError(f"must be at least 1, found {limit}", where="--limit")
    if length_penalty is not None and beam < 2:
        raise InputError("needs --beam 2 or more", where="--length-penalty")
    keys = parse_overrides(overrides)
    given: dict[str, Any] = {"length_penalty": length_penalty, "max_length": max_length, "batch_size": batch_size}
    given = {name: value for name, value in given.items() if value is not None}
    decoding = DecodingConfig(beam=beam, **given)
    task = load(run).to(resolve_device(device))
    how = {key: keys.pop(key) for key in task.measured_by if key in keys}
    task.config = override(task.config, how, prefix="--")
    if keys and data is None:
        raise InputError("needs --data", where=f"--{next(iter(keys)).replace('_', '-')}")
    if not task.accepts_decoding and (given or beam != 1):
        raise InputError(f"{task.name} decodes no sequences: leave out --beam and the other flags of decoding")
    if data is None:
        measured = part_of_run(run, part, limit)
        if measured.sha256 and measured.sha256 not in task.data:
            print(f"sightline: {measured.name} is not what it was when the model was trained", file=sys.stderr)
    else:
        measured = part_of_data(task, run, {"data": data, **keys}, part, limit)
    found = task.measure(measured.items, decoding if task.accepts_decoding else None)
    if figures is not None:
        _draw(task, found.details, measured.name, figures)
    if json:
        from json import dumps
        from math import isfinite

        metrics = {name: value if isfinite(value) else None for name, value in found.metrics.items()}
        told = {"task": task.name, "arch": task.arch, "data": measured.name, measured.unit: measured.size}
        print(dumps({"schema_version": 1, **told, "metrics": metrics, **found.details}, ensure_ascii=False))
        return
    print(f"{task.arch} on {measured.name}, {measured.size:,} {measured.unit}")
    signatures = found.details.get("signatures", {})
    for name, value in found.metrics.items():
        print(f"  {name:<15} {value:10.4f}  {signatures.get(name, '')}".rstrip())


def _draw(task: Any, found: dict[str, Any], part: str, directory: Path) -> None:
    """Write the figures of a measurement; raises `InputError` where there are none of it."""
    from sightline.core.errors import InputError
    from sightline.core.files import faults
    from sightline.lab.details import details_of
    from sightline.report.details import measurement_drawings

    drawings = measurement_drawings(task.arch, details_of(found), task.loss_unit, part)
    if not drawings:
        raise InputError(f"{task.name} has no figures of a measurement", where="--figures")
    with faults(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            drawing.save(directory)
