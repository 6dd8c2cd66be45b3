"""A watched training made up, with as many layers as a page must bear."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

STEPS = [1, 2, 4, 8, 16, 32, 60, 110, 200, 300, 420, 600, 800, 1000]
DISTANCES = [0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32]


def look(step: int, layers: int, gates: bool) -> dict[str, Any]:
    attention = []
    for layer in range(layers):
        sharp = (1 - 0.06 * layer) / (1 + math.exp(-(math.log(step) - 3 - layer / 4)))
        middle = 0.98 - 0.9 * sharp
        quartiles = [max(middle - 0.06, 0.0), middle, min(middle + 0.05, 1.0)]
        attention.append(
            {"layer": f"mixer.mixers.{layer}.mixer", "over": "self", "entropy": quartiles,
             "largest": [1.02 - q for q in reversed(quartiles)],
             "gradient": [0.02 + 0.4 * q * (1.05 - q) for q in quartiles]}
        )  # fmt: skip
    shares = [
        {
            "layer": f"mixer.mixers.{layer}",
            "of": gate,
            "low": 0.01 * layer,
            "high": 0.5 * step / (step + 90.0 + 40 * place),
        }
        for layer in range(2 * gates)
        for place, gate in enumerate(("input", "forget", "output"))
    ]
    matrices = [{**one, "largest": 1 + one["high"], "radius": 1 - one["high"] / 4} for one in shares]
    reach = [3 * math.exp(-k / (1 + step / 40)) for k in DISTANCES]
    return {
        "event": "watch", "steps": step, "tokens": 100 * step, "seconds": 0.1 * step, "watch_s": 0.2,
        "attention": attention, "gates": shares, "matrices": matrices, "left_out": [],
        "gradients": {"at": DISTANCES, "norm": [*reach[:-1], None]},
    }  # fmt: skip


def write_run(place: Path, *, layers: int = 12, gates: bool = True) -> Path:
    """The log and the configuration of a run in the directory `place`."""
    place.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = [look(step, layers, gates) for step in STEPS]
    records += [{"event": "train", "steps": s, "seconds": 0.1 * s, "loss": 6 / s**0.3} for s in range(10, 1001, 10)]
    records += [{"event": "valid", "steps": s, "seconds": 0.1 * s, "loss": 6.4 / s**0.3} for s in range(100, 1001, 100)]
    records.sort(key=lambda record: record["steps"])
    text = "".join(json.dumps(record) + "\n" for record in records)
    (place / "metrics.jsonl").write_text(text + '{"event": "tra')  # a kill cut the last line
    (place / "config.yaml").write_text("task: language\narch: transformer\n")
    return place
