"""From a path to a model that is ready to use."""

from __future__ import annotations

from pathlib import Path

from sightline.core.errors import InputError
from sightline.models.store import CONFIG
from sightline.tasks.translation import TranslationTask


def load(path: str | Path) -> TranslationTask:
    """The model of a run, the best where there is one and else the last, or of a model directory.

    Raises:
        InputError: "runs/x: no such directory", "runs/x: no model here: expected config.json, best/ or last/", or what
            is wrong with the model's files.
    """
    return TranslationTask.load(model_directory(Path(path)))


def model_directory(path: Path) -> Path:
    """The model directory that `path` is or, as a run, holds."""
    if not path.is_dir():
        raise InputError("not a directory" if path.exists() else "no such directory", where=path)
    if (path / CONFIG).exists():
        return path
    for name in ("best", "last"):
        if (path / name / CONFIG).exists():
            return path / name
    raise InputError(f"no model here: expected {CONFIG}, best/ or last/", where=path)
