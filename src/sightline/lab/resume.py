"""A comparison that continues: after a kill, or with more architectures and seeds. Imports no torch.

`plan.json` in a comparison's directory has its configuration and its plan from the moment they are settled; every job
that ended has its result in its directory. What is there is not trained again.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from sightline.core.config import encode
from sightline.core.digits import number_of
from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.settings import spelled
from sightline.lab.directory import PLAN
from sightline.lab.jobs import DONE, FAILED, JOB, TRAININGS, Failure, Job, JobResult, Prepared, read_json, write_json
from sightline.lab.plan import CompareConfig
from sightline.lab.results import BudgetPlan
from sightline.lab.summary import Outcome

MAY_DIFFER = ("archs", "seeds", "workers", "prefer", "log")
logger = logging.getLogger("sightline")


@final
@dataclass(frozen=True)
class Begun:
    """A comparison that began: its configuration, plan and command, the hash of its data, the metric that decides."""

    config: CompareConfig
    plan: BudgetPlan
    sha256: str
    metric: str
    command: str = ""

    def save(self, directory: Path) -> None:
        """Write `plan.json`."""
        write_json(directory / PLAN, self)

    @classmethod
    def load(cls, directory: Path) -> Begun | None:
        """The comparison that began in the directory; None where none got as far as its first training.

        Raises:
            InputError: "OUT: has runs but no plan.json: an older version made it, and nothing can be added to it; …".
        """
        file = directory / PLAN
        if file.is_file():
            return read_json(cls, file)
        if (directory / "runs").exists():
            older = f"has runs but no {PLAN}: an older version made it, and nothing can be added to it"
            raise InputError(f"{older}; {_INSTEAD}", where=directory)
        return None

    def joined(self, config: CompareConfig, where: Path) -> CompareConfig:
        """`config` with the architectures of this comparison before its new ones, and at least as many seeds.

        Raises:
            InputError: "OUT: the comparison began with --budget 60s, not 30s: replace it with --overwrite, or choose
                another directory"; "OUT: the comparison began without --match, not with params=2M: …".
        """
        before, now = _flat(encode(self.config)), _flat(encode(config))
        for name in [*before, *(name for name in now if name not in before)]:
            was, own = before.get(name), now.get(name)
            grown = (name == "plugin" and set(self.config.plugin) <= set(config.plugin)) or (
                name == "variants" and self.config.variants.items() <= config.variants.items()
            )
            may_differ = name in MAY_DIFFER and not (name == "seeds" and self.config.until_decided)
            if spelled(was) != spelled(own) and not (may_differ or grown):
                flag = f"--{name.removeprefix('settings.').replace('_', '-')}"
                began = f"without {flag}, not with " if was is None else f"with {flag} {spelled(was)}, not "
                other = f"{began}{'without it' if own is None else spelled(own)}"
                raise InputError(f"the comparison began {other}: {_INSTEAD}", where=where)
        new = tuple(arch for arch in config.archs if arch not in self.config.archs)
        return replace(config, archs=(*self.config.archs, *new), seeds=max(self.config.seeds, config.seeds))

    def check_data(self, prepared: Prepared, where: Path) -> None:
        """Check that the data, the tested items of it and the plugins are those of the comparison's beginning.

        Raises:
            InputError: "OUT: the data has changed since the comparison began (sha256 12ab… then, 34cd… now): …"; "OUT:
                the comparison began with other test items of the same data …"; another metric that decides; "OUT: the
                plugin ema.py has changed since the comparison began (ema, sha256 12ab… then, …)".
        """
        then, now = self.sha256[:12], prepared.data.sha256[:12]
        if self.sha256 != prepared.data.sha256:
            changed = f"the data has changed since the comparison began (sha256 {then}… then, {now}… now)"
            raise InputError(f"{changed}: {_INSTEAD}", where=where)
        before = _prepared(where)
        tested = None if before is None else before.data.tested_sha256
        if prepared.data.tested < prepared.data.test and tested not in (None, prepared.data.tested_sha256):
            other = "the comparison began with other test items of the same data, chosen by another version"
            raise InputError(f"{other}: {_INSTEAD}", where=where)
        if self.metric != prepared.metric:
            raise InputError(f"the comparison ranks by {self.metric}, not {prepared.metric}: {_INSTEAD}", where=where)
        sources = {} if before is None else before.environment.get("plugins", {})
        for plugin, source in prepared.environment.get("plugins", {}).items():
            was = sources.get(plugin, source)
            if was != source:
                changed = f"the plugin {plugin} has changed since the comparison began ({was} then, {source} now)"
                raise InputError(f"{changed}: {_INSTEAD}", where=where)

    def planned(self, fresh: BudgetPlan) -> BudgetPlan:
        """The plan of this comparison with the seeds and processes of a fresh one; steps and trials stay the same."""
        added = [seed for seed in fresh.seeds if seed not in self.plan.seeds]
        explained = self.plan.explained
        if added:
            more = number_of(len(added), "more seed")
            explained += f" {more} for each architecture came later, without another search."
        return replace(self.plan, seeds=fresh.seeds, workers=fresh.workers, threads=fresh.threads, explained=explained)


_INSTEAD = "replace it with --overwrite, or choose another directory"


def _prepared(directory: Path) -> Prepared | None:
    """What the comparison that began there was prepared with; None where nothing tells, or it is damaged."""
    try:
        return read_json(Prepared, directory / "prepared" / DONE)
    except InputError:
        return None


def stored_outcome(job: Job) -> Outcome | None:
    """How this job ended in an earlier process.

    None where it did not end, was interrupted, lacked disk or memory, was another job, or what is stored is damaged.
    """
    directory = job.directory
    ended = [name for name in (DONE, FAILED) if (directory / name).is_file()]
    began = stored_job(job)
    if not ended or began is None:
        return None
    job = replace(job, deaths=began.deaths)
    try:
        if ended[0] == DONE:
            return Outcome(job, read_json(JobResult, directory / DONE), None)
        failure = read_json(Failure, directory / FAILED)
    except InputError as error:
        logger.warning("%s; trained again", error)
        return None
    again = failure.kind == "interrupted" or failure.exit_code == EnvironmentFault.exit_code
    return None if again else Outcome(job, None, failure)


def stored_job(job: Job) -> Job | None:
    """The job in the directory of `job`, if it gives the same result; None where it is damaged."""
    try:
        began = read_json(Job, job.directory / JOB)
    except InputError:
        return None
    return began if _essence(began) == _essence(job) else None


def begun_job(job: Job) -> Job:
    """`job` as it began in an earlier process: its training continues, its deaths count.

    Where another job, or none, left something in its directory, that is removed.
    """
    began = stored_job(job)
    if began is None or job.kind not in TRAININGS:
        shutil.rmtree(job.directory, ignore_errors=True)
        return job
    return job if (job.directory / FAILED).exists() else replace(job, deaths=began.deaths)


def keep_result(directory: Path) -> None:
    """Remove everything from the directory of a job that ended, its result apart."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in (JOB, DONE, FAILED):
            path.unlink(missing_ok=True)


def _essence(job: Job) -> tuple[Any, ...]:
    """The facts that decide the result of a job, beside the configuration of its comparison."""
    length = (job.budget, job.run_budget, job.validations, job.validation_share)
    return (job.kind, job.arch, job.parameters, job.seed, job.lr_factor, *length)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    settings = {f"settings.{name}": value for name, value in values["settings"].items()}
    return {name: value for name, value in values.items() if name != "settings"} | settings
