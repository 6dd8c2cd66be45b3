"""Compare several architectures under one budget: train, test, and decide which is best, with its uncertainty.

This process imports no torch: it starts worker processes, watches them and summarises their results.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import final

from sightline.core.errors import Interrupted, SightlineError
from sightline.lab.cluster import ClusterExecutor
from sightline.lab.directory import RESULTS, occupied
from sightline.lab.jobs import Failure
from sightline.lab.load import OthersLoad
from sightline.lab.plan import CompareConfig
from sightline.lab.processes import LocalExecutor
from sightline.lab.progress import Display
from sightline.lab.results import Results
from sightline.lab.resume import Begun
from sightline.lab.session import Session
from sightline.lab.steps import check_planned
from sightline.lab.summary import summarise


@final
class NoRunFinished(SightlineError):
    """Every run of a comparison failed; the exit status is the commonest among those of the runs."""

    def __init__(self, failures: Sequence[Failure], results: Results) -> None:
        super().__init__(f"no run finished: {failures[0].message}")
        self.results = results
        self._status = Counter(failure.exit_code for failure in failures).most_common(1)[0][0]

    @property
    def status(self) -> int:
        return self._status


def compare(
    config: CompareConfig,
    out_dir: Path,
    *,
    command: str = "",
    overwrite: bool = False,
    resume: bool = False,
    display: Display | None = None,
    plan: Path | None = None,
    cluster: str | None = None,
) -> Results:
    """Train every architecture of `config` with every seed; write `results.json` and the runs to `out_dir`.

    Runs that fail or diverge are recorded, never dropped or repeated; one whose process dies is started again and
    continues, at most twice. `command` is recorded as the command that reproduces the results. `plan` is the directory
    or the results.json of a comparison whose numbers of steps to take.
    `resume` continues the comparison in `out_dir`, if there is one: architectures and seeds may be added; what ended is
    kept, what was cut short continues. `cluster` is the address of a Ray cluster whose nodes do the work, or "auto" for
    the one that runs on this machine.

    Raises:
        InputError: wrong data, architectures, sizes or metric; what `occupied`, `steps_like` and `Begun` raise.
        EnvironmentFault: "OUT: No space left on device"; "OUT: in use by process 4242 on host h: …"; what
            `ClusterExecutor` raises.
        Interrupted: after SIGTERM; KeyboardInterrupt after SIGINT. All workers have ended by then.
        NoRunFinished: every run failed or diverged; results.json exists by then.
    """
    with occupied(out_dir, overwrite=overwrite or resume):
        plan = plan / RESULTS if plan is not None and plan.is_dir() else plan
        earlier = None if plan is None else Results.load(plan)
        if plan is not None and earlier is not None:
            check_planned(earlier, config, where=plan)
            config = replace(config, budget=earlier.budget.per_run)
        begun = Begun.load(out_dir) if resume else None
        if begun is not None:
            config = begun.joined(config, out_dir)
            command = begun.command if config == begun.config else command
        others = OthersLoad()
        executor = LocalExecutor() if cluster is None else ClusterExecutor(cluster)
        session = Session(config, out_dir, display or Display(), begun, executor=executor)
        with _terminable(), session.display.shown():
            try:
                prepared = session.prepare()
                session.settle_steps(prepared, earlier, plan)
                Begun(config, session.plan, prepared.data.sha256, prepared.metric, command).save(out_dir)
                session.announce()
                session.train(prepared)
            finally:
                session.end()
        load = others.cores() if cluster is None else None
        results = summarise(config, session.plan, prepared, session.outcomes, session.search.trials, command, load)
        results.save(out_dir / RESULTS)
        failures = [outcome.failure for outcome in session.outcomes if outcome.failure is not None]
        if len(failures) == len(session.outcomes):
            raise NoRunFinished(failures, results)
        return results


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that workers end before this process."""

    def stop(number: int, _frame: object) -> None:
        raise Interrupted("stopped by SIGTERM", signal_number=number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
