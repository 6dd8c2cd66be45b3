"""Models that write texts for sounds, pictures and questions, looked into through the public function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.inspect import influence, recorded_attention
from sightline.inspect.influence_map import Inspection
from sightline.inspect.integrated import has_captum
from sightline.tasks.media.opened import open_item
from tests.inspect.test_inspection import check, named
from tests.tasks.media import small

OUTPUT = 4  # tokens of a model that is not trained
EVERY = ["softmax", "value_weighted", "rollout", "effect", "gradient", "relevance"]


def untrained(kind: str, folder: Path, arch: str = "transformer", **changes: Any) -> Any:
    manifest = (small.tones if kind == "transcription" else small.quarters)(folder, 12)
    run = small.run(kind, manifest, arch, **changes)
    task = small.KINDS[kind].build(run.load(), run)
    task.trained.longest_output = OUTPUT
    return task


def item(kind: str, folder: Path) -> Any:
    if kind == "answering":
        return (str(folder / "0.png"), "row?")
    return str(folder / ("0.wav" if kind == "transcription" else "0.png"))


def of(found: Inspection, method: str, columns: str = "source") -> Any:
    return next(one for one in found.maps if (one.method, one.rows, one.columns) == (method, "output", columns))


@pytest.mark.slow
@pytest.mark.parametrize("kind", small.KINDS)
def test_all_methods_see_a_transformer_that_writes(kind: str, tmp_path: Path) -> None:
    task, given = untrained(kind, tmp_path), item(kind, tmp_path)
    before = task.predict(given)
    found = influence(task, given, None if kind == "answering" else EVERY, replacements=2)
    assert task.predict(given) == before
    check(found)
    integrated = {"integrated_gradients"} if has_captum() and kind == "answering" else set()  # many calls
    assert {one.method for one in found.maps} == {*EVERY, *integrated}
    for side in ("source", "output"):
        assert ("effect", "self" if side == "output" else "cross", "output", side) in named(found)
    assert of(found, "effect").weights.max() > 0.0
    assert found.output.pieces[-1] == "</s>"
    assert found.output.read[0] == "<s>"
    assert np.isfinite(found.output.probability).all()
    found.save(tmp_path / "a.json")
    assert Inspection.load(tmp_path / "a.json").to_dict() == found.to_dict()


@pytest.mark.parametrize("arch", ["bahdanau", "transformer"])
@pytest.mark.parametrize("kind", small.KINDS)
def test_attention_is_that_of_the_padded_batch_that_the_model_reads(kind: str, arch: str, tmp_path: Path) -> None:
    task, given = untrained(kind, tmp_path, arch), item(kind, tmp_path)
    found = influence(task, given, ["softmax"])
    writer = task.trained
    source, mask = writer.sources_of(writer.part_of([given])).batch([0])
    tokens = torch.tensor([[1, *writer.tokenizers.target.encode(task.predict(given))]])
    with torch.no_grad(), recorded_attention(writer.model.eval()) as weights:
        writer.model(source, mask, tokens)
    crossed = [one for one in found.maps if one.kind == "cross"]
    assert crossed
    for one in crossed:
        expected = weights[one.name].reshape(-1, one.weights.shape[1], weights[one.name].shape[-1])
        own, padding = expected[..., : one.weights.shape[2]], expected[..., one.weights.shape[2] :]
        assert np.allclose(one.weights, own, atol=1e-6)
        assert not padding.any()


def test_what_a_model_of_recurrence_has(tmp_path: Path) -> None:
    found = influence(untrained("transcription", tmp_path, "lstm"), item("transcription", tmp_path), replacements=2)
    check(found)
    assert {("jacobian", "self", "source", "source"), ("jacobian", "self", "output", "output")} <= named(found)
    assert any("relevance has rules for Transformers" in note for note in found.notes)


def test_frames_of_a_sound_and_patches_of_a_picture_are_shown(tmp_path: Path) -> None:
    task = untrained("transcription", tmp_path)
    found = influence(task, item("transcription", tmp_path), ["softmax"])
    assert (found.input.kind, found.input.text) == ("audio", "0.wav")
    assert found.input.spectrogram.shape == (12, found.input.spans[-1][1])
    assert found.input.pieces == [f"{number * 0.02:.2f} s" for number in range(len(found.input.spans))]
    task = untrained("captioning", tmp_path)
    found = influence(task, item("captioning", tmp_path), ["softmax"])
    assert (found.input.kind, found.input.grid) == ("image", [2, 2])
    assert found.input.spans == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_of_a_picture_and_a_question_the_picture_is_shown(tmp_path: Path) -> None:
    task = untrained("answering", tmp_path)
    found = influence(task, item("answering", tmp_path), ["softmax"])
    assert (found.input.kind, found.input.text) == ("image", "0.png · row?")
    assert found.input.pieces == ["1, 1", "1, 2", "2, 1", "2, 2", *"row?"]
    assert found.input.spans == [[0, 1], [1, 2], [2, 3], [3, 4], *[[0, 0]] * 4]
    line = influence(task, f"{tmp_path / '0.png'}\trow?", ["softmax"])
    assert np.array_equal(line.maps[0].weights, found.maps[0].weights)
    with pytest.raises(InputError, match=r"expected 2 values \(image, question\), found 1"):
        influence(task, str(tmp_path / "0.png"))


def test_a_position_of_one_source_is_replaced_alone(tmp_path: Path) -> None:
    task = untrained("answering", tmp_path, sources="question:text,image:image")
    side = open_item(task.trained, ("row?", str(tmp_path / "0.png"))).source
    assert side.pieces == [*"row?", "1, 1", "1, 2", "2, 1", "2, 2"]
    words, pixels = 4, (8, 8)
    for position in range(len(side.pieces)):
        changed = (side.replaced(position, 5) != side.input).any(0)
        expected = torch.zeros(words, dtype=torch.bool)
        patches = torch.zeros(pixels, dtype=torch.bool)
        if position < words:
            expected[position] = True
        else:
            row, column = divmod(position - words, 2)
            patches[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = True
        whole = torch.cat([expected, patches.flatten()])
        assert changed.any()
        assert not changed[~whole].any()


def test_a_model_that_is_deaf_to_the_question_shows_no_effect_of_it(tmp_path: Path) -> None:
    task = untrained("answering", tmp_path)
    for module in task.model.encoder.modules():
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.zeros_(module.weight)
    effect = of(influence(task, item("answering", tmp_path), ["effect"], replacements=3), "effect").weights[0]
    assert effect[:, 4:].max() == 0.0
    assert (effect[:, :4].max(0) > 0.0).all()
