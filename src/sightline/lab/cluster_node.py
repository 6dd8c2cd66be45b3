"""The jobs of a comparison on the nodes of a Ray cluster: the side of a node. Imports neither torch nor Ray's names.

Ray calls these functions in processes of its own. A job is done by a worker process, which such a process keeps for its
next job: its imports take seconds.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sightline.core.config import decode, encode
from sightline.core.errors import EnvironmentFault
from sightline.core.json_text import to_json
from sightline.lab.jobs import DONE, Failure, Job, put_job
from sightline.lab.processes import POLL_S, Worker

PROGRESS = "progress.json"
TELL_EVERY_S = 1.0
_workers: dict[tuple[int, str], Worker] = {}


def needed(token: Path) -> tuple[str, str, str, str]:
    """The facts that `unfit` compares a node with: a file of the comparing process, its directory and its versions."""
    return str(token), os.getcwd(), _version("sightline"), _version("torch")


def unfit(token: str, directory: str, own: str, torch: str) -> str | None:
    """Why this node cannot do jobs of a comparison; None where it can."""
    for name, expected in (("sightline", own), ("torch", torch)):
        if _version(name) != expected:
            return f"has {name} {_version(name)}, this machine {expected}"
    for path in (directory, token):
        if not Path(path).exists():
            shared = path if path == directory else Path(path).parent
            return f"does not see {shared}: all nodes must share it under this path, by NFS for instance"
    return None


def _version(package: str) -> str:
    with suppress(PackageNotFoundError):
        return version(package)
    return "(none)"


def do(fields: dict[str, Any], threads: int, directory: str) -> dict[str, Any]:
    """Do a job in a process with this many threads, started in `directory`.

    Returns its node, with its result as JSON text, its failure, or how its process died.
    """
    job = decode(Job, fields, where="a job")
    worker = None
    try:
        put_job(job)
        worker = _start(job, threads, directory)
        reported = 0.0
        while not worker.ended():
            time.sleep(POLL_S)
            if time.monotonic() - reported >= TELL_EVERY_S:
                reported = time.monotonic()
                _tell(job.directory / PROGRESS, worker.progress)
        return _answer(worker)
    except EnvironmentFault as error:
        return _with_node({"failure": encode(Failure("failed", str(error), error.status)), "result": None})
    except BaseException:  # cancelled, for instance
        if worker is not None:
            worker.stop()
            worker.wait()
        raise
    finally:
        with suppress(OSError):
            (job.directory / PROGRESS).unlink(missing_ok=True)


def _start(job: Job, threads: int, directory: str) -> Worker:
    """A worker process that has begun the job: the one that did the last job here, or a new one."""
    worker = _workers.pop((threads, directory), None)
    if worker is not None and worker.alive:
        with suppress(OSError):  # it has just died
            worker.take(job)
            _workers[threads, directory] = worker
            return worker
    worker = _workers[threads, directory] = Worker(threads, cwd=directory)
    worker.take(job)
    return worker


def _answer(worker: Worker) -> dict[str, Any]:
    failure = worker.failure()
    if failure is not None and worker.died:
        return _with_node({"died": failure.message})
    text = None if failure else (worker.job.directory / DONE).read_text(encoding="utf-8")
    return _with_node({"failure": encode(failure) if failure else None, "result": text})


def _with_node(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "node": import_module("ray").get_runtime_context().get_node_id()}


def _tell(path: Path, progress: dict[str, Any]) -> None:
    """Write the progress for whoever displays it; half a file does no harm."""
    with suppress(OSError):
        path.write_text(to_json(progress), encoding="utf-8")
