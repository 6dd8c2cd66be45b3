from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from sightline.training.progress import reporting, span
from sightline.training.state import Progress
from tests.clock import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at(step: int, validating: bool = False) -> Progress:
    metric = 0.5 if step > 50 else None
    return Progress(step, 2.0, metric, 1000.0, step / 100, step * 0.1, 10 - step * 0.1, 1e-3, validating, named="bleu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the lines are timed by."""
    clock = Clock()
    monkeypatch.setattr("sightline.training.progress.time", clock)
    return clock


def test_plain_lines_every_tenth_of_the_budget(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting() as show:
        assert show is not None
        for step in range(1, 101):
            show(at(step))
            show(at(step, validating=True))
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "sightline: step 10 · 10 % · loss 2.000 · 1,000 tokens/s · 9 s left"
    assert lines[-1] == "sightline: step 100 · 100 % · loss 2.000 · validation bleu 0.5000 · 1,000 tokens/s · 0 s left"
    assert "\x1b" not in printed.err
    assert printed.out == ""


def test_plain_lines_every_ten_seconds_of_a_slow_training(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting() as show:
        assert show is not None
        for step in range(1, 9):
            clock.now += 4.0
            show(at(step))
    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == ["3", "6"]


def test_small_losses_are_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting() as show:
        assert show is not None
        show(replace(at(60), loss=0.0004321, metric=0.00012346, named="mse"))
    assert "loss 0.0004321 · validation mse 0.0001235" in capsys.readouterr().err


def test_a_live_display_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with reporting() as show:
        assert show is not None
        show(at(60))
        show(at(60, validating=True))
    assert "\x1b[" in stream.getvalue()
    assert "loss 2.000" in stream.getvalue()
    assert "validating" in stream.getvalue()


def test_quiet_is_nothing() -> None:
    with reporting(quiet=True) as show:
        assert show is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.0, "59 s"), (185.0, "3 min 05 s"), (7805.0, "2 h 10 min")]
)
def test_spans_are_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text
