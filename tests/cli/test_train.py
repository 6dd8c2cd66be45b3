"""`sightline train` from flags to a run, in one process; its wrong flags are in test_flags.py."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.cli.app import main
from sightline.core.config import decode
from sightline.core.yaml12 import parse_yaml, read_yaml
from sightline.tasks.defaults import TRAINED, DefaultArch, default_arch
from sightline.tasks.translation.config import TranslationRun
from tests.waiting import PATIENCE_S, wait_until

SMALL = ["--arch", "gru", "--model.d-model", "16", "--batch-tokens", "64", "--device", "cpu", "--max-steps", "6"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, with pairs to train on: words and the same reversed."""
    words = [f"{a}{b}{c}" for a in "abcd" for b in "efgh" for c in "ijk"]
    (tmp_path / "pairs.tsv").write_text("source\ttarget\n" + "".join(f"{word}\t{word[::-1]}\n" for word in words))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    code = main(["train", *arguments])
    out, err = capsys.readouterr()
    assert code == status, err
    return out, err


def test_leaves_a_run_that_predicts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = train(capsys, "--data", "pairs.tsv", *SMALL, "--json")
    facts = json.loads(out)
    run = Path("runs/pairs-gru-0")
    assert facts["schema_version"] == 1
    assert (facts["run"], facts["arch"], facts["status"], facts["steps"]) == (str(run), "gru", "completed", 6)
    assert facts["metrics"]["loss"] > 0
    assert sorted(path.name for path in run.iterdir() if path.name != ".lock") == [
        "best", "checkpoints", "config.yaml", "environment.json", "last", "metrics.jsonl",
    ]  # fmt: skip
    for name in ("best", "last"):
        assert sorted(path.name for path in (run / name).iterdir()) == [
            "README.md", "config.json", "model.safetensors", "tokenizer.json",
        ]  # fmt: skip
    assert "sightline: step 6 · 100 %" in err
    model = sightline.load(run)
    assert model.parameters == facts["parameters"]
    assert len(model.predict(["aei", "bfj"])) == 2


@pytest.mark.slow
def test_the_saved_config_trains_the_same_model_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, "--data", "pairs.tsv", *SMALL, "--match", "params=30k", "-o", "one", "-q")
    train(capsys, "-c", "one/config.yaml", "-o", "two", "-q")
    assert read_yaml(Path("one/config.yaml")) == read_yaml(Path("two/config.yaml"))
    for name in ("best/model.safetensors", "last/model.safetensors", "last/tokenizer.json"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


@pytest.mark.slow
def test_a_budget_in_seconds_is_kept_as_the_steps_that_it_became(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's own config trains the same model again, and a resumed run ends where it was to end."""
    options = ["--data", "pairs.tsv", *SMALL[:-2]]
    out, err = train(capsys, *options, "--budget", "0.2s", "-o", "one", "--json")
    steps = json.loads(out)["steps"]
    assert re.search(rf"sightline: {steps:,} steps? of \S+ ms for 0\.2 s, \d+ validations? of ", err)
    assert read_yaml(Path("one/config.yaml"))["budget"] == f"{steps}steps"
    assert json.loads(Path("one/environment.json").read_text())["budget"] == "0.2s"
    train(capsys, "-c", "one/config.yaml", "-o", "two", "-q")
    for again in (["--resume"], ["--resume", "--budget", "0.2s"]):
        out, _ = train(capsys, *again, "-o", "one", "--json", "-q")
        assert json.loads(out)["steps"] == steps
    assert Path("one/last/model.safetensors").read_bytes() == Path("two/last/model.safetensors").read_bytes()


@pytest.mark.slow
def test_resume_takes_the_runs_own_config(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--optim.schedule", "constant", "--optim.warmup-steps", "2", "-q"]  # whatever the budget
    train(capsys, "--data", "pairs.tsv", *SMALL, *options, "-o", "parted")
    train(capsys, "--resume", "-o", "parted", "--max-steps", "9", "-q")
    train(capsys, "--data", "pairs.tsv", *SMALL[:-1], "9", *options, "-o", "whole")
    assert Path("parted/last/model.safetensors").read_bytes() == Path("whole/last/model.safetensors").read_bytes()


STOPS = """import signal
class Stops:
    def begin(self, run, config, step): ...
    def log(self, step, metrics): step == 3 and signal.raise_signal(signal.SIGINT)
    def end(self, status): ...
"""


def test_resume_in_the_usual_directory_takes_the_runs_own_config(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("stops.py").write_text(STOPS)
    run, options = ["--data", "pairs.tsv", *SMALL[:2]], [*SMALL[2:-2], "--budget", "9steps", "--log-every", "1", "-q"]
    _, err = train(capsys, *run, *options, "--log", "stops.py:Stops", status=130)
    assert err.endswith("runs/pairs-gru-0: stopped by SIGINT after step 3; the state is saved, --resume continues\n")
    out, _ = train(capsys, *run, "--resume", "--json", "-q")
    assert (json.loads(out)["run"], json.loads(out)["steps"]) == ("runs/pairs-gru-0", 9)
    assert read_yaml(Path("runs/pairs-gru-0/config.yaml"))["budget"] == "9steps"
    out, _ = train(capsys, *run, "--seed", "1", *SMALL[2:], "--resume", "--json", "-q")
    assert (json.loads(out)["run"], json.loads(out)["steps"]) == ("runs/pairs-gru-1", 6)


@pytest.mark.slow
def test_resume_refuses_other_data_and_other_settings(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, "--data", "pairs.tsv", *SMALL, "-o", "run", "-q")
    _, err = train(capsys, "--resume", "-o", "run", "--optim.lr", "1", "-q", status=2)
    assert re.fullmatch(r"sightline: error: --optim\.lr: was \S+ when the run began, now 1\.0\n", err)
    _, err = train(capsys, "--resume", "-o", "run", "--model.d-model", "24", "-q", status=2)
    assert err == "sightline: error: --model.d-model: was 16 when the run began, now 24\n"
    _, err = train(capsys, "--resume", "-o", "run", "--batch-tokens", "65", "-q", status=2)
    assert err == "sightline: error: --batch-tokens: was 64 when the run began, now 65\n"
    with Path("pairs.tsv").open("a") as pairs:
        pairs.write("zzz\tzzz\n")
    _, err = train(capsys, "--resume", "-o", "run", "-q", status=2)
    assert "run: the data has changed since the run began" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_run_is_not_overwritten_unless_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(capsys, "--data", "pairs.tsv", *SMALL, "-o", "run", "-q")
    _, err = train(capsys, "--data", "pairs.tsv", *SMALL, "-o", "run", "-q", status=2)
    assert err == "sightline: error: run: contains a run: continue it with --resume, or replace it with --overwrite\n"
    train(capsys, "--data", "pairs.tsv", *SMALL, "-o", "run", "--overwrite", "-q")


def test_dry_run_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = train(capsys, "--data", "pairs.tsv", *SMALL, "--dry-run", "--json")
    facts = json.loads(out)
    assert facts["parameters"] > 1000
    assert sum(facts["pairs"].values()) == 48
    assert [path.name for path in place.iterdir()] == ["pairs.tsv"]


def resolved(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    out, _ = train(capsys, *arguments, "--print-config")
    return parse_yaml(out)


def test_default_below_file_below_environment_below_flag(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my.yaml").write_text("data: pairs.tsv\narch: lstm\nseed: 1\npatience: 5\noptim: {lr: 1e-2, beta1: 0.8}\n")
    monkeypatch.setenv("SIGHTLINE_OPTIM__LR", "2e-2")
    monkeypatch.setenv("SIGHTLINE_SEED", "2")
    result = resolved(capsys, "-c", "my.yaml", "--seed", "3", "--tokenizer.shared", "--optim.clip-norm", "none")
    assert (result["arch"], result["patience"], result["seed"]) == ("lstm", 5, 3)
    assert result["optim"]["lr"] == 0.02
    assert result["optim"]["beta1"] == 0.8
    assert result["optim"]["clip_norm"] is None
    assert result["tokenizer"]["shared"] is True
    assert result["keep"] == 2
    assert decode(TranslationRun, result, base=sightline_preset("lstm")).settings.arch == "lstm"


def sightline_preset(arch: str) -> TranslationRun:
    from sightline.tasks.translation.task import TranslationTask

    return TranslationTask.preset(arch)


def test_the_2017_transformer_is_trained_as_published(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Vaswani et al. 2017: β2 0.98, ε 1e-9, 4000 steps of warm-up, label smoothing 0.1, shared BPE."""
    result = resolved(capsys, "--arch", "transformer-2017")
    assert result["optim"]["lr"] == pytest.approx(512**-0.5 * 4000**-0.5)
    assert result["optim"]["schedule"] == "inverse_sqrt"
    assert (result["optim"]["beta1"], result["optim"]["beta2"], result["optim"]["eps"]) == (0.9, 0.98, 1e-9)
    assert (result["optim"]["warmup_steps"], result["label_smoothing"]) == (4000, 0.1)
    assert (result["tokenizer"]["kind"], result["tokenizer"]["shared"]) == ("bpe", True)


def test_diverging_exits_4_in_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = [
        "--optim.lr",
        "1e30",
        "--optim.warmup-steps",
        "0",
        "--optim.clip-norm",
        "none",
        "--optim.schedule",
        "constant",
    ]
    _, err = train(capsys, "--data", "pairs.tsv", *SMALL, *wild, "-o", "run", "-q", status=4)
    assert err.startswith("sightline: error: step ")
    assert re.search(r"(loss|norm) is (nan|inf)", err)
    assert err.count("\n") == 1
    assert any(Path("run/checkpoints").iterdir())


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_a_run_whose_checkpoints_are_all_damaged_exits_2(
    place: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    train(capsys, "--data", "pairs.tsv", *SMALL, "-o", "run", "-q")
    for path in Path("run/checkpoints").iterdir():
        (path / name).write_bytes((path / name).read_bytes()[:-3])
    _, err = train(capsys, "--resume", "-o", "run", "-q", status=2)
    last = err.splitlines()[-1]
    assert last.startswith("sightline: error: run/checkpoints: no checkpoint here verifies")
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_exits_by_its_number(
    place: Path, capsys: pytest.CaptureFixture[str], number: int, status: int
) -> None:
    command = [sys.executable, "-m", "sightline", "train", "--data", "pairs.tsv", *SMALL[:-1], "1000000", "-o", "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: process.poll() is not None or [*Path("run").glob("checkpoints/step-*/MANIFEST.json")])
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status, err
    last = err.splitlines()[-1]
    result = re.fullmatch(r"sightline: error: run: stopped by SIG\w+ after step (\d+); the state is saved, .*", last)
    assert result, err
    step = int(result[1])
    assert Path(f"run/checkpoints/step-{step:06d}/MANIFEST.json").exists()
    assert Path("run/last/model.safetensors").exists()
    out, _ = train(capsys, "--resume", "-o", "run", "--max-steps", str(step + 2), "-q", "--json")
    assert json.loads(out)["steps"] == step + 2


@pytest.mark.slow
def test_a_run_stopped_while_its_speed_is_measured_can_be_resumed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A budget of 20 minutes is measured for half a minute before the first step."""
    command = [sys.executable, "-m", "sightline", "train", "--data", "pairs.tsv", *SMALL[:-2], "--budget", "20min"]
    process = subprocess.Popen([*command, "-o", "run"], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: process.poll() is not None or Path("run/metrics.jsonl").exists())
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    last = err.splitlines()[-1]
    assert last == "sightline: error: run: stopped by SIGINT after step 0; the state is saved, --resume continues"
    assert read_yaml(Path("run/config.yaml"))["budget"] == "20min"
    out, _ = train(capsys, "--resume", "-o", "run", "--budget", "0.2s", "-q", "--json")
    assert read_yaml(Path("run/config.yaml"))["budget"] == f"{json.loads(out)['steps']}steps"


SIZES = ["--model.d-model", "16", "--batch-tokens", "64", "--max-steps", "2", "--dry-run"]


def test_without_an_architecture_the_default_is_named_with_its_reason(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = train(capsys, "--data", "pairs.tsv", *SIZES, "--json")
    assert json.loads(out)["arch"] == "transformer"
    (line,) = [line for line in err.splitlines() if "architecture" in line]
    reason = "the highest BLEU on Multi30k (docs/results.md)"
    assert line == f"sightline: the architecture is transformer: {reason} (--arch chooses another)"
    assert "architecture" not in train(capsys, "--data", "pairs.tsv", *SIZES, "-q")[1]
    assert "architecture" not in train(capsys, "--data", "pairs.tsv", *SIZES, "--arch", "transformer")[1]


@pytest.mark.parametrize(
    ("data", "arch"),
    [
        ("builtin:digits?as=rows", "gru"),
        ("builtin:digits", "transformer"),
        ("text.txt", "lstm"),
        ("builtin:seasonal", "dlinear"),
    ],
)
def test_the_default_goes_by_the_kind_of_the_data(
    data: str, arch: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.txt").write_text("It was the best of times, it was the worst of times.\n" * 200, encoding="utf-8")
    out, err = train(capsys, "--data", data, "--max-steps", "2", "--dry-run", "--json")
    assert json.loads(out)["arch"] == arch
    assert f"the architecture is {arch}: " in err


@pytest.mark.parametrize(
    "flags",
    [
        ("--model.layers", "1"),
        ("--front-end.name", "series_patches"),
        ("--match", "params=20k"),
        ("--targets", "load", "--known-covariates", "holiday"),
    ],
)
def test_a_default_that_refuses_the_keys_gives_way(
    flags: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"2024-01-{1 + hour // 24:02}T{hour % 24:02}:00,{hour % 24},{hour // 24 % 7 > 4:d}" for hour in range(720)]
    Path("load.csv").write_text("\n".join(["time,load,holiday", *rows]) + "\n", encoding="utf-8")
    out, err = train(
        capsys, "--data", "load.csv", "--task", "forecasting", "--max-steps", "2", "--dry-run", "--json", *flags
    )
    assert json.loads(out)["arch"] == "transformer"
    assert "the architecture is transformer: dlinear does not take the keys that are set" in err


SERIES = ["--data", "builtin:seasonal", "--max-steps", "2", "--dry-run"]


@pytest.mark.parametrize("source", ["flag", "file", "environment"])
def test_keys_of_the_default_are_taken_without_its_name(
    source: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"flag": ["--model.moving-average", "9"], "file": ["-c", "my.yaml"], "environment": []}[source]
    Path("my.yaml").write_text("model: {moving_average: 9}\n")
    if source == "environment":
        monkeypatch.setenv("SIGHTLINE_MODEL__MOVING_AVERAGE", "9")
    _, err = train(capsys, *SERIES, *flags)
    assert "the architecture is dlinear: the lowest error" in err
    assert resolved(capsys, *SERIES[:-1], *flags)["model"]["moving_average"] == 9


def test_where_keys_fit_neither_the_error_is_that_of_the_default(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = train(capsys, *SERIES, "--model.moving-averag", "9", status=2)
    assert err == ("sightline: error: --model.moving-averag: unknown key, did you mean 'moving-average'?\n")
    _, err = train(capsys, *SERIES, "--optim.lrr", "9", status=2)
    assert err == "sightline: error: --optim.lrr: unknown key, did you mean 'lr'?\n"


def test_the_task_is_detected_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("load.csv").write_text("time,load\n" + "".join(f"2024-01-01T{h:02}:00,{h % 7}\n" for h in range(24)))
    _, err = train(capsys, "--data", "load.csv", "--lookback", "2", "--horizon", "1", "--max-steps", "2", "--dry-run")
    assert err.count("the task is forecasting") == 1


def test_the_default_goes_by_the_number_of_training_items(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (DefaultArch(20, "lstm", "few"), DefaultArch(100_000, "gru", "some"), DefaultArch(None, "rnn", "many"))
    monkeypatch.setitem(TRAINED, "translation", rows)
    counts = {19: "lstm", 20: "gru", 99_999: "gru", 100_000: "rnn"}
    assert {items: default_arch("translation", "", lambda n=items: n).arch for items in counts} == counts

    def chosen(*flags: str) -> tuple[str, str]:
        out, err = train(capsys, "--data", "pairs.tsv", *SIZES, *flags, "--json")
        return json.loads(out)["arch"], err

    arch, err = chosen()
    assert arch == "gru"
    assert "the architecture is gru: some (--arch chooses another)" in err
    assert chosen("--limit", "10")[0] == "lstm"
    monkeypatch.setenv("SIGHTLINE_ARCH", "linear")
    assert chosen()[0] == "linear"
    monkeypatch.delenv("SIGHTLINE_ARCH")
    arch, err = chosen("--model.heads", "2")  # no key of a GRU
    assert arch == "transformer"
    assert "the architecture is transformer: gru does not take the keys that are set" in err


def test_data_must_be_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = train(capsys, "--arch", "gru", "-q", status=2)
    assert err.startswith("sightline: error: --data: no data: give")
    _, err = train(capsys, "--resume", "-o", "runs/nothing", status=2)
    assert err.startswith("sightline: error: runs/nothing: no run to resume")
    assert not Path("runs").exists()


def test_notes_on_the_data_are_printed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("pairs.tsv", "valid.tsv")
    _, err = train(capsys, "--data", "pairs.tsv", "--valid", "valid.tsv", *SMALL, "--dry-run")
    assert "pairs.tsv" in err
