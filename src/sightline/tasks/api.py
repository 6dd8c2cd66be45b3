"""Training in one call, for people who write Python: what `sightline train` does, and a task in hand afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sightline.data.corpus import Corpus
from sightline.tasks.fit import train_run
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import task_class
from sightline.training.rundir import check_run
from sightline.training.state import Progress


def fit(
    task: str,
    data: str | Path | Corpus[Any],
    arch: str | None = None,
    budget: str = "60s",
    *,
    out_dir: str | Path | None = None,
    settings: dict[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Any:
    """Train one architecture on data, and give back the `Task` with the weights of its best validation.

    `task` is a name such as "translation" or "classification", `data` what `sightline train --data` takes, or a data
    set of that task in memory. `budget` is in seconds, steps, tokens or operations (60s, 500steps, 2Mtok, 1e15flop).
    `settings` are further keys of the configuration by dotted name, as the flags spell them: {"optim.lr": 3e-4}.
    Without `out_dir` nothing is kept but what the returned task's `save` writes.

        model = sightline.fit("translation", "pairs.tsv", "bahdanau", "5min")
        model.predict(["a text"])

    Raises:
        InputError: an unknown task, architecture or key; whatever is wrong with the data; `out_dir` holds a run and
            neither `resume` nor `overwrite` is given.
        EnvironmentFault, Diverged, Interrupted: as `training.train`.
    """
    flags: dict[str, Any] = {"task": task, "budget": budget, **(settings or {})}
    if arch is not None:
        flags["arch"] = arch
    if isinstance(data, str | Path):
        flags["data"] = str(data)
    run = resolve_run(file=None, environ={}, flags=flags)
    kind = task_class(run.task)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "run" if out_dir is None else Path(out_dir)
        check_run(place, resume=resume, overwrite=overwrite)
        read: Corpus[Any] = kind.load_data(run) if isinstance(data, str | Path) else data
        built = kind.build(read, run)
        how = {"resume": resume, "overwrite": overwrite, "on_progress": on_progress}
        return train_run(built, read, place, run, **how).task
