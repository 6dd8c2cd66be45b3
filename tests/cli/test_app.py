"""The command's frame: its start-up time, its error messages and its exit statuses."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import subprocess
import sys

import pytest
from cyclopts import App

import sightline
from sightline.cli import app as frame
from sightline.cli.architectures import ARCHITECTURES
from sightline.core.errors import CheckFailed, Diverged, EnvironmentFault, InputError, Interrupted


def run(*arguments, **options):
    command = [sys.executable, "-m", "sightline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def processor_time(*arguments):
    """Seconds of processor time of a Python process, the least of three."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


@pytest.mark.slow
def test_help_takes_little_more_processor_time_than_the_import_of_its_parser():
    assert processor_time("-m", "sightline", "--help") < 5 * processor_time("-c", "import cyclopts")


def test_help_names_every_verb_and_imports_neither_torch_nor_a_verb():
    code = (
        "import sys; from sightline.cli.app import COMMANDS, main; status = main(['--help']); "
        "heavy = {'torch', 'numpy', 'polars', 'matplotlib', *(f'sightline.cli.{verb}' for verb in COMMANDS)}; "
        "sys.exit(status or ', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for verb in frame.COMMANDS:
        assert f" {verb} " in done.stdout


@pytest.mark.slow
def test_a_verb_s_help_imports_no_torch():
    code = (
        "import sys\nfrom sightline.cli.app import COMMANDS, main\nfor verb in COMMANDS:\n"
        "    assert main([verb, '--help']) == 0\n    assert 'torch' not in sys.modules, verb"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^Usage: sightline (\S+)", done.stdout, re.MULTILINE) == list(frame.COMMANDS)


def test_the_help_of_a_verb_shows_its_whole_docstring_in_80_columns():
    lines = run("train", "--help", env={**os.environ, "COLUMNS": "80"}).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).replace("│", " ").split())
    assert "Every other key is a flag too, with dots between levels, such as --optim.lr 3e-4" in text
    assert f"Architecture: {', '.join(ARCHITECTURES)}." in text


def test_the_version_is_the_package_s():
    assert run("--version").stdout == f"sightline {sightline.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["comprae"], "unknown command 'comprae', did you mean 'compare'?"),
        (["zzz"], "unknown command 'zzz'; known: demo, train, "),
        (["--seeds", "3"], "unknown flag --seeds: flags go after the command"),
        (["-x"], "unknown flag -x: flags go after the command"),
        (["doctor", "--jsn"], "unknown option: --jsn. Did you mean --json?"),
        (["doctor", "--zzz"], "unknown option: --zzz."),
        (["doctor", "-q"], "unknown option: -q."),
        (["doctor", "extra"], "unexpected argument 'extra'"),
        (["doctor", "--json=maybe"], "--json: expected true or false, found 'maybe'"),
        (["doctor", "a\x1b[31mb\u202e"], "unexpected argument 'a\\x1b[31mb\\u202e'"),
        (["doctor", ""], "unexpected argument ''"),
    ],
    ids=lambda value: " ".join(value).encode("unicode_escape").decode() if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_one_line_and_status_2(arguments, message, capsys):
    assert frame.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sightline: error: {message}")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()


def failing(monkeypatch, error):
    def build(arguments):
        app = App(
            result_action="return_value", print_error=False, exit_on_error=False, suppress_keyboard_interrupt=False
        )

        @app.default
        def fail():
            raise error

        return app

    monkeypatch.setattr(frame, "build", build)
    return frame.main([])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            InputError("expected 2 columns, found 3", where="pairs.tsv:17"),
            2,
            "error: pairs.tsv:17: expected 2 columns, found 3",
        ),
        (EnvironmentFault("runs/x: in use by process 7"), 3, "error: runs/x: in use by process 7"),
        (Diverged("the loss is NaN at step 3"), 4, "error: the loss is NaN at step 3"),
        (CheckFailed("gru: causality"), 5, "error: gru: causality"),
        (Interrupted("saved", signal_number=15), 143, "error: saved"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 3, "error: runs/x: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "kept/x"), 3, "error: kept/x: Permission denied"),
        (MemoryError(), 3, "error: out of memory: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 3, "error: out of memory: "),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "error: FileNotFoundError: "),
        (KeyError("x"), 1, "error: KeyError: 'x' (internal error; set SIGHTLINE_TRACEBACK=1 for a traceback)"),
        (InputError("must be 1", where="--model.d_model"), 2, "error: --model.d-model: must be 1"),
        (InputError("no such file", where="a/--x_y.tsv"), 2, "error: a/--x_y.tsv: no such file"),
        (InputError("two\nlines and \x1b]0;title\x07"), 2, "error: two lines and \\x1b]0;title\\x07"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_one_line_with_its_own_status(monkeypatch, capsys, error, status, line):
    assert failing(monkeypatch, error) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sightline: {line}")
    assert err.count("\n") == 1


def test_a_traceback_is_printed_on_request(monkeypatch, capsys):
    monkeypatch.setenv("SIGHTLINE_TRACEBACK", "1")
    assert failing(monkeypatch, KeyError("x")) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_status_that_a_verb_returns_or_exits_with_is_kept(monkeypatch):
    assert failing(monkeypatch, SystemExit(7)) == 7
    assert failing(monkeypatch, SystemExit()) == 0
    assert failing(monkeypatch, SystemExit("text")) == 1


def test_a_closed_pipe_is_not_an_error():
    code = (
        "import sys; from sightline.cli import app; app.build = lambda _: lambda *_, **__: print('x' * 10**6); "
        "sys.exit(app.main([]))"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([sys.executable, "-c", code], stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


def test_both_modules_run_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "sightline.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == run("--version").stdout


@pytest.mark.slow
def test_doctor_prints_the_same_facts_as_text_and_as_json():
    facts = json.loads(run("doctor", "--json").stdout)
    assert facts["schema_version"] == 1
    assert facts["sightline"] == sightline.__version__
    assert facts["cores"] == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    assert facts["speed"]["float32_gflops"] > 0
    lines = run("doctor").stdout.splitlines()
    assert (
        lines[0] == f"sightline     {facts['sightline']}, Python {facts['python']}, torch {facts['packages']['torch']}"
    )
    assert any(line.startswith("memory ") for line in lines)
