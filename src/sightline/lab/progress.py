"""Progress of a comparison: a live table on a terminal, a bar in a notebook, plain lines on stderr elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from sightline.core.digits import percent, significant
from sightline.core.metrics import find_metric
from sightline.core.notebook import Pane, in_notebook

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from sightline.lab.executor import Running

LINE_EVERY_S = 10.0


@final
class Display:
    """Shows running workers and events; `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live: Live | None = None
        self._pane: Pane | None = None
        self._latest = ""
        self._last = time.monotonic()
        self.metric: str | None = None
        self.counted = "tokens"
        self.done, self.total = 0, 0
        self._began = time.monotonic()

    def begin(self, total: int) -> None:
        """Start counting `total` jobs."""
        self.done, self.total, self._began = 0, total, time.monotonic()

    def count(self, workers: Sequence[Running] = ()) -> str:
        """The number of finished jobs and the estimated time of the others."""
        share = self._share(workers)
        text = f"{self.done} of {self.total} done"
        if share < 1 or self.done == self.total:
            return text
        left = (time.monotonic() - self._began) / share * (self.total - share)
        return f"{text}, about {f'{left / 60:.0f} min' if left >= 90 else f'{left:.0f} s'} left"

    def _share(self, workers: Sequence[Running]) -> float:
        """The number of finished jobs, with the fractions of those that run."""
        return float(self.done) + sum(float(worker.progress.get("fraction") or 0.0) for worker in workers)

    @contextmanager
    def shown(self) -> Iterator[Display]:
        """Show the table at the bottom of the terminal, or the bar in a notebook, within this context."""
        if not self._quiet and in_notebook():
            self._pane = Pane()
            yield self
            self._pane.show(1.0, [self.count()], now=True)
            return
        if self._quiet or not sys.stderr.isatty():
            yield self
            return
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as self._live:
            try:
                yield self
            finally:
                self._live = None

    def say(self, text: str) -> None:
        """Print a permanent line; in a notebook only the latest one is shown."""
        if self._quiet:
            return
        if self._pane is not None:
            self._latest = text
            return
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(text))
        else:
            print(text, file=sys.stderr, flush=True)

    def update(self, workers: Sequence[Running]) -> None:
        """Show the progress of the workers."""
        if self._quiet:
            return
        if self._pane is not None:
            states = [f"{title(worker)}: {', '.join(self._state(worker))}" for worker in workers]
            self._pane.show(self._share(workers) / max(self.total, 1), [self.count(workers), *states, self._latest])
            return
        if self._live is not None:
            self._live.update(self._table(workers))
        elif time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            for worker in workers:
                self.say(f"  {title(worker)}: {', '.join(self._state(worker))}")

    def _table(self, workers: Sequence[Running]) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for width in (None, 16, None):
            table.add_column(no_wrap=True, width=width)
        for worker in workers:
            fraction = float(worker.progress.get("fraction") or 0.0)
            table.add_row(
                Text(title(worker)), ProgressBar(100, 100 * fraction, width=16), Text(", ".join(self._state(worker)))
            )
        return Group(table, Text(self.count(workers)))

    def _state(self, worker: Running) -> list[str]:
        """The state of a worker in words."""
        progress = worker.progress
        words = [str(progress["stage"])]
        if (fraction := progress.get("fraction")) is not None and fraction < 1:
            words[0] += f" {percent(fraction)}"
        if (loss := progress.get("loss")) is not None:
            words.append(f"loss {significant(loss)}")
        for name in (self.metric, "loss"):
            value = _latest(worker, name) if name else None
            if value is not None and name is not None:
                metric = find_metric(name)
                words.append(f"{metric.label} {metric.apart([value]).text(value)}")
                break
        if (speed := progress.get("tokens_per_s")) is not None:
            words.append(f"{speed:,.0f} {self.counted}/s")
        return words


def title(worker: Running) -> str:
    """The name of a worker's job."""
    job = worker.job
    if job.kind == "prepare":
        return "preparing"
    if job.kind == "time":
        return "measuring speeds"
    if job.kind == "trial":
        return f"{title_of(job.arch, job.parameters)}, trial of learning rate × {job.lr_factor:.3g}"
    return f"{job.arch}, seed {job.seed}"


def title_of(arch: str, parameters: int | None) -> str:
    """An architecture, with its size where several are tried."""
    return arch if parameters is None else f"{arch} with {parameters:,} parameters"


def _latest(worker: Running, name: str) -> float | None:
    """The metric at the latest validation in the log of the worker's run."""
    value: Any = None
    try:
        with open(worker.job.directory / "metrics.jsonl", "rb") as log:
            for line in log:
                if b'"valid"' in line and line.endswith(b"\n"):
                    value = json.loads(line).get(name, value)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, int | float) else None
