"""Freed memory stays with the process where it is asked for, and its user's own settings are obeyed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sightline.core.kept_memory import keep_freed_memory

FAULTS = """
import ctypes, resource, sys
from sightline.core.kept_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def step():
    block = ctypes.create_string_buffer(40 << 20)
    ctypes.memset(block, 1, 40 << 20)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="an option of the C library of Linux")
def test_pages_are_not_asked_for_again() -> None:
    kept, faults = page_faults("keep")
    if kept == "False":
        pytest.skip("another C library than glibc")
    assert faults < 100 < page_faults("leave")[1]


def test_settings_of_the_user_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()
