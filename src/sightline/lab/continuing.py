"""Whether a training that was cut short can continue as if nothing had happened."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from sightline.core.errors import InputError
from sightline.training.checkpoint import Checkpoints

logger = logging.getLogger("sightline")


def continues(directory: Path) -> bool:
    """Whether the run in the directory has a checkpoint that verifies, and the whole log up to it.

    Where there is none, or it is damaged, the training starts again, which gives the same result later; the reason is
    logged.
    """
    try:
        checkpoint = Checkpoints(directory / "checkpoints").newest()
    except InputError as error:
        logger.warning("%s; the training starts again", error)
        return False
    if checkpoint is None:
        return False
    log = directory / "metrics.jsonl"
    if not _whole(log, int(checkpoint.state["state"]["metrics_bytes"])):
        logger.warning("%s: damaged; the training starts again", log)
        return False
    return True


def _whole(log: Path, length: int) -> bool:
    """Whether the first `length` bytes of the log are there, and are lines of JSON."""
    try:
        content = log.read_bytes()[:length]
        for line in content.splitlines():
            json.loads(line)
    except (OSError, ValueError):
        return False
    return len(content) == length and (not content or content.endswith(b"\n"))
