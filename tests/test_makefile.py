"""What the targets of the Makefile install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_demo_needs_no_tools_for_development(tmp_path):
    def planned(target: str) -> list[str]:
        command = ["make", "--dry-run", f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}", target]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if "pip install" in line]

    demo, tests = planned("demo"), planned("test")
    assert len(demo) == 2
    assert not any("[dev]" in line for line in demo)
    assert tests[:2] == demo
    assert len(tests) == 3
    assert ".[dev]" in tests[2]
