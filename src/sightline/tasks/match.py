"""`--match`: the size that the architectures of a comparison share, and the width at which a model has it."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sightline.core.files import write_file
from sightline.core.json_text import to_json
from sightline.models.match import match_measured
from sightline.tasks.match_flag import Match, parse_match
from sightline.training.flops import count_flops

BATCHES = 3  # of the training data, on which operations are counted


def matched(kind: Any, data: Any, run: Any, directory: Path | None = None) -> Any:
    """`run` with the width that its `match` asks for, where that has to be measured; `params` is left to `Task.draw`.

    kind: the task's class; directory: of a comparison's preparing job, which keeps the width for its other jobs

    Raises:
        InputError: a size that no width has; a model without a state that is carried from step to step.
    """
    match = parse_match(run.match)
    if match is None or match.kind == "params":
        return run
    if directory is None:
        with tempfile.TemporaryDirectory() as temporary:
            return matched(kind, data, run, Path(temporary))
    kept = directory / f"width-{run.settings.arch}.json"
    model = run.settings.model
    if kept.exists():
        model = model.resized(json.loads(kept.read_text(encoding="utf-8")))
    else:
        model = _search(kind, data, run, match, directory)
        write_file(kept, to_json(model.d_model))
    return run.changed(model=model, match=None)


def _search(kind: Any, data: Any, run: Any, match: Match, directory: Path) -> Any:
    def measure(model: Any) -> float:
        task = kind.build_prepared(data, run.changed(model=model, match=None), directory)
        return flops_per_token(task, data) if match.kind == "flops" else float(task.state_bytes_after(match.length))

    unit = "" if match.kind == "flops" else " bytes"
    return match_measured(
        run.settings.model, match.amount, measure, asked=run.match, written=lambda size: f"{size:,.0f}{unit}"
    )


def flops_per_token(task: Any, data: Any) -> float:
    """Operations of training per token, forward and backward: measured on the first batches of the training data.

    Their order is that of seed 0, so that every seed of a comparison gets the same width. Tokens are what budgets and
    speeds count. The task is of no use afterwards: its model has gradients.
    """
    tokens = 0

    def step(batch: Any) -> None:
        nonlocal tokens
        loss = task.loss(task.model, batch)
        tokens += loss.count
        (loss.total / max(loss.count, 1)).backward()

    counted = 0
    batches: Any = task.batches(data.train, seed=0)
    for batch, _ in islice(batches.stream(), BATCHES):
        counted += count_flops(partial(step, batch))
    return counted / max(tokens, 1)
