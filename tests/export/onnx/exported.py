"""An export beside what it was made of, run without sightline and torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BLOCKED = ("sightline", "torch", "tokenizers", "polars", "scipy", "safetensors")
ANSWER = f"""
import json, sys
sys.modules |= dict.fromkeys({BLOCKED!r})  # an import of any of them fails
sys.path.insert(0, sys.argv[1])
from run import ExportedModel
print(json.dumps(ExportedModel().answer(json.loads(sys.argv[2]))))
"""


def answers(directory: Path, lines: list[str]) -> list[str]:
    """What the runner in a directory answers, in a process that has none of our packages."""
    command = [sys.executable, "-c", ANSWER, str(directory), json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
