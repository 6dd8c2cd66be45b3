"""The directory of a comparison: what belongs to it, and whether it is free. Imports no torch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sightline.core.errors import InputError

PLAN = "plan.json"
RESULTS = "results.json"
OURS = ("prepared", "trials", "runs", "figures", PLAN, RESULTS, "report.html", "ladder.json", "ladder.html")


def check_free(out_dir: Path, *, overwrite: bool) -> None:
    """Check that `out_dir` is missing or empty, or with `overwrite` contains nothing but a comparison.

    Raises:
        InputError: "not a directory"; "contains 'x', which is not part of a comparison: choose another directory";
            "contains a comparison: choose another directory, or add --resume or --overwrite".
    """
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise InputError("not a directory", where=out_dir)
    content = sorted(path.name for path in out_dir.iterdir())
    foreign = [name for name in content if name not in OURS]
    if foreign:
        message = f"contains {foreign[0]!r}, which is not part of a comparison: choose another directory"
        raise InputError(message, where=out_dir)
    if content and not overwrite:
        message = "contains a comparison: choose another directory, or add --resume or --overwrite"
        raise InputError(message, where=out_dir)


def clear(out_dir: Path) -> None:
    """Create the directory, or remove an earlier comparison from it."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in OURS:
        path = out_dir / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def free_directory(parent: Path, name: str) -> Path:
    """`parent/name`, or if it exists `parent/name-2`, `parent/name-3`, …"""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "data"
    number = 1
    while (path := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path
