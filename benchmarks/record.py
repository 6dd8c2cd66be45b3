"""The results file of a verification, written after each training."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sightline.training.environment import environment

PLACES = ("--out", "--runs")  # options for output locations, which do not affect the results


class Record:
    """Results of several trainings with common settings: empty, or with `go_on` the results already in the file.

    Exits the program if the file was written with other `settings`.
    """

    def __init__(self, path: Path, settings: dict[str, Any] | None = None, *, go_on: bool = False) -> None:
        self.path, self.settings = path, settings or {}
        self.results: list[dict[str, Any]] = []
        if go_on and path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            if differing := [key for key, value in self.settings.items() if before.get(key) != value]:
                raise SystemExit(f"{path} has different settings ({', '.join(differing)}): choose another --out")
            self.results = before["results"]

    def matching(self, **values: Any) -> list[dict[str, Any]]:
        """The results with all of these values."""
        return [result for result in self.results if values.items() <= result.items()]

    def add(self, result: dict[str, Any], **more: Any) -> None:
        """Add a result and write the file with all results so far; `more` are further top-level keys."""
        self.results.append(result)
        self.write(**more)

    def write(self, **more: Any) -> None:
        write(self.path, {**self.settings, **more, "results": self.results, "environment": measured()})


def record_options(parser: argparse.ArgumentParser, path: Path) -> None:
    """Add `--out` and `--go-on`."""
    parser.add_argument("--out", type=Path, default=path)
    parser.add_argument("--go-on", action="store_true", help="keep the results in the file and train only missing ones")


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a results file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema_version": 1, **content}, indent=1, ensure_ascii=False)
    temporary = path.with_suffix(".part")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def measured() -> dict[str, Any]:
    """The machine, the versions, and the command without its output locations."""
    command = [f"benchmarks/{Path(sys.argv[0]).name}"]
    words = iter(sys.argv[1:])
    for word in words:
        if word in PLACES:
            next(words, None)
        elif not word.startswith(tuple(f"{place}=" for place in PLACES)):
            command.append(word)
    return {**environment(), "command": command}
