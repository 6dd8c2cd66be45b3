"""The results of the study: a JSON line for each training, in a file for each data set."""

from __future__ import annotations

import fcntl
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sightline.core.files import write_file
from sightline.core.metrics import find_metric
from study_factors import StudyRun

RESULTS = Path(__file__).parent / "results" / "study"

Line = dict[str, Any]


class StudyResults:
    """All lines of a folder, by key."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self.folder = folder
        self.lines: dict[str, Line] = {}
        for path in sorted(folder.glob("*.jsonl")):
            self.lines |= {line["key"]: line for line in read_lines(path)}

    def __contains__(self, run: StudyRun) -> bool:
        return run.key in self.lines

    def line(self, run: StudyRun) -> Line | None:
        return self.lines.get(run.key)

    def add(self, line: Line) -> None:
        """Append the line to the file of its data set, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{line['data']}.jsonl"
        with _locked(self.folder):  # another study may run beside this one
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            write_file(path, before + json.dumps(line, ensure_ascii=False) + "\n")
        self.lines[line["key"]] = line

    def score(self, runs: Sequence[StudyRun]) -> float:
        """The mean validation metric of runs that differ in their seed, larger is better; −∞ where one has none."""
        lines = [self.line(run) for run in runs]
        return mean_score([line for line in lines if line is not None]) if all(lines) else -math.inf


def mean_score(lines: Sequence[Line], part: str = "valid") -> float:
    """The mean of the metric on a part, larger is better; −∞ where a run failed or there is none."""
    values = [value(line, part) for line in lines]
    return sum(values) / len(values) if values else -math.inf


def value(line: Line, part: str) -> float:
    """The metric on a part, larger is better; −∞ for a run that failed."""
    number = line[part]
    if number is None:
        return -math.inf
    return number if find_metric(line["metric"]).higher_is_better else -number


def read_lines(path: Path) -> list[Line]:
    """The lines of a file.

    Raises:
        SystemExit: "study/reviews.jsonl:3: not a line of results".
    """
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
            _ = line["key"], line["data"]
        except (ValueError, KeyError, TypeError):
            raise SystemExit(f"{path}:{number}: not a line of results: restore the file, or remove the line") from None
        lines.append(line)
    return lines


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
