"""The file of results that a verification writes as it goes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sightline.training.environment import environment

PLACES = ("--out", "--runs")  # options that say where to write, not what to measure


class Record:
    """Results of some trainings with what they share: begun anew, or, with `go_on`, after those that the file holds.

    Ends the program where the file was made with other `settings`.
    """

    def __init__(self, path: Path, settings: dict[str, Any] | None = None, *, go_on: bool = False) -> None:
        self.path, self.settings = path, settings or {}
        self.results: list[dict[str, Any]] = []
        if go_on and path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            if differing := [key for key, value in self.settings.items() if before.get(key) != value]:
                raise SystemExit(f"{path} was made with another {', '.join(differing)}: give another --out")
            self.results = before["results"]

    def alike(self, **wanted: Any) -> list[dict[str, Any]]:
        """The results that have all of these values."""
        return [result for result in self.results if wanted.items() <= result.items()]

    def add(self, result: dict[str, Any], **more: Any) -> None:
        """Keeps a result, and writes the file with all so far; `more` stands beside them."""
        self.results.append(result)
        self.write(**more)

    def write(self, **more: Any) -> None:
        write(self.path, {**self.settings, **more, "results": self.results, "environment": measured()})


def record_options(parser: argparse.ArgumentParser, path: Path) -> None:
    """`--out` and `--go-on`."""
    parser.add_argument("--out", type=Path, default=path)
    parser.add_argument("--go-on", action="store_true", help="keep what the file holds, train what is missing")


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes a file of results, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema_version": 1, **content}, indent=1, ensure_ascii=False)
    beside = path.with_suffix(".part")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def measured() -> dict[str, Any]:
    """The machine, the versions, and the command without the places that it wrote to."""
    command = [f"benchmarks/{Path(sys.argv[0]).name}"]
    words = iter(sys.argv[1:])
    for word in words:
        if word in PLACES:
            next(words, None)
        elif not word.startswith(tuple(f"{place}=" for place in PLACES)):
            command.append(word)
    return {**environment(), "command": command}
