"""The directory of a comparison, a ladder or claims belongs to one process at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightline.cli.app import main
from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.files import LOCK
from sightline.lab.directory import PLAN, name_of_data, occupied
from tests.waiting import PATIENCE_S, wait_until

HOLDER = """
import sys
from pathlib import Path
from sightline.lab.directory import occupied
with occupied(Path(sys.argv[1]), overwrite=True):
    print("in", flush=True)
    sys.stdin.read()
"""
INSTEAD = "wait until it ends, or choose another directory"


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the directory `out`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    yield process
    process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("verb", ["compare", "ladder", "scale", "claims"])
def test_a_second_process_is_refused_in_one_line(
    holder: subprocess.Popen[str], verb: str, overwrite: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the directory is not empty: "add --resume" would not help yet."""
    out = tmp_path / "out"
    (out / "figures").mkdir()
    data = {"claims": [], "ladder": ["builtin:dates"]}.get(verb, ["--data", "builtin:dates"])
    assert main([verb, *data, "-o", str(out), *(["--overwrite"] if overwrite else [])]) == 3
    place = f"process {holder.pid} on host {os.uname().nodename}"
    assert capsys.readouterr() == ("", f"sightline: error: {out}: in use by {place}: {INSTEAD}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert sorted(path.name for path in out.iterdir()) == [LOCK, "figures"]


def test_the_lock_of_a_killed_process_keeps_nobody_out(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(EnvironmentFault, match=f"in use by process {holder.pid} on host"):
        occupied(out, overwrite=False).__enter__()
    holder.kill()
    assert holder.wait(PATIENCE_S) == -signal.SIGKILL
    assert (out / LOCK).read_text().startswith(f"process {holder.pid} ")
    with occupied(out, overwrite=False):
        assert (out / LOCK).read_text().startswith(f"process {os.getpid()} ")


def test_a_thread_may_keep_what_it_has_and_another_may_not(tmp_path: Path) -> None:
    """A ladder keeps its directory, and so does the comparison in it."""
    out, refused = tmp_path / "a" / "out", []

    def other() -> None:
        with pytest.raises(EnvironmentFault, match=f"in use by process {os.getpid()} "):
            occupied(out, overwrite=True).__enter__()
        refused.append(True)

    with occupied(out, overwrite=False):
        with occupied(Path(os.path.relpath(out)), overwrite=False):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == [True]


def test_a_directory_into_which_nothing_came_is_removed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "a" / "b", tmp_path / "empty"):
        with pytest.raises(InputError, match="wrong"), occupied(out, overwrite=False):
            raise InputError("wrong")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []
    with occupied(tmp_path / "a" / "b", overwrite=False):
        (tmp_path / "a" / "b" / PLAN).touch()
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [LOCK, PLAN]


def test_a_strangers_directory_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"contains 'thesis\.tex'"):
        occupied(tmp_path, overwrite=True).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_of_two_comparisons_in_a_directory_one_is_refused_and_after_a_kill_one_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, pairs = tmp_path / "out", tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{i}\t{-i}\n" for i in range(60)))
    shape = ["--archs", "gru", "--seeds", "1", "--search", "0", "--model.d_model", "16", "--quiet"]
    command = ["compare", "--data", str(pairs), "-o", str(out), *shape, "--resume", "--budget"]
    first = subprocess.Popen([sys.executable, "-m", "sightline", *command, "100000steps"], stderr=subprocess.DEVNULL)
    wait_until((out / "runs" / "gru-seed0" / "metrics.jsonl").exists)
    assert main([*command, "100000steps"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert f"{out}: in use by process {first.pid} " in captured.err
    first.kill()
    first.wait(PATIENCE_S)
    assert main([*command, "6steps"]) == 2  # not locked any more: the budget is what is wrong
    assert "the comparison began with --budget 100000steps" in capsys.readouterr().err
    assert main([*command[:-2], "--overwrite", "--budget", "6steps"]) == 0


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("in/pairs.tsv.gz", "pairs"),
        ("a.de,a.en", "a"),
        ("builtin:dates?size=9", "dates"),
        ("texts/", "texts"),
        ("texts/*.txt", "texts"),
        ("src/**/*.py", "src"),
        ("../texts/[ab]?.md", "texts"),
        ("*.txt", "data"),
        ("/*.txt", "data"),
        ("..", "data"),
        (".hidden", "data"),
    ],
)
def test_a_directory_that_is_named_for_data_is_one_that_no_shell_takes_for_others(data: str, name: str) -> None:
    assert name_of_data(data) == name
