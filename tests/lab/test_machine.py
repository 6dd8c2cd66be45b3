"""What `doctor` makes of a machine."""

from __future__ import annotations

import pytest

from sightline.lab.machine import advice, rate
from tests.clock import Clock

HEALTHY = {
    "threads": 4,
    "granted_cores": 4,
    "memory_bytes": 2**34,
    "disk_free_bytes": 2**36,
    "bfloat16_in_hardware": False,
    "speed": {"float32_gflops": 300.0, "float32_one_thread_gflops": 90.0, "bfloat16_gflops": 10.0},
}


def test_a_healthy_machine_gets_no_advice():
    assert advice(HEALTHY) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"threads": 64}, "OMP_NUM_THREADS=4"),
        ({"threads": 1}, "unset OMP_NUM_THREADS"),
        ({"memory_bytes": 2**30}, "4 GiB"),
        ({"disk_free_bytes": 2**20}, "disk"),
        ({"speed": {**HEALTHY["speed"], "float32_gflops": 91.0}}, "more threads do not increase the speed"),
        ({"speed": {**HEALTHY["speed"], "bfloat16_gflops": 900.0}}, "bfloat16 products are faster"),
        ({"bfloat16_in_hardware": True}, "not faster here"),
    ],
)
def test_each_shortcoming_gets_its_own_line(change, word):
    (line,) = advice({**HEALTHY, **change})
    assert word in line


def test_a_machine_that_does_not_tell_its_memory_is_not_blamed():
    assert advice({**HEALTHY, "memory_bytes": None}) == []


def test_a_rate_is_that_of_the_fastest_call_after_the_first(monkeypatch):
    clock, durations = Clock(), iter([0.25, 2.0, 0.5, 1.0, 0.25])

    def run():
        clock.now += next(durations)

    monkeypatch.setattr("sightline.lab.machine.time", clock)
    assert rate(run, work=3.0, seconds=3.25) == 3.0 / 0.5
    assert list(durations) == [0.25]  # 3.5 seconds were enough
