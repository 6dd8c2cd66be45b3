"""An untrained small model of every task and architecture, to export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sightline.core.errors import InputError
from sightline.export import FORMATS, export
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.task import Task
from tests.tasks.classification import small as labels
from tests.tasks.media import small as media
from tests.tasks.translation import small as pairs

Exported = Task[Any, Any, Any]


def shrunk(model: Any) -> Any:
    """The model's config at width 16, with two heads and one layer, or one of each of its mechanisms."""
    mixers = getattr(model, "mixers", None)
    if mixers is None:
        return model.resized(16) if hasattr(model, "layers") else model
    return replace(model.resized(16), layers=len(mixers), heads=2, d_feed_forward=32)


def translation(arch: str, folder: Path) -> Exported:
    if arch == "transformer-2017":  # one vocabulary for both sides
        tokenizer = pairs.TranslationConfig.preset(arch).tokenizer
        return pairs.untrained(arch, tokenizer=replace(tokenizer, shared=True))
    return pairs.untrained(arch)


def classification(arch: str, folder: Path, kind: Any = "text", **changes: Any) -> Exported:
    return labels.untrained(kind, arch, **changes)


def of_media(arch: str, folder: Path, kind: str) -> Exported:
    manifest = (media.tones if kind == "transcription" else media.quarters)(folder, 12)
    run = media.run(kind, manifest, arch)
    task: Any = media.KINDS[kind]
    return task.build(task.load_data(run), run)


def language(arch: str, folder: Path, kind: str = "byte", **sizes: Any) -> Exported:
    """`sizes` are keys of the model."""
    lines = (json.dumps({"text": f"{number} times {number} is {number * number}."}) for number in range(60))
    (folder / "squares.jsonl").write_text("\n".join(lines) + "\n")
    preset = LanguageTask.preset(arch)
    model = replace(shrunk(preset.settings.model), **sizes)
    run = preset.changed(data=str(folder / "squares.jsonl"), context=24, batch_tokens=96, model=model)
    tokenizer = replace(run.settings.tokenizer, kind=kind, size=300)
    run = run.changed(settings=replace(run.settings, tokenizer=tokenizer))
    return LanguageTask.build(LanguageTask.load_data(run), run)


def forecasting(arch: str, folder: Path, covariates: bool = False, model: Any = None, **changes: Any) -> Exported:
    """Two columns, or two covariates beside one."""
    random = np.random.default_rng(0)
    rows = [f"{t},{np.sin(t) + random.normal():.4f},{random.normal():.3f},{t % 7}" for t in range(300)]
    (folder / "waves.csv").write_text("\n".join(["time,a,b,c", *rows]) + "\n")
    roles: Any = {"targets": ("a", "b")}
    if covariates:
        roles = {"targets": ("a",), "past_covariates": ("b",), "known_covariates": ("c",)}
    preset = ForecastingTask.preset(arch)
    small = shrunk(preset.settings.model)
    run = preset.changed(
        data=str(folder / "waves.csv"),
        lookback=24,
        horizon=6,
        season=6,
        batch_size=16,
        model=replace(small, **(model or {})),
        **roles,
        **changes,
    )
    return ForecastingTask.build(ForecastingTask.load_data(run), run)


def outcome(model: Any, form: str, folder: Path) -> str:
    """ "equal", or the message of the refusal, for an export of the model in that format below the folder."""
    try:
        export(model, FORMATS[form], folder / "export")
    except InputError as error:
        return str(error)
    return "equal"


BUILD: dict[str, Callable[..., Exported]] = {
    "translation": translation,
    "language": language,
    "classification": classification,
    "forecasting": forecasting,
    **{kind: lambda arch, folder, kind=kind: of_media(arch, folder, kind) for kind in media.KINDS},
}
