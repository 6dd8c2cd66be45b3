"""What an export answers is what its model answers: without torch, tokenizers and sightline."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.rows.files import check_file
from sightline.export import FORMATS, export
from tests.export import small
from tests.export.onnx.exported import answers

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
ONNX = FORMATS["onnx"]


def exported(task: small.Exported, tmp_path: Path) -> Path:
    export(task, ONNX, tmp_path / "export")
    return tmp_path / "export"


@pytest.mark.parametrize("arch", ["bahdanau", "transformer"])
def test_translations(arch: str, tmp_path: Path) -> None:
    task = small.translation(arch, tmp_path)
    lines = ["12", "907", "", "5", "3 x é 日", "1" * 40]
    assert answers(exported(task, tmp_path), lines) == task.predict(lines)


def test_continuations(tmp_path: Path) -> None:
    task = small.language("window", tmp_path)
    lines = ["1 times", "", "50 times 50 is 25"]
    assert answers(exported(task, tmp_path), lines) == task.predict(lines)


@torch.no_grad()
def test_a_window_beside_a_cache_beyond_its_length(tmp_path: Path) -> None:
    """Both are equally long until the window is full; ONNX Runtime refused calls after that, if they share a name."""
    import onnxruntime

    options = {"window": {"window": 256}}
    task = small.language("hybrid", tmp_path, options=options)
    directory, model = exported(task, tmp_path), task.stored_model.eval()
    tokens = torch.randint(4, 40, (1, 270), generator=torch.Generator().manual_seed(0))
    expected = model(tokens, model.initial_state(1))[0].numpy()
    session = onnxruntime.InferenceSession(directory / "decoder.onnx", providers=["CPUExecutionProvider"])
    state = dict(np.load(directory / "initial_state.npz"))
    names, logits = [one.name for one in session.get_outputs()], []
    for part in tokens.numpy()[:, :250], *np.split(tokens.numpy()[:, 250:], 20, 1):
        outputs = dict(zip(names, session.run(None, {"tokens": part, **state}), strict=True))
        logits.append(outputs["logits"])
        state |= {f"state.{name[5:]}": value for name, value in outputs.items() if name.startswith("next.")}
    np.testing.assert_allclose(np.concatenate(logits, 1), expected, rtol=1e-4, atol=1e-4)


def test_labels_with_their_probabilities(tmp_path: Path) -> None:
    task = small.classification("lstm", tmp_path, many=True)
    lines = ["red", "the sky of green", "blue, blue - unknown!"]
    assert answers(exported(task, tmp_path), lines) == [answer.text for answer in task.answer(lines)]


def test_forecasts_with_covariates(tmp_path: Path) -> None:
    task = small.forecasting("gru", tmp_path, covariates=True, loss="quantile")
    directory = exported(task, tmp_path)
    random, steps = np.random.default_rng(1), range(30)
    rows = [f"{t},{random.normal():.4f},{random.normal():.3f},{t % 7}" for t in steps]
    future = [f"{t},,,{t % 7}" for t in range(30, 36)]
    (tmp_path / "new.csv").write_text("\n".join(["time,a,b,c", *rows, *future]) + "\n")
    command = [sys.executable, str(directory / "run.py"), str(tmp_path / "new.csv")]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    step, *columns = zip(*csv.reader(io.StringIO(table)), strict=True)
    assert step == ("step", "1", "2", "3", "4", "5", "6")
    assert [name for name, *_ in columns] == ["a_q0.1", "a_q0.5", "a_q0.9"]
    forecast = task.predict(str(tmp_path / "new.csv")).quantiles[0, :, 0]
    np.testing.assert_allclose(np.array([numbers for _, *numbers in columns], float).T, forecast, rtol=1e-5, atol=1e-5)


def test_the_description_names_every_tensor(tmp_path: Path) -> None:
    import onnxruntime

    directory = exported(small.translation("gru", tmp_path), tmp_path)
    facts = json.loads((directory / "export.json").read_text())
    encoder, decoder = (facts["graphs"][name] for name in ("encoder", "decoder"))
    assert set(encoder["outputs"]) == set(decoder["inputs"]) - {"tokens"}
    session = onnxruntime.InferenceSession(directory / decoder["file"])
    assert [one.name for one in session.get_outputs()] == decoder["outputs"]
    assert {one.name: one.shape for one in session.get_inputs()} == decoder["inputs"]
    check_file(directory / "run.py")


def test_random_futures_are_refused(tmp_path: Path) -> None:
    task = small.forecasting("transformer", tmp_path, model={"decoding": "autoregressive", "patch": 4}, loss="quantile")
    with pytest.raises(InputError, match=r"cannot export to onnx: .* train with --model\.paths 0$"):
        export(task, ONNX, tmp_path / "export")
    assert not (tmp_path / "export").exists()
