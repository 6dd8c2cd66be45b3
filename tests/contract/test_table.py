"""The table of mechanisms and the folder agree, and configs are what `certify` and the decoder can work with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import sightline.mixers
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.mixers import MIXERS

FOLDER = Path(sightline.mixers.__file__).parent


def test_every_file_is_in_the_table() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {kind.__module__.rsplit(".", 1)[1] for kind in MIXERS.values()}


@pytest.mark.parametrize("name", MIXERS)
def test_a_config_is_a_frozen_dataclass_with_several_examples(name: str) -> None:
    kind = MIXERS[name]
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert len(set(kind.examples())) >= 2
    for config in kind.examples():
        assert isinstance(config.build(12), SequenceMixer | SequenceEncoder)
