"""The jobs of one comparison, from the preparing one to the last run: what starts when, and how each ended.

Imports no torch.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from sightline.core.digits import amount, number_of
from sightline.core.errors import Diverged, EnvironmentFault, InputError, SightlineError
from sightline.core.metrics import find_metric
from sightline.lab.budget_plan import sized_name
from sightline.lab.directory import clear
from sightline.lab.energy_shares import EnergyShares
from sightline.lab.executor import Executor, Running
from sightline.lab.halving import SearchCandidate, length, stage_counts
from sightline.lab.jobs import (
    DONE,
    FAILED,
    TRAININGS,
    TRIAL_VALIDATIONS,
    Failure,
    Job,
    JobResult,
    Prepared,
    Timed,
    write_json,
)
from sightline.lab.plan import CompareConfig, crew, divide, with_lengths, written
from sightline.lab.processes import LocalExecutor
from sightline.lab.progress import Display, title, title_of
from sightline.lab.rates import EXTRA
from sightline.lab.refusals import check_named
from sightline.lab.results import BudgetPlan, Results, on_gpu
from sightline.lab.resume import Begun, begun_job, keep_result, stored_outcome
from sightline.lab.search import Search
from sightline.lab.steps import (
    check_lengths,
    measured_steps,
    slowest_node,
    steps_like,
    unmeasured_like,
    without_steps,
)
from sightline.lab.summary import Outcome, judge
from sightline.lab.verdict import all_decided
from sightline.training.budget import MEASURED, Budget
from sightline.training.plan import StepPlan

MOST_DEATHS = 3  # of the process of one job, after which it has failed


@final
@dataclass
class Session:
    """The jobs of one comparison: running ones, and the outcomes of the others."""

    config: CompareConfig
    out_dir: Path
    display: Display
    begun: Begun | None = None
    plan: BudgetPlan = field(default_factory=lambda: BudgetPlan("", []))
    executor: Executor[Any] = field(default_factory=LocalExecutor)
    outcomes: list[Outcome] = field(default_factory=list)
    unmeasured: dict[str, Failure] = field(default_factory=dict)  # by `sized_name`
    validations: dict[str, Any] = field(default_factory=dict)  # of a run, as the settings ask for them
    shares: EnergyShares = field(default_factory=EnergyShares)
    search: Search = field(init=False)

    def __post_init__(self) -> None:
        self.search = Search(self.config)

    def prepare(self) -> Prepared:
        """Run the preparing job and wait for it; it finds every error in the user's input that `check_named` does not.

        It works next to the output directory, so that wrong input leaves no files and keeps an earlier comparison.
        """
        check_named(self.config)  # before processes start
        beside = self.out_dir.with_name(f".{self.out_dir.name}.preparing")
        created = [parent for parent in beside.parents if not parent.exists()]
        self.display.begin(1)
        self.display.say(f"preparing {self.config.data}")
        try:
            shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
            beside.mkdir(parents=True, exist_ok=True)
            workers, threads = crew(self.config, cores=self.executor.cores)
            self.executor.open(workers, threads, beside)  # all start now, while the first one prepares
            self.executor.start(Job("prepare", self.config, beside, beside), threads)
            while not (ended := self._wait()):
                pass  # its process died and was started again
            if (failure := ended[0].failure()) is not None:
                raise _error(failure)
            prepared = ended[0].result(Prepared)
            prepared = replace(prepared, environment=prepared.environment | self.executor.described())
            if self.begun is None:
                clear(self.out_dir)
            else:
                self.begun.check_data(prepared, self.out_dir)
                shutil.rmtree(self.out_dir / "prepared", ignore_errors=True)
            beside.rename(self.out_dir / "prepared")
        except OSError as error:
            raise EnvironmentFault(f"{self.out_dir}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            for parent in created:
                with suppress(OSError):  # not empty: it contains the comparison
                    parent.rmdir()
        self.display.metric, self.display.counted = prepared.metric, prepared.data.speed_unit
        self.plan = _plan(self.config, prepared, self.executor)
        self.validations = {"validations": prepared.validations, "validation_share": prepared.validation_share}
        self.search = Search(self.config, prepared.presets, prepared.sizes)
        for arch, sizes in prepared.sizes.items():
            if len(sizes) < self.config.sizes:
                self.display.say(f"{arch}: {number_of(len(sizes), 'size')} to try; no other width has the others")
        if self.begun is not None:
            self.plan = self.begun.planned(self.plan)
        return prepared

    def settle_steps(self, prepared: Prepared, earlier: Results | None, where: Path | None) -> None:
        """Turn a budget in seconds or joules into steps: measured under this load, or those of an earlier comparison.

        What cannot be measured fails here: an architecture in the place of its runs, a size in that of its trials.

        Raises:
            InputError: what `steps_like` and `check_lengths` raise.
        """
        known = {planned.arch for planned in self.plan.steps}
        new = [arch for arch in self.config.archs if arch not in known]
        if prepared.budget_unit not in MEASURED:
            return
        self.unmeasured = without_steps(self.search.names([*known]), self.plan.steps)
        if not new:
            return
        if earlier is not None and where is not None:
            if known:
                check_lengths(earlier, self.plan, where=where)
            else:
                self.plan = with_lengths(self.config, self.plan, earlier.budget)
        names = self.search.names(new)
        variants = {}
        for name, (arch, size) in names.items():
            variants |= self.search.configured(arch, size, name=name).variants
        config = replace(self.config, archs=tuple(names), variants=variants)
        several, budget = (1, "") if earlier else (self.plan.workers, self.plan.final_each)
        timed, nodes = self._timed(config, several, budget)
        if earlier is not None and where is not None:
            limits = timed[0].most_steps if "most_epochs" in self.config.settings else None
            steps = steps_like(earlier, prepared.data.sha256, timed[0].batches, new, where=where, most_steps=limits)
            lost = unmeasured_like(earlier, names, where)
        else:
            lost = {name: failure for one in timed for name, failure in one.failures.items()}
            slowest = slowest_node(timed, nodes)
            deciding = [one for one, node in zip(timed, nodes, strict=True) if node == slowest]
            steps = measured_steps(config, self.plan, deciding, **self.validations)
            if len(set(nodes)) > 1:
                chosen = f"The speeds were measured on {len(set(nodes))} nodes; the steps are those of the slowest"
                self.plan = replace(self.plan, explained=f"{self.plan.explained} {chosen}, {slowest}.")
                self.display.say(f"{chosen}, {slowest}.")
            steps = [replace(one, arch=names[one.arch][0], parameters=names[one.arch][1]) for one in steps]
        self.plan = replace(self.plan, steps=[*self.plan.steps, *steps])
        for name, failure in lost.items():
            self.display.say(f"{name}: {failure.kind}: {failure.message}")
        self.unmeasured |= lost

    def _timed(self, config: CompareConfig, several: int, budget: str) -> tuple[list[Timed], list[str]]:
        """What so many jobs at once measure of the architectures of `config`, and the nodes of these jobs.

        budget: of a run; empty where speeds are not needed
        """
        self.display.begin(several)
        for turn in range(several):
            directory = self.out_dir / "trials" / f"speed-{turn}"
            job = Job("time", config, directory, self.out_dir / "prepared", budget=budget, turn=turn, sharing=several)
            self.executor.start(job, self.plan.threads)
        ended: list[Running] = []
        while self.executor.active:
            ended += self._wait()
        failures = [failure for worker in ended if (failure := worker.failure()) is not None]
        if failures:
            raise _error(failures[0])
        timed = [worker.result(Timed) for worker in ended]
        for worker in ended:
            shutil.rmtree(worker.job.directory)
        return timed, [worker.node for worker in ended]

    @property
    def measured(self) -> list[str]:
        """The architectures that could be measured, at one size at least; all where there was nothing to measure."""
        return [arch for arch in self.config.archs if not self.search.names([arch]).keys() <= self.unmeasured.keys()]

    def announce(self) -> None:
        """Display the plan."""
        plan, archs = self.plan, self.config.archs
        runs = len(archs) * self.config.seeds
        trials = sum(len(self.search.beginning(arch)) for arch in archs)
        self.display.begin(runs + trials)
        grid = f"{number_of(len(archs), 'architecture')} × {number_of(self.config.seeds, 'seed')}"
        threads = f"{plan.workers} at a time with {number_of(plan.threads, 'thread')} each"
        self.display.say(f"{grid}, {amount(plan.per_run)} each, {threads}")
        for planned in plan.steps:
            self.display.say(f"{title_of(planned.arch, planned.parameters)}: {planned.run}")
        each = f"{amount(plan.search_each or '')} each, inside the budget"
        if trials and self.config.sizes > 1:
            first = f"first {trials} trials of sizes and learning rates, {each}"
            self.display.say(f"{first}; then longer ones of the best third")
        elif trials:
            more = f"{EXTRA} more of an architecture whose best rate is at the edge"
            first = f"first {trials} trials of learning rates, {each}"
            longer = "; then longer ones of the best third" if len(stage_counts(self.config.rates)) > 1 else ""
            self.display.say(f"{first}; {more}{longer}")

    def train(self, prepared: Prepared) -> None:
        """All trials and runs, and with `until_decided` rounds of one seed more."""
        measured = self.measured
        first = [(arch, candidate) for arch in measured for candidate in self.search.beginning(arch)]
        self._train(self.plan.seeds, [self._trial(arch, candidate) for arch, candidate in first])
        while self.config.until_decided and len(seeds := self.plan.seeds) < self.config.max_seeds:
            if all_decided(judge(self.config, prepared, self.outcomes, seeds=len(seeds)).pairs):
                break
            self.plan = replace(self.plan, seeds=[*seeds, seeds[-1] + 1])
            self.display.total += len(measured)
            self.display.say(f"not decided with {len(seeds)} seeds of each architecture: one more")
            self._train([seeds[-1] + 1])

    def _train(self, seeds: Sequence[int], trials: Sequence[Job] = ()) -> None:
        """Trials, and runs of every architecture with these seeds; a run starts when its trials have ended."""
        archs, trials = self.measured, list(trials)
        for arch in self.config.archs:
            if arch not in archs:
                failure = self.unmeasured[next(iter(self.search.names([arch])))]
                self.outcomes += [Outcome(self._run(arch, seed), None, failure) for seed in seeds]
        runs = [(arch, seed) for seed in seeds for arch in archs]
        while trials or runs or self.executor.active:
            while len(self.executor.active) < self.plan.workers and (job := self._next(trials, runs)) is not None:
                self.executor.start(job, self.plan.threads)
                self.display.say(f"{title(self.executor.active[-1])}: started")
            for worker in self._wait():
                self._take(worker)
                if worker.job.kind == "trial":
                    trials += self._further(worker.job.arch)

    def _further(self, arch: str) -> list[Job]:
        """The trials that follow from the others of an architecture, if any."""
        stage, candidates = self.search.further(arch)
        jobs = [self._trial(arch, candidate, stage) for candidate in candidates]
        self.display.total += len(jobs)
        return jobs

    def _next(self, trials: list[Job], runs: list[tuple[str, int]]) -> Job | None:
        """Remove and return the next job that can start now; those that ended before, or cannot start, are recorded."""
        while trials:
            job = trials.pop(0)
            if not self._recorded(job):
                return begun_job(job)
            trials += self._further(job.arch)
        searching = {worker.job.arch for worker in self.executor.active if worker.job.kind == "trial"}
        for arch, seed in [run for run in runs if run[0] not in searching]:
            runs.remove((arch, seed))
            if not self._recorded(job := self._run(arch, seed)):
                return begun_job(job)
        return None

    def _recorded(self, job: Job) -> bool:
        """Record how a job ended in an earlier process, if it did, or that its length is not known."""
        outcome = None if self.begun is None else stored_outcome(job)
        failure = self.unmeasured.get(sized_name(job.arch, job.parameters))
        if outcome is None and failure is not None:
            outcome = Outcome(job, None, failure)
        if outcome is None:
            return False
        self._record(outcome)
        return True

    def _trial(self, arch: str, candidate: SearchCandidate, stage: int = 0) -> Job:
        size, factor = candidate
        name = f"{arch}-{size}-stage{stage}" if size else f"{arch}-stage{stage}" if stage else arch
        directory, prepared = self.out_dir / "trials" / f"{name}-x{factor:.3g}", self.out_dir / "prepared"
        planned, config = self.plan.steps_of(arch, size), self.search.configured(arch, size)
        trial = {**self.validations, "validations": TRIAL_VALIDATIONS}
        duration = _duration(planned and planned.trial, self.plan.search_each or "", trial, times=length(stage))
        whole = _duration(planned and planned.run, self.plan.final_each, self.validations)["budget"]
        return Job("trial", config, directory, prepared, arch, self.config.seed, lr_factor=factor, run_budget=whole,
                   parameters=size, stage=stage, **duration)  # fmt: skip

    def _run(self, arch: str, seed: int) -> Job:
        directory, prepared = self.out_dir / "runs" / f"{arch}-seed{seed}", self.out_dir / "prepared"
        size, factor = self.search.chosen(arch)
        planned, config = self.plan.steps_of(arch, size), self.search.configured(arch, size)
        duration = _duration(planned and planned.run, self.plan.final_each, self.validations)
        return Job("run", config, directory, prepared, arch, seed, lr_factor=factor, parameters=size,
                   attention=seed == self.config.seed, **duration)  # fmt: skip

    def _wait(self) -> list[Running]:
        """Wait until jobs end, and show the others meanwhile; those whose process died are started again."""
        running, began = [active.job.directory for active in self.executor.active], time.monotonic()
        ended = self.executor.wait_for_one(self.display.update)
        self.shares.count(running, time.monotonic() - began, len(self.executor.cores))
        return [worker for worker in ended if not self._again(worker)]

    def _again(self, ended: Running) -> bool:
        """Start a job again whose process died, unless it died `MOST_DEATHS` times; a training continues."""
        job = ended.job
        if not ended.died or job.deaths + 1 >= MOST_DEATHS:
            return False
        failure = ended.failure()
        self.display.say(f"{title(ended)}: {failure.message if failure else 'died'}: started again")
        if job.kind not in TRAININGS:
            shutil.rmtree(job.directory, ignore_errors=True)
        self.executor.start(replace(job, deaths=job.deaths + 1), self.plan.threads)
        return True

    def _take(self, worker: Running) -> None:
        """Record the outcome of a job."""
        job, failure = worker.job, worker.failure()
        if failure is not None and worker.died:
            message = f"its process died {job.deaths + 1} times; the last time {failure.message}"
            failure = Failure(failure.kind, message, EnvironmentFault.exit_code)
        outcome = Outcome(job, None if failure else self._shared(worker.result(JobResult), job), failure)
        self._record(outcome)
        self.display.say(f"{title(worker)}: {self._described(outcome)} ({self.display.count(self.executor.active)})")
        if failure is not None:
            write_json(worker.job.directory / FAILED, failure)
        if worker.job.kind == "trial":
            keep_result(worker.job.directory)

    def _shared(self, result: JobResult, job: Job) -> JobResult:
        """The result of a job that has ended with its share of the energy of its machine, stored too."""
        share = self.shares.of(job.directory)
        if result.machine_j is None:
            return result
        result = replace(result, energy_j=share * result.machine_j)
        write_json(job.directory / DONE, result)
        return result

    def _record(self, outcome: Outcome) -> None:
        self.display.done += 1
        if outcome.result is not None:
            shutil.rmtree(outcome.job.directory / "checkpoints", ignore_errors=True)
        if outcome.job.kind == "trial":
            self.search.record(outcome)
        else:
            self.outcomes.append(outcome)

    def _described(self, outcome: Outcome) -> str:
        if outcome.failure is not None:
            return f"{outcome.failure.kind}: {outcome.failure.message}"
        assert outcome.result is not None
        if (value := outcome.result.metrics.get(self.display.metric or "")) is not None:
            metric = find_metric(self.display.metric or "").apart([value])
            return f"test {metric.label} {metric.text(value)} after {outcome.result.train_s:.0f} s of training"
        loss = outcome.result.loss
        return f"validation loss {find_metric('loss').apart([loss]).number(loss)}"

    def end(self) -> None:
        """Stop all workers."""
        self.executor.end()


def _duration(plan: StepPlan | None, budget: str, validations: Mapping[str, Any], *, times: int = 1) -> dict[str, Any]:
    """The length of a job's training and its validations: by its plan, or by a budget that needs none.

    times: a multiple of either, at most the steps of the epochs that a training may have
    """
    if plan is None:
        parsed = Budget.parse(budget)
        return {"budget": budget if times == 1 else written(times * parsed.amount, parsed.unit), **validations}
    steps = times * plan.steps if plan.most_steps is None else min(times * plan.steps, plan.most_steps)
    return {"budget": f"{steps}steps", "validations": plan.validations, "validation_share": plan.validation_share}


def _error(failure: Failure) -> Exception:
    """The exception for the failure of the preparing job."""
    kinds: dict[int, type[SightlineError]] = {2: InputError, 3: EnvironmentFault, 4: Diverged}
    if failure.exit_code in kinds:
        return kinds[failure.exit_code](failure.message)
    return RuntimeError(failure.message)


def _plan(config: CompareConfig, prepared: Prepared, executor: Executor[Any]) -> BudgetPlan:
    """The budget divided; one worker at a time by default for each GPU, where there is one."""
    workers = executor.gpus if on_gpu(prepared.environment, config.device) else None
    amount, unit = prepared.budget_amount, prepared.budget_unit
    return divide(config, amount, unit, workers=workers, cores=executor.cores)
