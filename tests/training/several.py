"""Trainings one after another in each process that torchrun starts: `several.py JOBS.json`.

A job is {"out": …, "flags": {…}, "resume": …}. Each process leaves its number for the system in JOBS.json.RANK.
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


if __name__ == "__main__":
    torch.set_num_threads(1)
    status = 0
    with joined() as team:
        Path(f"{sys.argv[1]}.{team.rank}").write_text(str(os.getpid()))
        work(json.loads(Path(sys.argv[1]).read_text()), team)
    end_process(status)
