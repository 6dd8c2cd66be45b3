"""How busy other programs keep the processor cores that a comparison may use. Imports no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

IDLE = (3, 4)  # the places of idle and iowait in a line of /proc/stat


@final
@dataclass(frozen=True)
class Counters:
    """Seconds since some start: of the clock, of busy cores, and of this program with the processes that it ended."""

    clock_s: float
    busy_s: float
    own_s: float


def read_counters() -> Counters | None:
    """The counters now; None where the system does not say."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        cores, tick = os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    own = os.times()
    own_s = own.user + own.system + own.children_user + own.children_system
    return Counters(time.monotonic(), busy_ticks(lines, cores) / tick, own_s)


def busy_ticks(lines: Iterable[str], cores: Iterable[int]) -> int:
    """The ticks in which the cores worked, for this machine or for others on it, by the lines of /proc/stat."""
    names = {f"cpu{core}" for core in cores}
    total = 0
    for line in lines:
        name, *fields = line.split()
        if name in names:
            ticks = [int(field) for field in fields[:8]]  # guests' time is in that of users
            total += sum(ticks) - sum(ticks[place] for place in IDLE)
    return total


@final
class OthersLoad:
    """Measures the cores that other programs kept busy, from its creation on."""

    def __init__(self, read: Callable[[], Counters | None] = read_counters) -> None:
        self._read, self._before = read, read()

    def cores(self) -> float | None:
        """Their number on average, once all processes that this program started have ended; None where unknown."""
        before, now = self._before, self._read()
        if before is None or now is None or now.clock_s <= before.clock_s:
            return None
        busy, own = now.busy_s - before.busy_s, now.own_s - before.own_s
        return max(busy - own, 0.0) / (now.clock_s - before.clock_s)
