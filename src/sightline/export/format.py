"""The base of every format that a trained model is exported to, and the one function that exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.files import faults, replacing_directory
from sightline.core.modes import evaluating
from sightline.tasks.task import Task


class ExportFormat(ABC):
    """One format.

    name: of `sightline export --to`
    summary: one line for help and documentation
    mark: a file that each of its exports has, by which one is recognised
    extra, packages: the extra of the package that installs what `write` imports, and the names of those modules
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    mark: ClassVar[str]
    extra: ClassVar[str | None] = None
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def refusal(self, task: Task[Any, Any, Any]) -> str | None:
        """Why this model has no such export, in one sentence without a full stop; None if it has one."""

    @abstractmethod
    def write(self, task: Task[Any, Any, Any], directory: Path) -> None:
        """Fill an empty directory.

        Raises:
            InputError: if the model cannot be exported for a reason that `refusal` cannot know.
        """


def export(task: Task[Any, Any, Any], form: ExportFormat, directory: Path, *, overwrite: bool = False) -> None:
    """Write a trained model to `directory` in a format; the directory appears complete or not at all.

    Raises:
        InputError: if the format has no place for the model; what `check_replaceable` raises.
        EnvironmentFault: if a package is missing, or the disk or permissions do not allow it.
    """
    missing = next((package for package in form.packages if find_spec(package) is None), None)
    if missing is not None:
        raise EnvironmentFault(f"export to {form.name} needs {missing}: pip install 'sightline[{form.extra}]'")
    reason = form.refusal(task)
    if reason is not None:
        raise InputError(f"cannot export to {form.name}: {reason}")
    check_replaceable(form, directory, overwrite=overwrite)
    with faults(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
    with evaluating(task.model), replacing_directory(directory) as beside:
        form.write(task, beside)


def check_replaceable(form: ExportFormat, directory: Path, *, overwrite: bool) -> None:
    """Check that `directory` is missing, or with `overwrite` empty or an earlier export to the same format: all that it
    contains is deleted.

    Raises:
        InputError: "runs/dates-onnx: exists: replace it with --overwrite, or choose another directory"; "runs: is not
            an earlier export to onnx, with a file export.json and no folders: choose another directory".
    """
    if not directory.exists():
        return
    if not overwrite:
        raise InputError("exists: replace it with --overwrite, or choose another directory", where=directory)
    content = [*directory.iterdir()] if directory.is_dir() else [directory]
    # A runner that was imported leaves one folder.
    folders = [path for path in content if path.is_dir() and path.name != "__pycache__"]
    if content and (folders or not (directory / form.mark).is_file()):
        message = f"is not an earlier export to {form.name}, with a file {form.mark} and no folders"
        raise InputError(f"{message}: choose another directory", where=directory)
