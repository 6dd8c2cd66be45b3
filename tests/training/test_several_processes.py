"""Two processes train as one does, step by step; killed or stopped, their run continues in any number of them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from torch import Tensor

from sightline.training.checkpoint import Checkpoints
from tests.training.torchrun import finished, started
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SMALL: dict[str, dict[str, Any]] = {
    "transformer": {"model.d_model": 8, "model.heads": 2, "model.layers": 1},  # embeddings are the output weights too
    "lstm": {"model.d_model": 8},
    "bahdanau": {"model.d_model": 8},
}
STEPS = 50


def job(out: Path, data: Path, arch: str = "transformer", **flags: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "data": str(data), "task": "translation", "arch": arch, "budget": f"{STEPS}steps", "validations": 2,
        "log_every": 1, "batch_tokens": 96, "validation_outputs": 2, "device": "cpu", "dtype": "float32",
        "tokenizer.kind": "char", "model.dropout": 0.0, **SMALL[arch], **flags,
    }  # fmt: skip
    return {"out": str(out), "flags": settings}


def alone(jobs: list[dict[str, Any]], place: Path) -> None:
    """The jobs in one process."""
    place.write_text(json.dumps(jobs))
    errors = finished(started("tests.training.several", str(place), processes=1))
    assert all((Path(one["out"]) / "last").exists() for one in jobs), errors[-3000:]


def launched(jobs: list[dict[str, Any]], place: Path) -> subprocess.Popen[str]:
    """The jobs in two processes."""
    place.write_text(json.dumps(jobs))
    return started("tests.training.several", str(place))


def records(run: str | Path, event: str = "train") -> list[dict[str, Any]]:
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["event"] == event]


def tensors(run: str | Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The last weights of a run, and the state of its optimizer."""
    newest = max((Path(run) / "checkpoints").glob("step-*"))
    return tuple(safetensors.torch.load_file(newest / f"{part}.safetensors") for part in ("model", "optimizer"))  # type: ignore[return-value]


def check_same(one: str | Path, other: str | Path) -> None:
    """Losses, gradient norms and counts of each step, and all weights that the loss depends on.

    A weight that it does not depend on, such as the bias of attention's keys, gets gradients of rounding errors alone,
    which Adam divides by their own size.
    """
    steps = list(zip(records(one), records(other), strict=True))
    assert len(steps) == STEPS
    for left, right in steps:
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
        assert left["grad_norm"] == pytest.approx(right["grad_norm"], rel=1e-4)
        assert left["tokens"] == right["tokens"]
    (weights, moments), (others, _) = tensors(one), tensors(other)
    assert weights.keys() == others.keys()
    moved = [name for name in weights if float(moments[f"{name}/exp_avg_sq"].max()) > 1e-14]
    assert len(moved) > 0.8 * len(weights)
    for name in moved:
        assert float((weights[name] - others[name]).abs().max()) < 1e-5, name


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words and what they are backwards, one to nine letters long: batches with few and many labels."""
    draw = random.Random(3)
    words = ["".join(draw.choices("abcdef", k=draw.randint(1, 9))) for _ in range(150)]
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    path.write_text("source\ttarget\n" + "".join(f"{word}\t{word[::-1]}\n" for word in words))
    return path


KILLED = {"model.dropout": 0.2, "pieces": 2, "validate_every": 10}  # settings of the runs that are killed
EQUAL = [("transformer", "ddp"), ("transformer", "fsdp"), ("lstm", "ddp"), ("bahdanau", "fsdp")]


@pytest.fixture(scope="module")
def both(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of trainings by one process and by two, one of which continues a run of one from the middle."""
    place = tmp_path_factory.mktemp("runs")
    with_dropout = {"model.dropout": 0.2, "pieces": 2}
    jobs = [job(place / f"one-{arch}", data, arch) for arch in SMALL]
    jobs += [job(place / name, data, **with_dropout) for name in ("dropout-whole", "dropout")]
    jobs += [job(place / f"unkilled-{arch}", data, arch, **KILLED) for arch in SMALL]
    alone(jobs, place / "alone.json")
    for later in Checkpoints(place / "dropout" / "checkpoints").steps()[1:]:
        (later[1] / "MANIFEST.json").unlink()  # as a kill leaves it
    jobs = [job(place / f"two-{arch}-{kind}", data, arch, parallel=kind) for arch, kind in EQUAL]
    jobs.append({**job(place / "dropout", data, **with_dropout, parallel="fsdp"), "resume": True})
    process = launched(jobs, place / "jobs.json")
    errors = finished(process)
    assert process.returncode == 0, errors[-3000:]
    return {path.name: path for path in place.iterdir()}


@pytest.mark.parametrize(("arch", "kind"), EQUAL)
def test_two_processes_are_one_step_by_step(both: dict[str, Path], arch: str, kind: str) -> None:
    check_same(both[f"one-{arch}"], both[f"two-{arch}-{kind}"])


def test_two_processes_continue_a_run_of_one_with_its_dropout(both: dict[str, Path]) -> None:
    check_same(both["dropout-whole"], both["dropout"])
    assert records(both["dropout"], "end")[-1]["steps"] == STEPS


KINDS = {"transformer": "fsdp", "lstm": "ddp", "bahdanau": "ddp"}  # of the runs that are killed, by architecture


def killed(folder: Path, data: Path, arch: str) -> dict[str, Any]:
    """The job of a run by two processes, both killed after a checkpoint."""
    one = job(folder / f"killed-{arch}", data, arch, **KILLED, parallel=KINDS[arch])
    process = launched([one], folder / f"{arch}.json")
    checkpoints = Checkpoints(folder / f"killed-{arch}" / "checkpoints")
    wait_until(lambda: process.poll() is not None or any(step >= 10 for step, _ in checkpoints.steps()))
    for rank in (1, 0):
        os.kill(int((folder / f"{arch}.json.{rank}").read_text()), signal.SIGKILL)
    finished(process)
    assert process.returncode != 0
    assert not (folder / f"killed-{arch}" / "last").exists()
    return one


def test_killed_runs_continue_in_one_process(both: dict[str, Path], data: Path, tmp_path: Path) -> None:
    alone([{**killed(tmp_path, data, arch), "resume": True} for arch in KINDS], tmp_path / "alone.json")
    for arch in KINDS:
        check_same(both[f"unkilled-{arch}"], tmp_path / f"killed-{arch}")


def test_running_text_is_read_once_on_each_node(tmp_path: Path) -> None:
    """Three processes, two on the first node and one on the second, train as one does."""
    text = tmp_path / "squares.jsonl"
    text.write_text("".join(json.dumps({"text": f"{n} times {n} is {n * n}."}) + "\n" for n in range(400)))
    flags = {
        "data": str(text), "task": "language", "arch": "gru", "budget": f"{STEPS}steps", "validations": 1,
        "log_every": 1, "context": 24, "batch_tokens": 96, "device": "cpu", "dtype": "float32", "model.d_model": 8,
        "model.dropout": 0.0,
    }  # fmt: skip
    for name in ("one", "three"):
        place = tmp_path / f"{name}.json"
        place.write_text(json.dumps([{"out": str(tmp_path / name), "flags": flags}]))
        several = {"processes": 1} if name == "one" else {"processes": 3}
        process = started("tests.training.several", str(place), *(["2"] if name == "three" else []), **several)
        errors = finished(process)
        assert process.returncode == 0, errors[-3000:]
    check_same(tmp_path / "one", tmp_path / "three")
    alone, *opened = (
        json.loads((tmp_path / f"{name}.json.{rank}.opened").read_text())[0]
        for name, rank in (("one", 0), ("three", 0), ("three", 1), ("three", 2))
    )
    assert alone > 0
    assert opened == [alone, 0, alone]


def test_a_signal_stops_all_processes_and_saves(data: Path, tmp_path: Path) -> None:
    flags = {**job(tmp_path, data, budget="100000steps", validate_every=100_000)["flags"], "out_dir": tmp_path / "run"}
    given = [part for key, value in flags.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    process = started("sightline", "train", *given)
    wait_until(lambda: process.poll() is not None or (tmp_path / "run" / "metrics.jsonl").exists())
    wait_until(lambda: process.poll() is not None or len(records(tmp_path / "run")) > 3)
    process.send_signal(signal.SIGTERM)
    errors = finished(process)
    assert process.returncode != 0
    stopped = records(tmp_path / "run", "interrupted")
    assert [record["signal"] for record in stopped] == ["SIGTERM"], errors[-3000:]
    assert errors.count("SIGTERM after step") == 1, errors[-3000:]  # the first process prints
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1][0] == stopped[0]["step"]
    assert (tmp_path / "run" / "last" / "model.safetensors").exists()
