"""The directory of a comparison: what belongs to it, and whether it is free. Imports no torch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import has_magic
from pathlib import Path

from sightline.core.errors import InputError
from sightline.core.files import LOCK, faults, locked

PLAN = "plan.json"
RESULTS = "results.json"
OURS = ("prepared", "trials", "runs", "figures", PLAN, RESULTS, "report.html", "ladder.json", "ladder.html")
SCALE, SCALE_PAGE = "scale.json", "scale.html"
SIZES = "sizes"  # of a ladder of sizes: the folder of the comparisons, one for each size
OF_SIZES = (SIZES, "figures", SCALE, SCALE_PAGE)
SWAPPED = ("best", "config.yaml", "environment.json", "figures", "swap.json", "swap.html")
COMPARISON, LADDER_OF_SIZES, SWAP = "a comparison", "a ladder of sizes", "a swapped model"
CONTENT = {COMPARISON: OURS, LADDER_OF_SIZES: OF_SIZES, SWAP: SWAPPED}


def check_free(out_dir: Path, *, overwrite: bool, what: str = COMPARISON, resumable: bool = True) -> None:
    """Check that `out_dir` is missing or empty, or with `overwrite` contains nothing but `what`, a key of `CONTENT`.

    resumable: whether it can be continued, for the error

    Raises:
        InputError: "not a directory"; "contains 'x', which is not part of a comparison: choose another directory";
            "contains a comparison: continue it with --resume, replace it with --overwrite, or choose another
            directory".
        EnvironmentFault: another process works in it, see `locked`.
    """
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise InputError("not a directory", where=out_dir)
    present = sorted(path.name for path in out_dir.iterdir() if path.name != LOCK)
    foreign = [name for name in present if name not in CONTENT[what]]
    if foreign:
        message = f"contains {foreign[0]!r}, which is not part of {what}: choose another directory"
        raise InputError(message, where=out_dir)
    if present and not overwrite:
        if (out_dir / LOCK).exists():
            with locked(out_dir):
                pass
        ways = f"{'continue it with --resume, ' * resumable}replace it with --overwrite, or choose another directory"
        message = f"contains {what}: {ways}"
        raise InputError(message, where=out_dir)


@contextmanager
def occupied(out_dir: Path, *, overwrite: bool, what: str = COMPARISON) -> Iterator[None]:
    """Keep `out_dir` for this process, which creates it; removed at the end if nothing came into it.

    Raises:
        InputError, EnvironmentFault: as `check_free`, whose arguments these are; it cannot be created.
    """
    check_free(out_dir, overwrite=overwrite, what=what)
    lock = out_dir / LOCK
    missing = [path for path in (lock, out_dir, *out_dir.parents) if not path.exists()]
    with faults(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    with locked(out_dir):
        try:
            check_free(out_dir, overwrite=overwrite, what=what)  # another process may have ended in it
            yield
        finally:
            if missing and list(out_dir.iterdir()) == [lock]:
                lock.unlink()
                for directory in missing[1:]:
                    with suppress(OSError):  # not empty
                        directory.rmdir()


def clear(out_dir: Path, content: Sequence[str] = OURS) -> None:
    """Create the directory, or remove an earlier comparison from it."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in content:
        path = out_dir / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def size_directory(out_dir: Path, target: int) -> Path:
    """The directory of the comparison at one size of a ladder."""
    return out_dir / SIZES / f"params-{target}"


def name_of_data(data: str) -> str:
    """The name of data in the names of directories: `pairs` for `in/pairs.tsv.gz`, `dates` for `builtin:dates?size=9`,
    and for a pattern such as `texts/*.txt` its last folder, `texts`: a shell would take `*` for any name.
    """
    if data.startswith("builtin:"):
        return data.removeprefix("builtin:").partition("?")[0] or "data"
    parts = [part for part in Path(data.split(",")[0]).parts if part != ".." and not has_magic(part)]
    return next(iter(parts[-1:]), "").split(".")[0].replace("/", "") or "data"


def free_directory(parent: Path, name: str) -> Path:
    """`parent/name`, or if it exists `parent/name-2`, `parent/name-3`, …"""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "data"
    number = 1
    while (path := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path
