"""A training that is stopped by a signal after a step."""

from __future__ import annotations

import signal
from collections.abc import Callable

from sightline.training.state import Progress


def stop_at(step: int) -> Callable[[Progress], None]:
    """A function for `on_progress` that sends SIGINT to this process after that step."""

    def stop(progress: Progress) -> None:
        if progress.step == step:
            signal.raise_signal(signal.SIGINT)

    return stop
