"""Runs in memory where possible: a thousand syncs of a disk take long."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clock import Clock


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        yield Path(place)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that a training reads."""
    clock = Clock()
    for module in ("loop", "timing"):
        monkeypatch.setattr(f"sightline.training.{module}.time", clock)
    return clock
