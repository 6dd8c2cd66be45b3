"""Energy counters, on a made-up tree of /sys/class/powercap: zones, wraps, and what is said if there are none."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sightline.core.errors import EnvironmentFault
from sightline.training import energy
from sightline.training.energy import NoEnergy, budget_meter, energy_meter, find_meter

RANGE = 262_143_328_850  # of a package, as Linux shows it


def zone(tree: Path, name: str, kind: str, energy: int = 0, most: int = RANGE) -> Path:
    place = tree / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text(f"{kind}\n")
    (place / "energy_uj").write_text(f"{energy}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")
    return place


def spend(place: Path, energy: int) -> None:
    (place / "energy_uj").write_text(f"{energy}\n")


def test_microjoules_of_a_package_are_joules(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    meter = energy_meter(powercap=tmp_path)
    assert meter.read() == 0.0
    spend(package, 43_500_000)
    assert meter.read() == pytest.approx(42.5)
    assert meter.sources == ["package-0"]


def test_a_counter_that_begins_again_loses_nothing(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 3_000_000)
    meter = energy_meter(powercap=tmp_path)
    spend(package, 2_000_000)
    assert meter.read() == pytest.approx(5.0)
    spend(package, 7_000_000)
    assert meter.read() == pytest.approx(10.0)
    spend(package, 1_000_000)  # once more
    assert meter.read() == pytest.approx((RANGE - 6_000_000) / 1e6 + 10.0)


def test_two_packages_and_their_memory_count_and_parts_of_a_package_do_not(tmp_path):
    counted = [
        zone(tmp_path, "intel-rapl:0", "package-0"),
        zone(tmp_path, "intel-rapl:1", "package-1"),
        zone(tmp_path, "intel-rapl:0:2", "dram", most=65_712_999_613),
    ]
    others = [
        zone(tmp_path, "intel-rapl:0:0", "core"),
        zone(tmp_path, "intel-rapl:0:1", "uncore"),
        zone(tmp_path, "intel-rapl:2", "psys"),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0"),
    ]
    meter = energy_meter(powercap=tmp_path)
    for place in counted:
        spend(place, 1_000_000)
    for place in others:
        spend(place, 90_000_000)
    assert meter.read() == pytest.approx(3.0)
    assert sorted(meter.sources) == ["dram", "package-0", "package-1"]


def test_the_platform_counts_where_no_package_is_shown(tmp_path):
    whole = zone(tmp_path, "intel-rapl:0", "psys")
    meter = energy_meter(powercap=tmp_path)
    spend(whole, 8_000_000)
    assert meter.read() == pytest.approx(8.0)


def test_a_machine_that_tells_nothing_says_what_was_looked_for(tmp_path):
    assert find_meter(powercap=tmp_path) is None
    with pytest.raises(NoEnergy, match=r"looked for .*/intel-rapl:\*/energy_uj \(none there\)"):
        energy_meter(powercap=tmp_path)
    with pytest.raises(EnvironmentFault) as caught:
        budget_meter("cpu", powercap=tmp_path)
    assert str(caught.value) == (
        f"--budget: joules cannot be measured here: no energy counters: looked for {tmp_path}/intel-rapl:*/energy_uj "
        "(none there); give a budget in seconds instead"
    )


def test_a_counter_that_only_root_may_read_is_named(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0")

    def denied(file: Path) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    monkeypatch.setattr(energy, "_number", denied)
    with pytest.raises(NoEnergy, match=r"intel-rapl:0/energy_uj: Permission denied; root can read it"):
        energy_meter(powercap=tmp_path)


def test_a_counter_that_is_no_number_is_named(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0")
    (package / "energy_uj").write_text("")
    with pytest.raises(NoEnergy, match=r"intel-rapl:0/energy_uj: invalid literal"):
        energy_meter(powercap=tmp_path)


class Refused(Exception):
    """NVML's error."""


def uuid(number: int) -> str:
    return f"{number:08x}-0000-0000-0000-000000000000"


def nvml(millijoules: list[int], *, works: bool = True) -> SimpleNamespace:
    """NVML counts all GPUs of the machine."""

    def consumed(handle: int) -> int:
        if not works:
            raise Refused("Not Supported")
        return millijoules[handle]

    return SimpleNamespace(
        NVMLError=Refused,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=[f"GPU-{uuid(number)}" for number in range(len(millijoules))].index,
        nvmlDeviceGetTotalEnergyConsumption=consumed,
    )


@pytest.fixture
def visible(monkeypatch) -> list[int]:
    """The GPUs of the machine that torch counts, by their numbers there: CUDA_VISIBLE_DEVICES."""
    numbers: list[int] = [0, 1]

    def properties(device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(uuid=uuid(numbers[device.index or 0]))

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    return numbers


@pytest.mark.parametrize(("seen", "device"), [([0, 1], "cuda:1"), ([1], "cuda"), ([1, 0], "cuda:0")])
def test_the_gpu_that_trains_counts_beside_the_processors(tmp_path, monkeypatch, visible, seen, device):
    package, millijoules = zone(tmp_path, "intel-rapl:0", "package-0"), [0, 5_000]
    visible[:] = seen
    monkeypatch.setitem(sys.modules, "pynvml", nvml(millijoules))
    meter = energy_meter(device, powercap=tmp_path)
    spend(package, 2_000_000)
    millijoules[:] = [100_000, 12_500]
    assert meter.read() == pytest.approx(2.0 + 7.5)
    assert meter.sources == ["package-0", "GPU"]


@pytest.mark.parametrize(
    ("module", "message"),
    [(None, r"sightline\[energy\]"), (nvml([0], works=False), "NVML says Not Supported")],
    ids=["no package", "no counter"],
)
def test_a_gpu_that_tells_nothing_is_no_meter(tmp_path, monkeypatch, visible, module, message):
    zone(tmp_path, "intel-rapl:0", "package-0")
    monkeypatch.setitem(sys.modules, "pynvml", module)
    with pytest.raises(NoEnergy, match=message):
        energy_meter("cuda", powercap=tmp_path)
