"""Checkpoints are whole or absent, and nothing in them is trusted before its hash is checked."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.core.errors import EnvironmentFault, InputError, exit_status
from sightline.core.files import replace_directory
from sightline.training import TrainResult, train
from sightline.training.checkpoint import FILES, Checkpoints, load
from tests.training import toy


def run_toy(run: Path, budget: str = "20steps", **options: Any) -> TrainResult:
    model = toy.Toy()
    options = {"validate": toy.validate, "save_model": toy.save_to(model), **options}
    return train(model, toy.objective, toy.batches(), toy.config(budget, keep=3), run, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    run_toy(run)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run with checkpoints at steps 0, 10 and 20, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def newest(run: Path) -> Path:
    return run / "checkpoints" / "step-000020"


def test_keeps_the_newest(finished: Path) -> None:
    assert [step for step, _ in Checkpoints(finished / "checkpoints").steps()] == [0, 10, 20]


def test_order_is_by_step_not_by_time_or_name(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (999_999, 1_000_000, 1_000_001):
        (tmp_path / f"step-{step:06d}").mkdir()
        os.utime(tmp_path / f"step-{step:06d}", (0, 2_000_000_000 - step))
    (tmp_path / "step-000007.tmp").mkdir()
    (tmp_path / "notes").mkdir()
    assert [step for step, _ in checkpoints.steps()] == [999_999, 1_000_000, 1_000_001]


@pytest.mark.parametrize("name", [*FILES, "MANIFEST.json"])
def test_any_changed_byte_and_any_truncation_is_noticed(run: Path, name: str) -> None:
    path = newest(run) / name
    whole = path.read_bytes()
    places = {0, 7, 8, len(whole) // 2, len(whole) - 1}
    for place in places:
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=r"damaged|not valid JSON|not the manifest|must list|not a JSON"):
                load(newest(run), 20)
    path.write_bytes(whole)
    assert load(newest(run), 20).step == 20


@pytest.mark.parametrize("damage", ["truncated", "missing", "swapped", "no manifest", "directory"])
def test_falls_back_loudly_to_the_one_before(run: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = newest(run) / "optimizer.safetensors"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "missing":
        path.unlink()
    elif damage == "swapped":
        shutil.copy(run / "checkpoints" / "step-000010" / path.name, path)
    elif damage == "no manifest":
        (newest(run) / "MANIFEST.json").unlink()
    else:
        path.unlink()
        path.mkdir()
    whole = (newest(run) / "model.safetensors").read_bytes()
    with caplog.at_level(logging.WARNING, logger="sightline"):
        result = run_toy(run, resume=True)
    assert "falling back to the checkpoint before it" in caplog.text
    assert "step-000020" in caplog.text
    assert result.steps == 20
    assert load(newest(run), 20).step == 20  # written again, over the damaged one
    assert (newest(run) / "model.safetensors").read_bytes() == whole


def test_when_none_verifies_the_run_is_refused_and_left_alone(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        (path / "state.json").write_text("{}")
    before = sorted(run.rglob("*"))
    with pytest.raises(InputError, match="no checkpoint here verifies; start again with --overwrite"):
        run_toy(run, resume=True)
    assert [path for path in sorted(run.rglob("*")) if path.name != ".lock"] == [p for p in before if p.name != ".lock"]


BOMBED = Path(tempfile.gettempdir(), "sightline-bomb")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {BOMBED}",)


@pytest.mark.parametrize("kind", ["pickle", "torch zip"])
def test_a_pickle_is_refused_unread_even_with_a_true_manifest(run: Path, tmp_path: Path, kind: str) -> None:
    path = newest(run) / "model.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"weights": Bomb()}, path)
    resign(newest(run))
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file but a pickle or an archive"):
        load(newest(run), 20)
    assert not BOMBED.exists()


def resign(directory: Path) -> None:
    """A manifest that matches the damaged files, as a forger would write."""
    checkpoints = Checkpoints(directory.parent.parent / "forged", keep=1)
    saved = checkpoints.save(20, {name: (directory / name).read_bytes() for name in FILES})
    shutil.rmtree(directory)
    shutil.copytree(saved, directory)


def test_links_and_names_outside_are_refused(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    path = newest(run) / "model.safetensors"
    shutil.move(path, outside)
    path.symlink_to(outside)
    with pytest.raises(InputError, match="not a regular file"):
        load(newest(run), 20)
    manifest = newest(run) / "MANIFEST.json"
    listed = json.loads(manifest.read_text())
    listed["files"]["../../../outside.safetensors"] = listed["files"].pop("model.safetensors")
    manifest.write_text(json.dumps(listed))
    with pytest.raises(InputError, match="must list"):
        load(newest(run), 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.update(format=99), "not a training state of format 1"),
        (lambda state: state["state"].update(cursor="here"), r"state\.json: state\.cursor: expected a list"),
        (lambda state: state["state"]["spent"].update(steps=None), r"state\.spent\.steps: expected an integer"),
        (lambda state: state["state"].update(extra=1), r"state\.extra: unknown key"),
        (lambda state: state.pop("config"), "missing key 'config'"),
        (lambda state: state["config"].update(seed=7), "seed was 7 when the run began, now 0"),
    ],
)
def test_a_state_of_another_kind_is_refused(run: Path, change: Any, message: str) -> None:
    path = newest(run) / "state.json"
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))
    resign(newest(run))
    with pytest.raises(InputError, match=message):
        run_toy(run, resume=True)


def test_a_model_of_other_sizes_is_refused_by_tensor(run: Path) -> None:
    model = toy.Toy()
    model.norm = torch.nn.LayerNorm(4)
    with pytest.raises(InputError, match=r"tensor 'norm.weight' is \(8,\).* in the checkpoint, \(4,\)"):
        train(model, toy.objective, toy.batches(), toy.config("20steps"), run, resume=True)
    model = toy.Toy()
    model.more = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"the checkpoint has no tensor 'more\.weight'"):
        train(model, toy.objective, toy.batches(), toy.config("20steps"), run, resume=True)


os_mkdir = os.mkdir


class Failing:
    """Fails the `number`-th call of a function of `os` that changes something, with `code`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
        self.seen, self.number, self.code = 0, number, code
        for name in ("mkdir", "open", "write", "fsync", "rename", "replace"):
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, original: Any) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            self.seen += not (original is os_mkdir and Path(arguments[0]).exists())  # that fails anyhow
            if self.seen == self.number:
                raise OSError(self.code, os.strerror(self.code), str(arguments[0]))
            return original(*arguments, **options)

        return wrapped


def fault(checkpoints: Checkpoints, files: dict[str, bytes]) -> EnvironmentFault | None:
    """The error from saving step 30."""
    try:
        checkpoints.save(30, files)
    except EnvironmentFault as error:
        return error
    return None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_fault_at_any_write_leaves_the_old_checkpoint(finished: Path, tmp_path: Path, code: int) -> None:
    before = {name: (newest(finished) / name).read_bytes() for name in FILES}
    number, complete = 0, False
    while not complete:
        number += 1
        run = Path(shutil.copytree(finished, tmp_path / f"run-{number}"))
        checkpoints = Checkpoints(run / "checkpoints", keep=2)
        with pytest.MonkeyPatch.context() as patch:
            failing = Failing(patch, number, code)
            error = fault(checkpoints, before)
            complete = failing.seen < number
        if not complete:
            assert exit_status(error) == 3
            assert "step-000030" in str(error)
            needed = f"{sum(map(len, before.values())):,} bytes are needed"
            assert (needed in str(error)) == (code == errno.ENOSPC)
        assert [path.name for path in run.glob("checkpoints/*.tmp")] == []
        assert {name: (newest(run) / name).read_bytes() for name in FILES} == before
        result = checkpoints.newest()
        assert result is not None
        assert result.step in (20, 30)
        shutil.rmtree(run)
    assert number > 15


def test_what_a_kill_leaves_of_an_old_checkpoint_is_removed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(run / "checkpoints", keep=1)

    def killed(path: Path) -> None:
        (path / "MANIFEST.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.prune()
    assert all((path / "MANIFEST.json").exists() for _, path in checkpoints.steps())
    checkpoints.clean()
    checkpoints.prune()
    assert [path.name for path in checkpoints.directory.iterdir()] == [newest(run).name]


def test_the_checkpoint_in_use_is_not_removed(run: Path) -> None:
    checkpoints = Checkpoints(run / "checkpoints", keep=1)
    _, used = checkpoints.steps()[0]
    checkpoints.prune(used)
    assert [path for _, path in checkpoints.steps()] == [used, newest(run)]


@pytest.mark.parametrize("sharded", [False, True])
def test_what_was_just_saved_is_not_removed_for_a_newer_damaged_one(tmp_path: Path, sharded: bool) -> None:
    """Falling back from a damaged checkpoint 500 to 400, with a lower `--keep` than before."""
    files = dict.fromkeys(FILES, b"content")
    for step in (400, 500):
        Checkpoints(tmp_path, keep=2).save(step, files)
    (tmp_path / "step-000500" / "MANIFEST.json").unlink()
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step in (450, 460):
        if sharded:
            with checkpoints.writing(step) as beside:
                for name, content in files.items():
                    (beside / name).write_bytes(content)
        else:
            checkpoints.save(step, files)
        assert [number for number, _ in checkpoints.steps()] == [step, 500]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(path: Path) -> None:
    """Writes until the disk is full."""
    with path.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 512)


def test_a_full_disk_exits_3_and_keeps_the_old_checkpoint(small_disk: Path) -> None:
    run = small_disk / "run"
    run_toy(run, "10steps")
    fill(small_disk / "filler")
    with pytest.raises(EnvironmentFault) as caught:
        run_toy(run, resume=True)
    assert exit_status(caught.value) == 3
    assert str(run) in str(caught.value)
    assert "No space left on device" in str(caught.value)
    result = Checkpoints(run / "checkpoints").newest()
    assert result is not None
    assert result.step == 10
    (small_disk / "filler").unlink()
    assert run_toy(run, resume=True).steps == 20


def test_a_disk_too_small_from_the_start_fails_before_training(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 250 * 1024)
    steps = 0

    def counted(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        return toy.objective(*arguments)

    with pytest.raises(EnvironmentFault, match="bytes are needed"):
        train(toy.Toy(), counted, toy.batches(), toy.config("10steps"), small_disk / "run")
    assert steps == 0
    assert [path.name for path in (small_disk / "run").iterdir()] == [".lock"]


def test_contents_reach_the_disk_before_names_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill does not show what a power cut would: the order of syncs and renames does."""
    events: list[tuple[str, str]] = []
    names: dict[int, str] = {}
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename")}

    def opened(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = real["open"](path, *arguments, **options)
        names[descriptor] = str(path)
        return descriptor

    def wrote(descriptor: int, content: Any) -> int:
        events.append(("write", names[descriptor]))
        return real["write"](descriptor, content)

    def synced(descriptor: int) -> None:
        events.append(("sync", names[descriptor]))
        real["fsync"](descriptor)

    def renamed(old: Any, new: Any) -> None:
        events.append(("rename", str(new)))
        real["rename"](old, new)

    for name, function in (("open", opened), ("write", wrote), ("fsync", synced), ("rename", renamed)):
        monkeypatch.setattr(os, name, function)
    Checkpoints(tmp_path, keep=1).save(5, dict.fromkeys(FILES, b"content"))
    target, beside = str(tmp_path / "step-000005"), str(tmp_path / "step-000005.tmp")
    assert events[-2:] == [("rename", target), ("sync", str(tmp_path))]
    written = [f"{beside}/{name}" for name in (*FILES, "MANIFEST.json")]
    assert [event for event in events if event[0] == "write"] == [("write", name) for name in written]  # manifest last
    for name in written:
        assert events.index(("sync", name)) > events.index(("write", name))
    assert events.index(("sync", beside)) > events.index(("sync", written[-1]))
    assert events.index(("sync", beside)) < events.index(("rename", target))


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_replacing_a_directory_leaves_the_new_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr("sightline.core.files._exchange", lambda a, b: False)
    for name in ("first", "second"):
        (tmp_path / "best.tmp").mkdir()
        (tmp_path / "best.tmp" / name).write_text(name)
        replace_directory(tmp_path / "best.tmp", tmp_path / "best")
        assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["best", f"best/{name}"]
