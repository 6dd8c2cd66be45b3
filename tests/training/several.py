"""Trainings one after another in each process that torchrun starts: `several.py JOBS.json [PROCESSES OF A NODE]`.

A job is {"out": …, "flags": {…}, "resume": …}. Each process leaves its number for the system in JOBS.json.RANK, and how
often it opened the data of each job in JOBS.json.RANK.opened.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from sightline.cli.train import Shown, _train
from sightline.tasks.recipe import resolve_run
from sightline.training.distributed import Team, end_process, joined


def work(jobs: list[dict[str, Any]], team: Team) -> None:
    for job in jobs:
        run = resolve_run(file=None, environ={}, flags=job["flags"])
        shown = Shown(dry_run=False, print_config=False, json=False, quiet=True)
        _train(run, Path(job["out"]), team, shown, resume=job.get("resume", False))


def on_nodes(per_node: int) -> dict[str, str]:
    """The environment of this process as if so many processes were on each node."""
    return {**os.environ, "GROUP_RANK": str(int(os.environ["RANK"]) // per_node)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    jobs = json.loads(Path(sys.argv[1]).read_text())
    opened = dict.fromkeys([job["flags"]["data"] for job in jobs], 0)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]) in opened:
            opened[str(arguments[0])] += 1

    sys.addaudithook(count)
    with joined(on_nodes(int(sys.argv[2])) if len(sys.argv) > 2 else os.environ) as team:
        Path(f"{sys.argv[1]}.{team.rank}").write_text(str(os.getpid()))
        work(jobs, team)
        Path(f"{sys.argv[1]}.{team.rank}.opened").write_text(json.dumps(list(opened.values())))
    end_process(0)
