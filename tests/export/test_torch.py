"""A model that `sightline export --to torch` wrote, in a process that cannot import sightline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.export import FORMATS
from sightline.tasks.load import load
from tests.export import small

OLD = Path(__file__).parents[1] / "compat" / "version_0_1_0"
STEPS = 8

FOREIGN = """
import importlib.abc, json, sys

class Nowhere(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "sightline":
            raise ImportError("this process has no sightline")

sys.meta_path.insert(0, Nowhere())
import torch

folder, tokens, steps = sys.argv[1], torch.tensor(json.loads(sys.argv[2])), int(sys.argv[3])
encoder, step = (torch.export.load(f"{folder}/{name}.pt2").module() for name in ("encoder", "step"))
state = encoder(tokens, tokens != 0)
token, results = torch.ones(len(tokens), dtype=torch.long), []
for _ in range(steps):
    logits, *state = step(token, *state)
    token = logits.argmax(1)
    results.append(logits.tolist())
assert "sightline" not in sys.modules
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a process without checked types: sizes that are left open are no Python integers."""
    folder = tmp_path_factory.mktemp("exported") / "translation"
    command = [sys.executable, "-m", "sightline.cli", "export", str(OLD / "translation"), "--to", "torch"]
    done = subprocess.run([*command, "-o", str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"exported to {folder}\n"), done.stderr
    assert not done.stderr
    return folder


@pytest.mark.slow
def test_torch_alone_decodes_as_we_do(exported: Path) -> None:
    task = load(OLD / "translation")
    sources = [[7, 5, 9, 11, 6, 4, 8], [5, 4, 0, 0, 0, 0, 0]]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", FOREIGN, str(exported), json.dumps(sources), str(STEPS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    tokens, token = torch.tensor(sources), torch.ones(2, dtype=torch.long)
    with torch.no_grad():
        model: Any = task.model.eval()
        state = model.initial_state(model.encode(tokens, tokens != 0))
        for given in json.loads(done.stdout):
            logits, state = model.step(token, state)
            torch.testing.assert_close(torch.tensor(given), logits, rtol=1e-5, atol=1e-6)
            token = logits.argmax(1)


@pytest.mark.slow
def test_the_manifest_names_all_tensors(exported: Path) -> None:
    about = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
    assert about["torch"] == torch.__version__
    programs = about["programs"]
    assert {one["file"] for one in programs.values()} == {path.name for path in exported.glob("*.pt2")}
    names = {side: [one["name"] for one in programs["step"][side]] for side in ("inputs", "outputs")}
    assert names["inputs"][1:] == names["outputs"][1:] == [one["name"] for one in programs["encoder"]["outputs"]]
    assert (names["inputs"][0], names["outputs"][0]) == ("token", "logits")
    assert all(one["shape"][0] == "batch" for program in programs.values() for one in program["inputs"])
    assert (exported / "tokenizer.json").exists()


@pytest.mark.slow
def test_archives_say_nothing_of_this_machine(exported: Path) -> None:
    here = str(Path(__file__).parents[2]).encode()
    for path in exported.glob("*.pt2"):
        assert here not in path.read_bytes()


@pytest.mark.parametrize(
    ("paths", "loss", "refused"), [(20, "quantile", True), (0, "quantile", False), (20, "mse", False)]
)
def test_drawn_quantiles_have_no_program(tmp_path: Path, paths: int, loss: str, refused: bool) -> None:
    model = {"decoding": "autoregressive", "patch": 4, "paths": paths}
    reason = FORMATS["torch"].refusal(small.forecasting("transformer", tmp_path, model=model, loss=loss))
    assert (reason is not None and "drawn at random" in reason) == refused
