"""The data of a ladder of sizes from Python, without its trainings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import sightline
from sightline.api import scale as api
from sightline.lab.scaling import ScaleConfig
from tests.report.synthetic_scale import make_scale


def test_every_part_may_be_a_table_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[ScaleConfig] = []

    def run(config: ScaleConfig, *_: object, **__: object) -> object:
        asked.append(config)
        return make_scale()

    monkeypatch.setattr(api, "run_ladder", run)
    monkeypatch.setattr(api, "write_scaling_pages", lambda *_: None)
    texts = {part: {"text": [f"{part} {number}" for number in range(9)]} for part in ("train", "valid", "test")}
    parts = {"valid": pl.DataFrame(texts["valid"]), "test": texts["test"]["text"]}
    sightline.scale(pd.DataFrame(texts["train"]), "language", ["gru"], **parts, out_dir=tmp_path / "sizes", quiet=True)
    (config,) = asked
    files = {"train": config.comparison.data, **config.comparison.settings}
    for part, table in texts.items():
        assert pl.read_parquet(files[part]).to_dict(as_series=False) == table
