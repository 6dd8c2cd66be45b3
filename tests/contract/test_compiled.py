"""The law "compiled = eager" with inductor, the compiler that users have, over one mechanism of each way to compile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

# Recurrences that are left alone, though only their weights have gradients, the second one an encoder of LSTMs in both
# directions; and one graph for all. With each the number of findings: trained, and decoded.
SAMPLE = [("lstm", 0, 2), ("bidirectional", 2, 1), ("min_gru", 0, 2), ("softmax", 1, 2)]

SCRIPT = """
import json, sys, torch, torch._inductor.config, warnings
from sightline.mixers import MIXERS
from sightline.testing import Subject
from sightline.testing.laws.compiled import compiles

torch.set_num_threads(1)
torch._inductor.config.compile_threads = 1
warnings.simplefilter("ignore")
for name, number, _ in json.loads(sys.argv[1]):
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
    for name, _, findings in SAMPLE:
        assert done.stdout.count(f"{name} holds") == findings
