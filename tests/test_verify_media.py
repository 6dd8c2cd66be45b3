"""What benchmarks/verify_spoken_digits.py and verify_captions.py train and test on, and hold their results against."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import verify_captions as captions
import verify_spoken_digits as spoken
from sightline.data.media.columns import ImageReader
from sightline.data.media.images import ImageOptions, read_idx
from sightline.data.media.manifest import read_manifest

DATA = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", Path(__file__).parents[2] / "shared" / "data"))


def test_the_test_part_is_the_official_one(tmp_path):
    """github.com/Jakobovski/free-spoken-digit-dataset: recordings 0 to 4 of each digit and speaker are the test set."""
    for digit in range(10):
        for speaker in ("theo", "lucas"):
            for number in range(50):
                (tmp_path / f"{digit}_{speaker}_{number}.wav").touch()
    result = {part: read_manifest(path) for part, path in spoken.manifests(tmp_path, tmp_path).items()}
    assert {part: len(table.targets) for part, table in result.items()} == {"train": 800, "valid": 100, "test": 100}
    files = {part: set(table.sources["source"]) for part, table in result.items()}
    assert len(set.union(*files.values())) == 1000
    assert {Path(file).stem.split("_")[2] for file in files["test"]} == set("01234")
    named = dict(zip(result["test"].sources["source"], result["test"].targets, strict=True))
    assert named[str(tmp_path / "7_theo_3.wav")] == "seven"


@pytest.mark.parametrize(("cer", "right", "good"), [(0.03, 0.97, True), (0.0301, 0.99, False), (0.01, 0.9699, False)])
def test_both_gates_of_spoken_digits_must_hold(cer, right, good):
    blank = dict.fromkeys((field.name for field in fields(spoken.Outcome)), 0)
    assert spoken.passes(spoken.Outcome(**{**blank, "arch": "gru", "cer": cer, "words_right": right})) is good


@pytest.mark.parametrize(("right", "good"), [(0.98, True), (0.9799, False)])
def test_the_gate_of_captions(right, good):
    blank = dict.fromkeys((field.name for field in fields(captions.Outcome)), 0)
    assert captions.passes(captions.Outcome(**{**blank, "arch": "gru", "kind": "one", "right": right})) is good


def test_two_digits_are_two_pictures_side_by_side(tmp_path):
    pictures = np.random.default_rng(1).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    names = ["one", "two", "three", "four", "five", "six"]
    table = read_manifest(captions.rows("two", pictures, names, tmp_path / "x", tmp_path, "test"))
    read = ImageReader(ImageOptions(colour="grey"))
    sides = {"left": [], "right": []}
    for row, caption in enumerate(table.targets):
        both = read(table.file("source", row))[0]
        assert both.shape == (28, 56)
        for name, half, side in zip(caption.split(), (both[:, :28], both[:, 28:]), sides, strict=True):
            np.testing.assert_array_equal(half, pictures[names.index(name)])
            sides[side].append(name)
    assert sorted(sides["left"]) == sorted(sides["right"]) == sorted(names)


def test_a_question_needs_the_picture_and_itself(tmp_path):
    """No answer follows from the question alone, nor from the picture alone."""
    names, pictures = list(captions.WORDS) * 30, np.zeros((300, 28, 28), np.uint8)
    path = captions.rows("question", pictures, names, tmp_path / "x", tmp_path, "test")
    table = read_manifest(path, sources=("image", "question"))
    asked = list(zip(table.sources["question"], names, table.targets, strict=True))
    assert {question for question, *_ in asked} == set(captions.QUESTIONS)
    for question in captions.QUESTIONS:
        assert len({answer for other, _, answer in asked if other == question}) > 1
    for name in captions.WORDS:
        assert len({answer for _, other, answer in asked if other == name}) > 1
    assert ("is it even?", "eight", "yes") in asked
    assert ("is it more than four?", "four", "no") in asked
    assert ("which digit is it?", "seven", "seven") in asked


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason=f"no MNIST in {DATA}")
def test_captions_are_the_labels_of_mnist(tmp_path):
    parts = captions.manifests("one", DATA / "mnist", tmp_path)
    result = {part: read_manifest(path) for part, path in parts.items()}
    assert {part: len(table.targets) for part, table in result.items()} == {
        "train": 55_000,
        "valid": 5_000,
        "test": 10_000,
    }
    labels = read_idx(DATA / "mnist" / "train-labels-idx1-ubyte.gz")
    pictures = read_idx(DATA / "mnist" / "train-images-idx3-ubyte.gz")
    read = ImageReader(ImageOptions(colour="grey"))
    for row in (0, 1, 4999):
        np.testing.assert_array_equal(read(result["valid"].file("source", row))[0], pictures[55_000 + row])
        assert result["valid"].targets[row] == captions.WORDS[labels[55_000 + row]]
