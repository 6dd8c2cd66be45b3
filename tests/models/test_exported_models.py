"""The tables of exports to torch in the documentation say what happens."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sightline.models import FORMS
from tests.models.exported_models import EVERY, UNTRIED, documented

SAMPLES = [
    ["encoder-decoder/bahdanau", "forecaster/dlinear"],
    ["encoder-decoder/transformer"],
    ["decoder/transformer"],
    ["encoder/block_sparse", "encoder/gru"],
    ["character_cnn", "audio", "series_patches"],
]


def test_the_tables_have_every_architecture_and_front_end() -> None:
    assert set(documented()) == set(EVERY)


def test_most_have_an_export() -> None:
    refused = [name for name, outcome in documented().items() if outcome not in ("yes", UNTRIED)]
    assert len(refused) <= len(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize("names", SAMPLES, ids=" ".join)
def test_a_model_is_exported_as_the_tables_say(names: list[str]) -> None:
    command = [sys.executable, "-m", "tests.models.exported_models", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = {row["name"]: row["outcome"] for row in map(json.loads, done.stdout.splitlines())}
    assert outcomes == {name: documented()[name] for name in names if documented()[name] != UNTRIED} | {
        name: "yes" for name in names if documented()[name] == UNTRIED
    }
