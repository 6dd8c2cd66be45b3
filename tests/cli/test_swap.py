"""`sightline swap`: flags as settings, and what it prints."""

from __future__ import annotations

import pytest

from sightline.cli.app import main
from sightline.lab.swap import run as swap_run
from tests.report.synthetic_swap import make_swap


@pytest.fixture
def called(monkeypatch):
    """The arguments of the swap, which gives made-up results instead."""
    calls = []

    def swap(run, out_dir, config, **how):
        calls.append((run, out_dir, config))
        return make_swap()

    monkeypatch.setattr(swap_run, "run_swap", swap)
    return calls


def test_settings_of_the_mechanism_are_flags(called, capsys, tmp_path):
    flags = ["--to", "window", "--to.window", "64", "--layers", "1,3", "--to.key-heads", "2", "--tune-steps", "7"]
    assert main(["swap", "runs/lm", *flags, "-o", str(tmp_path / "out")]) == 0
    ((_, out_dir, config),) = called
    assert (config.target, config.layers, config.settings) == ("window", "1,3", {"window": "64", "key_heads": "2"})
    assert config.plan.tune_steps == 7
    assert out_dir == tmp_path / "out"
    printed = capsys.readouterr().out
    assert printed.startswith("Layer 1 can become linear")
    assert printed.rstrip().endswith(f"page: {out_dir / 'swap.html'}")


def test_the_table_has_a_line_for_each_row(called, capsys):
    assert main(["swap", "runs/lm", "--to", "linear", "-q"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "nothing 2.010" in lines
    assert "layer 2 lost +0.120 [+0.100, +0.140] 2.100 2.320 3.020 131 kB 0.92" in lines
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--to", "window", "--window", "64"], "--window: unknown flag; settings of the mechanism are --to.NAME"),
        ([], "--to"),
        (["--to", "window", "--tune-lr", "0"], "--tune-lr: must be positive, found 0.0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(called, capsys, flags, message):
    assert main(["swap", "runs/lm", *flags]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert called == []
