"""The check of calls that continue what a directory contains."""

from __future__ import annotations

from pathlib import Path

from sightline.core.errors import InputError


def check_resume(out_dir: str | Path | None, *, resume: bool, overwrite: bool, what: str) -> None:
    """Refuse arguments that contradict each other; `what` is in the directory.

    Raises:
        InputError: "resume and overwrite are mutually exclusive"; "resume: requires out_dir, the run to continue".
    """
    if resume and overwrite:
        raise InputError("resume and overwrite are mutually exclusive")
    if resume and out_dir is None:
        raise InputError(f"requires out_dir, the {what} to continue", where="resume")
