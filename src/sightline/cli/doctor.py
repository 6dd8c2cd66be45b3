"""`sightline doctor`: the machine's hardware, software and speed, with advice."""

from __future__ import annotations

from typing import Any


def doctor(*, json: bool = False) -> None:
    """Show the software, processor, memory, disk and measured speed of this machine, with advice.

    Takes about three seconds and changes nothing.

    Args:
        json: Print one JSON object with `schema_version` instead of lines.
    """
    from pathlib import Path

    from sightline import __version__
    from sightline.cli.messages import print_json
    from sightline.core.plugins import installed_plugins
    from sightline.lab.machine import inspect_machine

    facts = {"schema_version": 1, **inspect_machine(Path.cwd()), "sightline": __version__}
    facts["plugins"] = {
        name: f"{one.value}{f' of {one.dist.name} {one.dist.version}' if one.dist else ''}"
        for name, one in installed_plugins().items()
    }
    if json:
        print_json(facts)
    else:
        print("\n".join(_lines(facts)))


def _lines(facts: dict[str, Any]) -> list[str]:
    from sightline.lab.machine import OPTIONAL

    speed = facts["speed"]
    memory = "unknown" if facts["memory_bytes"] is None else f"{facts['memory_bytes'] / 2**30:.1f} GiB"
    rows = [
        ("sightline", f"{facts['sightline']}, Python {facts['python']}, torch {facts['packages']['torch']}"),
        ("system", facts["platform"]),
        ("processor", f"{facts['cpu']}; usable cores: {facts['granted_cores']}, torch threads: {facts['threads']}"),
        ("features", " ".join(facts["features"]) or "unknown"),
        ("memory", f"{memory}, {facts['disk_free_bytes'] / 2**30:.1f} GiB of disk free here"),
        ("GPU", ", ".join(facts["gpus"]) or "none available to torch"),
        (
            "float32",
            f"{speed['float32_gflops']:.0f} GFLOP/s ({speed['float32_one_thread_gflops']:.0f} with one thread)",
        ),
        ("bfloat16", f"{speed['bfloat16_gflops']:.0f} GFLOP/s"),
        ("copy", f"{speed['copy_gbps']:.0f} GB/s"),
        *((name, version or f"not installed ({OPTIONAL[name]})") for name, version in facts["optional"].items()),
        *(("plugin", f"{name} ({what}): loaded only by --plugin {name}") for name, what in facts["plugins"].items()),
        *(("advice", line) for line in facts["advice"]),
    ]
    return [f"{name:<13} {text}" for name, text in rows]
