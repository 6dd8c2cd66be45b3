"""The law "compiled = eager" with inductor, the compiler that users have, over one mechanism of each way to compile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

# A recurrence that is left alone, though only its weights have gradients, and one graph for all.
SAMPLE = [("lstm", 0), ("min_gru", 0), ("softmax", 1)]

SCRIPT = """
import json, sys, torch, torch._inductor.config, warnings
from sightline.mixers import MIXERS
from sightline.testing import Subject
from sightline.testing.laws.compiled import compiles

torch.set_num_threads(1)
torch._inductor.config.compile_threads = 1
warnings.simplefilter("ignore")
for name, number in json.loads(sys.argv[1]):
    kind = MIXERS[name]
    for finding in compiles(Subject((kind(), *kind.examples())[number]), "inductor"):
        assert finding.holds, (name, finding)
        print(name, "holds")
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_inductor_trains_and_decodes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # nothing compiled by an earlier run
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(SAMPLE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, _ in SAMPLE:
        assert done.stdout.count(f"{name} holds") == 2  # trained and decoded
