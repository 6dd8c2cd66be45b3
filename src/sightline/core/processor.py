"""The system's facts about the processor."""

from __future__ import annotations


def cpuinfo(key: str) -> str:
    """The first value of `key` in /proc/cpuinfo; "" if there is none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
    except OSError:
        return ""
