"""Pictures in memory, as arrays and in the cells of frames, have the labels that files of the same pixels have."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

import sightline
from sightline.core.errors import InputError
from tests.tasks.classification import small

TINY: dict[str, Any] = {"model.d_model": 8, "seed": 1, "device": "cpu", "optim.lr": 3e-2, "optim.warmup_steps": 0}
FORMS = {"grey": (8, 8), "colour": (8, 8, 3), "one channel": (8, 8, 1)}


def pictures(form: str, count: int = 40) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (count, *FORMS[form])).astype(np.uint8)
    values[::2] //= 3
    return values


@pytest.fixture(scope="module", params=[*FORMS, "grey, one channel of the model"])
def trained(request: pytest.FixtureRequest) -> tuple[Any, np.ndarray]:
    form, _, as_grey = request.param.partition(", ")
    values = pictures(form)
    settings = TINY | ({"picture.colour": "grey"} if as_grey else {})
    labels = np.array(["dark", "light"] * 20)
    return sightline.fit("classification", (values, labels), "gru", "20steps", settings=settings), values


def files_of(values: np.ndarray, folder: Path) -> list[str]:
    paths = [folder / f"{number}.png" for number in range(len(values))]
    for path, pixels in zip(paths, values, strict=True):
        Image.fromarray(pixels.squeeze()).save(path)
    return [str(path) for path in paths]


def test_arrays_have_the_labels_of_their_files(trained: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    model, values = trained
    files = files_of(values, tmp_path)
    expected = model.predict(files, proba=True)
    assert len({str(one) for one in expected}) > 20
    assert model.predict(values, proba=True) == expected
    for count in (1, 2, 3, 4, 5):
        first = model.predict(files[:count], proba=True)
        assert model.predict(values[:count], proba=True) == first
        assert model.predict([*values[:count]], proba=True) == first
    assert model.predict(values[4], proba=True) == model.predict(files[4], proba=True)
    assert model.open_input(values[4]).outputs == model.open_input(files[4]).outputs
    assert model.evaluate((values, np.array(["dark", "light"] * 20))).size == 40


def test_a_saved_model_tells_pictures_apart_as_it_did(trained: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    model, values = trained
    model.save(tmp_path / "model")
    loaded = sightline.load(tmp_path / "model")
    for given in (values[:3], values[:1], values[0]):
        assert loaded.predict(given) == model.predict(given)


def test_a_picture_of_a_corpus_is_one() -> None:
    """(C, H, W), as a corpus has it: where its channels differ, or the training pictures have colours."""
    colour = sightline.fit("classification", (pictures("colour"), np.arange(40) % 2), "gru", "2steps", settings=TINY)
    grey = sightline.fit("classification", (pictures("grey"), np.arange(40) % 2), "gru", "2steps", settings=TINY)
    for model in (colour, grey):
        one = model.corpus.test.sources[0]
        assert one.shape == (3, 8, 8)
        assert model.predict(one) == model.predict([one])[0]


def test_the_cells_of_a_frame_may_contain_files(trained: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    """As the data sets of Hugging Face write them; the record names the file."""
    model, values = trained
    files = files_of(values[:6], tmp_path)
    cells = [{"bytes": Path(file).read_bytes(), "path": Path(file).name} for file in files]
    frame = pl.DataFrame({"image": cells, "label": [0, 1] * 3})
    expected = model.predict(files)
    assert model.predict(frame) == model.predict(frame.drop("label")) == expected
    assert model.predict(frame.to_dicts()) == expected
    records = model.predict(frame, return_dict=True)
    assert [record["source"] for record in json.loads(json.dumps(records))] == [f"{n}.png" for n in range(6)]


def test_what_is_no_picture_of_the_model_is_refused(trained: tuple[Any, np.ndarray]) -> None:
    model, values = trained
    for given, message in (
        (np.zeros((4, 5, 5), np.uint8), r"^input 1: has 5 x 5 pixels, expected 8 x 8"),
        (np.zeros((5, 5, 3), np.uint8), r"^input 1: has 5 x 5 pixels, expected 8 x 8"),
        (values.reshape(40, -1), r"^input 1: has 40 x \d+ pixels"),
        ([values[0], values[1] / 255], r"^input 2: expected the bytes of a picture, type uint8, found float64$"),
    ):
        with pytest.raises(InputError, match=message):
            model.predict(given)


def test_a_picture_with_transparency_is_read_as_its_file() -> None:
    model = small.untrained("image", picture=small_picture())
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 4)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    content = {"bytes": buffer.getvalue(), "path": "a.png"}
    assert model.predict(pixels, proba=True) == model.predict(pl.DataFrame({"source": [content]}), proba=True)[0]


def small_picture() -> Any:
    from sightline.tasks.media.config import PictureConfig

    return PictureConfig(6, 6, colour="grey")


def test_the_first_source_of_another_kind_is_named() -> None:
    series = small.data("series").train.select([0, 1])
    series.sources[1] = "a text"
    with pytest.raises(InputError, match=r"^part 0:1: expected series, found str$"):
        small.untrained("series").trained.label(series)
