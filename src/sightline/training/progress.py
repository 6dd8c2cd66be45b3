"""Progress of a training: a live line on a terminal, a bar in a notebook, plain lines on stderr elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from sightline.core.digits import percent, significant
from sightline.core.notebook import Pane, in_notebook
from sightline.training.state import Progress

LINE_EVERY_S = 10.0
DECAY = 0.95  # of the running averages that are shown


@contextmanager
def reporting(counted: str = "tokens", *, quiet: bool = False) -> Iterator[Callable[[Progress], None] | None]:
    """An `on_progress` for `train`, None with `quiet`; `counted` is the name of the labels, for "tokens/s"."""
    if quiet:
        yield None
    elif in_notebook():
        yield _Bar(counted)
    elif sys.stderr.isatty():
        with _live(counted) as show:
            yield show
    else:
        yield _Lines(counted)


@final
class _Averages:
    """Loss and speed, averaged over the last steps."""

    def __init__(self) -> None:
        self.loss = self.tokens_per_s = float("nan")

    def update(self, progress: Progress) -> None:
        if self.loss != self.loss:
            self.loss, self.tokens_per_s = progress.loss, progress.tokens_per_s
        self.loss += (1 - DECAY) * (progress.loss - self.loss)
        self.tokens_per_s += (1 - DECAY) * (progress.tokens_per_s - self.tokens_per_s)


def _parts(counted: str, progress: Progress, averages: _Averages) -> list[str]:
    """The numbers of a line."""
    return [
        f"step {progress.step:,}",
        f"{percent(progress.fraction)}",
        f"loss {significant(averages.loss)}",
        *([] if progress.metric is None else [f"validation {progress.named} {significant(progress.metric)}"]),
        f"{averages.tokens_per_s:,.0f} {counted}/s",
        f"{span(progress.seconds_left)} left",
    ]


@final
class _Bar:
    """One bar in a notebook."""

    def __init__(self, counted: str) -> None:
        self.counted = counted
        self.averages, self.pane = _Averages(), Pane()

    def __call__(self, progress: Progress) -> None:
        if not progress.validating:
            self.averages.update(progress)
        line = " · ".join(_parts(self.counted, progress, self.averages))
        self.pane.show(progress.fraction, [line], now=progress.fraction >= 1)


@final
class _Lines:
    """A line after each tenth of the budget, and at least every ten seconds."""

    def __init__(self, counted: str) -> None:
        self.counted = counted
        self.averages = _Averages()
        self.tenth, self.at = 0, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.validating:
            return
        self.averages.update(progress)
        tenth, now = int(progress.fraction * 10), time.monotonic()
        if tenth == self.tenth and now - self.at < LINE_EVERY_S:
            return
        self.tenth, self.at = tenth, now
        parts = _parts(self.counted, progress, self.averages)
        print("sightline: " + " · ".join(parts), file=sys.stderr, flush=True)


@contextmanager
def _live(counted: str) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Display

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    averages = _Averages()
    with Display(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as display:
        task = display.add_task("training", total=1.0, numbers="")

        def show(progress: Progress) -> None:
            if not progress.validating:
                averages.update(progress)
            numbers = [f"loss {significant(averages.loss)}"]
            if progress.metric is not None:
                numbers.append(f"valid {progress.named} {significant(progress.metric)}")
            numbers += [f"{averages.tokens_per_s:,.0f} {counted}/s", f"{span(progress.seconds_left)} left"]
            display.update(
                task,
                completed=progress.fraction,
                description="validating" if progress.validating else f"step {progress.step:,}",
                numbers="  ".join(numbers),
            )

        yield show


def span(seconds: float) -> str:
    """A duration in words: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
