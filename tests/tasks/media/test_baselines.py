"""The nearest training item is looked for among items of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.tasks.media import baselines
from sightline.tasks.media.baselines import media_baselines
from tests.tasks.media import small


def test_items_whose_kinds_take_turns_are_looked_through_of_every_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second picture has its bright quarter at the top, and half of them are looked through."""
    run = small.run("captioning", small.quarters(tmp_path, 120))
    data = run.load()
    names = np.array(data.train.targets)
    top, bottom = np.flatnonzero(np.char.startswith(names, "n")), np.flatnonzero(np.char.startswith(names, "s"))
    each = min(len(top), len(bottom), 20)
    turns = data.train.select(np.stack([top[:each], bottom[:each]], 1).ravel().tolist())
    monkeypatch.setattr(baselines, "MOST_NEIGHBOURS", each)
    nearest = media_baselines(turns, data.test, run.settings)[-1]
    assert f"{each:,} of the training items" in nearest.description
    right = [output[0] == target[0] for output, target in zip(nearest.outputs, data.test.targets, strict=True)]
    assert np.mean(right) > 0.9
