"""Inspections as JSON."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.inspect.influence_map import (
    InfluenceMap,
    InspectedInput,
    InspectedModel,
    InspectedOutput,
    Inspection,
)


def an_inspection(weights: np.ndarray, skipped: np.ndarray | None = None) -> Inspection:
    return Inspection(
        InspectedModel("runs/a", "transformer", "translation", 123),
        InspectedInput("text", ["a", "</s>"], "a", values=np.float32([[0.1], [2.0]])),
        InspectedOutput(["b", "</s>"], ["<s>", "b"], [0.5, None]),
        [InfluenceMap("decoder.weights", 0, "softmax", "cross", "output", "source", weights, skipped)],
        command="sightline inspect runs/a a",
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    weights, skipped = np.random.default_rng(0).random((2, 2, 5)), np.eye(2, 5, dtype=bool)
    saved = an_inspection(weights, skipped)
    saved.save(tmp_path / "a.json")
    loaded = Inspection.load(tmp_path / "a.json")
    assert (loaded.model, loaded.command) == (saved.model, saved.command)
    assert (loaded.input.pieces, loaded.output.probability) == (["a", "</s>"], [0.5, None])
    assert np.array_equal(loaded.input.values, np.float32([[0.1], [2.0]]))
    assert loaded.input.pixels is None
    (one,) = loaded.maps
    assert one.skipped is not None
    assert np.array_equal(one.skipped, skipped)
    assert np.allclose(one.weights, weights, rtol=2**-11, atol=0.0)
    assert replace(one, weights=weights, skipped=skipped).meaning == saved.maps[0].meaning


def test_the_form_of_an_array_is_that_of_the_docstring() -> None:
    plain = an_inspection(np.array([[[0.5, -0.25, 1.0]]]), np.array([[True, False, True]])).to_dict()
    assert next(iter(plain)) == "schema_version"
    stored = plain["maps"][0]
    assert (stored["weights"]["shape"], stored["weights"]["scale"]) == ([1, 1, 3], 1.0)
    assert struct.unpack("<3e", base64.b64decode(stored["weights"]["data"])) == (0.5, -0.25, 1.0)
    assert base64.b64decode(stored["skipped"]["data"]) == bytes([0b10100000])


@pytest.mark.parametrize("size", [1e-9, 3e-5, 1.0, 7e4, 1e12])
def test_small_and_large_numbers_keep_their_precision(size: float, tmp_path: Path) -> None:
    weights = size * (0.5 + np.random.default_rng(1).random((1, 3, 4)))
    an_inspection(weights).save(tmp_path / "a.json")
    assert np.allclose(Inspection.load(tmp_path / "a.json").maps[0].weights, weights, rtol=2**-11, atol=0.0)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    plain = an_inspection(np.ones((1, 2, 2))).to_dict()
    path.write_text(json.dumps(plain | {"schema_version": 9}))
    with pytest.raises(InputError, match="expected schema_version 1, found 9"):
        Inspection.load(path)
    plain["maps"][0]["weights"]["shape"] = [1, 2, 3]
    path.write_text(json.dumps(plain))
    with pytest.raises(InputError, match=r"an array of shape \[1, 2, 3\] has 12 bytes, found 8"):
        Inspection.load(path)
    plain["maps"][0]["weights"]["data"] = "*"
    path.write_text(json.dumps(plain))
    with pytest.raises(InputError, match="not base64"):
        Inspection.load(path)


@pytest.mark.parametrize(
    ("weights", "skipped", "message"),
    [
        (np.ones((4, 7)), None, r"weights must be \(heads, rows, columns\), got \(4, 7\)"),
        (np.array([[[np.nan]]]), None, "weights must be finite"),
        (np.ones((1, 7, 7)), np.ones((7, 6), bool), r"skipped must be \(7, 7\), got \(7, 6\)"),
    ],
)
def test_a_map_that_is_none_is_refused(weights: np.ndarray, skipped: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        an_inspection(weights, skipped)
