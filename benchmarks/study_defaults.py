"""Which defaults are best for small data? A study over many data sets, resumable over days.

    python benchmarks/study_defaults.py --stage choose --jobs 2 --minutes 110
    python benchmarks/study_defaults.py --stage confirm --dry-run
    python benchmarks/study_defaults.py --summary

Trains configurations on the data sets of benchmarks/study_data.py, with the options of benchmarks/study_factors.py in
the order of benchmarks/study_stages.py. Real data is under $SIGHTLINE_VERIFY_DATA (default ../shared/data); data sets
that are not there are left out. Each training is a process with one thread and a budget in seconds of its own processor
time, which becomes a number of steps, measured first: runs side by side do not take time from each other. Its result is
a line of benchmarks/results/study/DATA.jsonl; a training that has one is not run again, one that was stopped leaves
none. `--minutes` starts no training that would end later. The page of results is written by `--summary` and by
docs/generate.py.

Exit status 1 if a training ended without a result, 130 after an interrupt.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from statistics import fmean

from study_data import DATA_SETS
from study_factors import StudyRun
from study_page import PAGE, study_page
from study_results import RESULTS, StudyResults
from study_stages import STAGES, GroupPlan, Round, expected_runs, plans
from study_worker import RESULT, described

AROUND_S = 25.0  # seconds of a training besides its budget, before any was seen
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
POLL_S = 0.2
WORKER = Path(__file__).with_name("study_worker.py")


@dataclass
class Process:
    """A training that was started."""

    run: StudyRun
    stage: str
    folder: tempfile.TemporaryDirectory[str]
    process: subprocess.Popen[bytes]
    began: float

    @classmethod
    def start(cls, run: StudyRun, stage: str) -> Process:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [sys.executable, str(WORKER), json.dumps(described(run))]
        environment = os.environ | dict.fromkeys(THREADS, "1")
        log = (Path(folder.name) / "log").open("wb")
        process = subprocess.Popen(
            [*command, folder.name], stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment
        )
        log.close()
        return cls(run, stage, folder, process, time.monotonic())

    def result(self) -> dict[str, object] | None:
        """The line of a process that ended; None where it has none."""
        path = Path(self.folder.name) / RESULT
        if self.process.returncode or not path.exists():
            return None
        line = json.loads(path.read_text(encoding="utf-8"))
        return {**line, "stage": self.stage, "wall_s": round(time.monotonic() - self.began, 1)}

    def last_words(self) -> str:
        path = Path(self.folder.name) / "log"
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
        return next((line for line in reversed(lines) if line.strip()), "")

    def end(self) -> None:
        """End the process, which removes its folder, and what is left of it."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


class Study:
    """The trainings of a stage, in turn by group, on several processes."""

    def __init__(self, results: StudyResults, stage: str, only: frozenset[str], ends_at: float) -> None:
        self.results, self.stage, self.only, self.ends_at = results, stage, only, ends_at
        self.plans: list[GroupPlan] = plans(results)
        self.started: set[str] = set()  # keys; one that ended without a result is not tried again
        self.failed: list[str] = []
        self.noted: set[str] = set()

    def rounds(self) -> Iterator[Round]:
        """The round of each group that misses runs."""
        for plan in self.plans:
            try:
                missing = plan.next_round(self.stage)
            except LookupError as error:
                if str(error) not in self.noted:
                    self.noted.add(str(error))
                    print(f"left out: {error}", file=sys.stderr)
                continue
            if missing is not None:
                yield missing

    def startable(self) -> list[StudyRun]:
        """The runs that can be started now, those with the smallest budget first, the groups in turns."""
        waiting = []
        for missing in self.rounds():
            runs = [run for run in missing.missing(self.results) if run.key not in self.started]
            waiting.append([run for run in runs if not self.only or run.data.name in self.only])
        turns = [run for turn in zip_longest(*waiting) for run in turn if run is not None]
        left_s = self.ends_at - time.monotonic()
        shortest_first = sorted(turns, key=lambda run: run.budget_s)
        return [run for run in shortest_first if self.expected_s(run) <= left_s]

    def expected_s(self, run: StudyRun) -> float:
        """The seconds that a run takes, its start and evaluation included."""
        return run.budget_s + self.around_s(run.data.name)

    def around_s(self, data: str) -> float:
        lines = [line for line in self.results.lines.values() if line["data"] == data and line["kind"] == "run"]
        return fmean(line["wall_s"] - line["budget_s"] for line in lines) if lines else AROUND_S

    def work(self, jobs: int) -> None:
        """Train until nothing can be started; an interrupt ends what runs."""
        running: list[Process] = []
        try:
            while True:
                for run in self.startable()[: jobs - len(running)]:
                    self.started.add(run.key)
                    running.append(Process.start(run, self.stage))
                if not running:
                    return
                while not (ended := [one for one in running if one.process.poll() is not None]):
                    time.sleep(POLL_S)
                for process in ended:
                    running.remove(process)
                    self._finish(process)
        finally:
            for process in running:
                process.end()

    def _finish(self, process: Process) -> None:
        line, words = process.result(), process.last_words()
        process.end()
        if line is None:
            self.failed.append(f"{process.run}: exit status {process.process.returncode}: {words}")
            print(self.failed[-1], file=sys.stderr, flush=True)
            return
        self.results.add(line)
        outcome = line.get("failure") or f"valid {line['valid']}, test {line['test']}"
        print(f"{process.run}: {outcome} ({line['wall_s']} s)", flush=True)


def dry_run(study: Study, jobs: int) -> None:
    """Print the runs of the next rounds, and the most hours that every stage may take."""
    seconds: dict[str, float] = defaultdict(float)
    for missing in study.rounds():
        runs = [run for run in missing.missing(study.results) if not study.only or run.data.name in study.only]
        hours = sum(map(study.expected_s, runs)) / 3600 / jobs
        print(f"{missing.group}, {missing.stage}, {missing.name}: {len(runs)} runs, {hours:.1f} h")
    for stage in STAGES:
        for plan in study.plans:
            around = fmean(study.around_s(data.name) for data in plan.data)
            seconds[stage] += sum(count * (budget_s + around) for budget_s, count in expected_runs(plan.group, stage))
        print(f"stage {stage}: at most {seconds[stage] / 3600 / jobs:.1f} h with {jobs} at a time")
    absent = [data.name for data in DATA_SETS.values() if not data.is_there]
    if absent:
        print(f"not on this machine: {', '.join(absent)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=STAGES, default="choose")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start none that would end later")
    parser.add_argument("--only", default="", help="data sets to train on, as data=NAME,NAME")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--dry-run", action="store_true", help="print what would be trained, with hours")
    parser.add_argument("--summary", action="store_true", help="write the page of results and print it")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error("--jobs: must be at least 1")
    options.only = frozenset(options.only.removeprefix("data=").split(",")) - {""}
    if unknown := sorted(options.only - DATA_SETS.keys()):
        parser.error(f"--only: unknown data set {unknown[0]}; known: {', '.join(DATA_SETS)}")
    return options


def main() -> None:
    options = parse()
    results = StudyResults(options.results)
    if options.summary:
        if not results.lines:
            raise SystemExit(f"{options.results}: no results yet")
        page = study_page(list(results.lines.values()))
        if options.results == RESULTS:
            PAGE.write_text(page, encoding="utf-8")
        print(page)
        return
    study = Study(results, options.stage, options.only, time.monotonic() + 60 * options.minutes)
    if options.dry_run:
        dry_run(study, options.jobs)
        return
    try:
        study.work(options.jobs)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(1 if study.failed else 0)


if __name__ == "__main__":
    main()
