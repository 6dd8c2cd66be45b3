"""The energy that the machine says it has used: of its processors (RAPL) and of an NVIDIA GPU (NVML).

Imports no torch, except where a GPU is asked for.

Linux shows RAPL's counters under /sys/class/powercap, microjoules in `energy_uj`, which begin again at zero after
`max_energy_range_uj`. Those of processor packages count the whole package, idle power and other programs included, and
its memory where there is a zone `dram`. NVML counts millijoules of one GPU since its driver was loaded (from Volta on).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, final

from sightline.core.errors import EnvironmentFault

POWERCAP = Path("/sys/class/powercap")
MICRO, MILLI = 1e-6, 1e-3

Counter = Callable[[], float]  # joules so far


@final
class NoEnergy(Exception):
    """The machine does not tell its energy; the message says where it was looked for."""


@final
class Powercap:
    """The joules of one RAPL zone, over any number of wraps if it is read before each next one."""

    def __init__(self, zone: Path) -> None:
        """Raises `OSError` where the counter cannot be read."""
        self._counter = zone / "energy_uj"
        self._range = _number(zone / "max_energy_range_uj")
        self._last, self._total = _number(self._counter), 0

    def __call__(self) -> float:
        """Joules since the beginning."""
        now = _number(self._counter)
        self._total += now - self._last + (self._range if now < self._last else 0)
        self._last = now
        return MICRO * self._total


@final
class EnergyMeter:
    """The joules of several counters together since it was made; `sources` names them."""

    def __init__(self, counters: Sequence[Counter], sources: Sequence[str]) -> None:
        self._counters, self.sources = list(counters), list(sources)
        self._began = [counter() for counter in self._counters]

    def read(self) -> float:
        """Joules since the beginning. Read it every few minutes: a counter may wrap only once in between."""
        return sum(counter() - began for counter, began in zip(self._counters, self._began, strict=True))


def energy_meter(device: str = "cpu", *, powercap: Path | None = None) -> EnergyMeter:
    """The meter of a training on a device: its GPU's counter, where it is one, and those of the processors.

    Raises:
        NoEnergy: "no energy counters: looked for /sys/class/powercap/intel-rapl:*/energy_uj (none there) …".
    """
    counters: list[Counter] = []
    sources: list[str] = []
    powercap = powercap or POWERCAP
    zones = _zones(powercap)
    missing = f"looked for {powercap}/intel-rapl:*/energy_uj ({'not readable' if zones else 'none there'})"
    for zone in zones:
        try:
            counters.append(Powercap(zone))
            sources.append(_name(zone))
        except (OSError, ValueError) as error:
            hint = "; root can read it" if isinstance(error, PermissionError) else ""
            missing = f"{zone / 'energy_uj'}: {getattr(error, 'strerror', None) or error}{hint}"
    if device.startswith("cuda"):
        counters.append(_gpu_counter(device))  # a GPU without a counter would make the others mean little
        sources.append("GPU")
    if not counters:
        raise NoEnergy(f"no energy counters: {missing}")
    return EnergyMeter(counters, sources)


def find_meter(device: str = "cpu", *, powercap: Path | None = None) -> EnergyMeter | None:
    """`energy_meter`, or None where the machine does not tell."""
    try:
        return energy_meter(device, powercap=powercap)
    except NoEnergy:
        return None


def budget_meter(device: str, *, powercap: Path | None = None) -> EnergyMeter:
    """`energy_meter` for a budget in joules.

    Raises:
        EnvironmentFault: "--budget: joules cannot be measured here: no energy counters: looked for …: give seconds".
    """
    try:
        return energy_meter(device, powercap=powercap)
    except NoEnergy as error:
        message = f"--budget: joules cannot be measured here: {error}; give a budget in seconds instead"
        raise EnvironmentFault(message) from error


def _zones(powercap: Path) -> list[Path]:
    """The zones that count energy once: packages with their memory; the whole platform only if there is none.

    Below a package `core` and `uncore` are parts of it, `dram` is not; `intel-rapl-mmio` repeats packages.
    """
    zones = sorted(powercap.glob("intel-rapl:*"))
    top = [zone for zone in zones if zone.name.count(":") == 1]
    packages = [zone for zone in top if _name(zone).startswith("package")]
    memory = [zone for zone in zones if zone.name.count(":") == 2 and _name(zone) == "dram"]
    return [*packages, *memory] or [zone for zone in top if _name(zone) == "psys"]


def _gpu_counter(device: str) -> Counter:
    """The joules of a GPU, by its UUID: NVML numbers all GPUs of the machine, torch those of CUDA_VISIBLE_DEVICES."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:
        raise NoEnergy("no energy counters: looked for NVML (pip install 'sightline[energy]')") from None
    import torch

    uuid = torch.cuda.get_device_properties(torch.device(device)).uuid
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError as error:
        raise NoEnergy(f"no energy counters: NVML says {error}") from error
    return lambda: MILLI * float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
