"""`--limit` of a folder for each class, which is read class by class, keeps items of every class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sightline.tasks.classification.config import ClassificationRun
from sightline.tasks.load import Part, part_of_data
from tests.tasks.classification.small import untrained


def test_a_limited_evaluation_has_every_class(tmp_path: Path) -> None:
    for label in ("red", "green", "blue"):
        (tmp_path / label).mkdir()
        for number in range(40):
            (tmp_path / label / f"{number:02}.txt").write_text(f"{label} {number}")
    run = ClassificationRun().changed(data=str(tmp_path))
    parts = [
        part_of_data(untrained(), None, {"data": str(tmp_path)}, limit=30).items,
        run.changed(limit=30).read(),
        Part.of(run.load(), "train", "items", 30).items,
    ]
    for part in parts:
        assert Counter(label for (label,) in part.labels) == {"red": 10, "green": 10, "blue": 10}
