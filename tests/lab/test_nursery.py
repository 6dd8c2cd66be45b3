"""A process that is forked for each job: how jobs end, and that none outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightline.lab.jobs import ENDED
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system cannot fork safely")

PROGRAM = """
import os, signal, time
from sightline.lab.nursery import Nursery

def work(path):
    if path.name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "waits":
        print(os.getpid(), flush=True)
        time.sleep(600)
    if path.name == "raises":
        raise ValueError("unexpected")
    return 3 if path.name == "fails" else 0

Nursery(work).serve()
"""


@pytest.fixture
def nursery() -> Iterator[subprocess.Popen[str]]:
    command, pipe = [sys.executable, "-c", PROGRAM], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        yield process
        process.kill()


def begin(nursery: subprocess.Popen[str], name: str) -> str:
    """Send a job; return the first line of its output."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(json.dumps(name) + "\n")
    nursery.stdin.flush()
    return nursery.stdout.readline()


def gone(pid: int) -> bool:
    """Whether the process has ended, at last."""

    def ended() -> bool:
        try:
            return ") Z " in Path(f"/proc/{pid}/stat").read_text()  # nobody waits for it
        except (FileNotFoundError, ProcessLookupError):
            return True

    return wait_until(ended)


def test_a_crash_ends_one_job(nursery: subprocess.Popen[str]) -> None:
    ends = [json.loads(begin(nursery, name)) for name in ("works", "fails", "dies", "raises", "works")]
    assert ends == [{"stage": ENDED, "status": status} for status in (0, 3, -signal.SIGKILL, 1, 0)]


def test_a_job_ends_with_the_comparing_process(nursery: subprocess.Popen[str]) -> None:
    child = int(begin(nursery, "waits"))
    assert nursery.stdin is not None
    nursery.stdin.close()
    assert nursery.wait() == 0
    assert gone(child)


def test_a_signal_to_end_is_passed_on(nursery: subprocess.Popen[str]) -> None:
    child = int(begin(nursery, "waits"))
    nursery.terminate()
    assert nursery.stdout is not None
    assert json.loads(nursery.stdout.readline()) == {"stage": ENDED, "status": -signal.SIGTERM}
    assert nursery.wait() == 0
    assert gone(child)


def test_without_a_job_the_signal_ends_it(nursery: subprocess.Popen[str]) -> None:
    begin(nursery, "works")
    nursery.terminate()
    assert nursery.wait() == 128 + signal.SIGTERM


def test_a_job_does_not_outlive_a_killed_nursery(nursery: subprocess.Popen[str]) -> None:
    child = int(begin(nursery, "waits"))
    nursery.kill()
    assert gone(child)
