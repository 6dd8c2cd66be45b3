"""Calls in processes of their own: their results, and the error if there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.core.processes import CallFailed, ProcessDied, ending, in_child


class Missing(Exception):
    pass


def act(what: str) -> int:
    if what == "raise":
        raise ValueError("no such kernel")
    if what == "miss":
        raise Missing("not installed")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit":
        os._exit(3)
    if what == "quit":
        sys.exit("enough")
    return os.getpid()


def test_each_call_has_a_process_of_its_own() -> None:
    assert len({os.getpid(), in_child(act, "id"), in_child(act, "id")}) == 3


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("raise", CallFailed, r"^ValueError: no such kernel \(test_processes\.py:\d+\)$"),
        ("quit", CallFailed, r"^SystemExit: enough \("),
        ("miss", Missing, r"^not installed$"),
        ("kill", ProcessDied, r"^the process was ended by SIGKILL \(out of memory\?\)$"),
        ("exit", ProcessDied, r"^the process exited with 3$"),
    ],
)
def test_a_failure_says_how(what: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        in_child(act, what, passing=(Missing,))
    assert type(raised.value) is kind


def test_only_a_kill_suggests_memory() -> None:
    assert ending(-signal.SIGTERM) == "was ended by SIGTERM"


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    """No `if __name__ == "__main__"`: a new process does not run the program's own script."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom sightline.core.processes import in_child\nprint(in_child(os.getpid) != os.getpid())\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)
