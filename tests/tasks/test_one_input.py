"""One input gives one output, a list of inputs a list, whatever the task reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import sightline
from sightline.core.errors import InputError
from sightline.data.media.files import MediaFile
from sightline.testing import TaskSubject
from tests.tasks.classification import small as labels
from tests.tasks.subjects import SUBJECTS, forecasting, media_text
from tests.tasks.translation import small as pairs

ONE_CHANNEL = np.sin(np.arange(20, dtype=np.float32))


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TaskSubject:
    return SUBJECTS[request.param](tmp_path_factory.mktemp("data"))


def series(channels: int) -> Any:
    data = labels.data("series")
    for part in data.parts.values():
        part.sources[:] = [source[:, :channels] for source in part.sources]
    return labels.ClassificationTask.build(data, labels.run())


def test_one_input_gives_one_output(subject: TaskSubject) -> None:
    task, one = subject.built(), subject.inputs[0]
    several = task.predict([one])
    assert isinstance(several, list)
    assert str(task.predict(one)) == str(several[0])


def test_the_bytes_of_a_file_mean_what_the_file_means(subject: TaskSubject) -> None:
    """Sounds and pictures arrive as bytes where there is no file, as over a network."""
    task, one = subject.built(), subject.inputs[0]
    kinds = list(task.input_sources.values())
    if not {"audio", "image"} & set(kinds):
        pytest.skip("it reads no sounds and no pictures")
    values = one if isinstance(one, tuple) else (one,)
    given = tuple(
        MediaFile(Path("a file"), Path(value).read_bytes()) if kind in ("audio", "image") else value
        for kind, value in zip(kinds, values, strict=True)
    )
    given = given if isinstance(one, tuple) else given[0]
    assert task.predict(given) == task.predict(one)
    assert task.answer([given])[0].text == task.answer([one])[0].text
    assert task.open_input(given).outputs == task.open_input(one).outputs


def test_a_text_model_refuses_the_bytes_of_a_file() -> None:
    task = labels.ClassificationTask.build(labels.data("text"), labels.run())
    with pytest.raises(InputError, match="expected text, found a file"):
        task.predict(MediaFile(Path("a.png"), b"x"))


@pytest.mark.slow
@pytest.mark.parametrize("blank", ["", " \t"])
def test_an_empty_input_means_the_same_everywhere(subject: TaskSubject, blank: str) -> None:
    """No output, an empty line; other inputs keep their outputs. An empty prompt begins a document."""
    task, one = subject.built(), subject.inputs[0]
    if task.continues_prompts:
        assert task.predict(blank) == task.predict([blank])[0] == task.answer([blank])[0].text
        return
    nothing = "" if task.accepts_decoding else None
    assert task.predict(blank) == nothing
    assert str(task.predict([blank, one, blank])) == str([nothing, task.predict(one), nothing])
    (answer,) = task.answer([blank])
    assert (answer.text, answer.record["source"]) == ("", blank)
    if isinstance(one, str | Path):
        assert task.answer([blank, str(one)]) == [answer, *task.answer([str(one)])]


@pytest.mark.parametrize(
    ("channels", "given", "count"),
    [
        (1, ONE_CHANNEL, None),
        (1, ONE_CHANNEL.tolist(), None),
        (1, ONE_CHANNEL[:, None], None),
        (1, np.stack([ONE_CHANNEL] * 3), 3),
        (1, [ONE_CHANNEL.tolist()] * 2, 2),
        (2, np.stack([ONE_CHANNEL] * 2, 1), None),
        (2, np.zeros((4, 20, 2), np.float32), 4),
    ],
)
def test_axes_and_channels_tell_one_series_from_a_list(channels: int, given: Any, count: int | None) -> None:
    output = series(channels).predict(given)
    assert isinstance(output, str) if count is None else len(output) == count


@pytest.mark.parametrize(("kind", "shape", "count"), [
    ("audio", (600,), None), ("image", (6, 6), None), ("image", (1, 6, 6), 1), ("image", (6, 6, 3), None),
    ("image", (3, 6, 6), 3), ("image", (3, 6, 6, 1), 3), ("image", (3, 1, 6, 6), 3),
])  # fmt: skip
def test_axes_tell_one_sound_or_picture_from_a_list(kind: Any, shape: tuple[int, ...], count: int | None) -> None:
    task = labels.untrained(kind)
    output = task.predict(np.zeros(shape, np.float32 if kind == "audio" else np.uint8))
    assert isinstance(output, str) if count is None else len(output) == count


def test_several_channels_of_sound_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected samples \(T,\) or a list of them, found shape \(2, 600\)"):
        labels.untrained("audio").predict(np.zeros((2, 600), np.float32))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda sound, most: np.where(np.arange(600) == 16, np.nan, sound), "sample 17 is NaN, expected numbers"),
        (lambda sound, most: np.where(np.arange(600) == 16, np.inf, sound), "sample 17 is inf, expected numbers"),
        (lambda sound, most: sound[:0], "contains no samples"),
        (lambda sound, most: np.zeros(most + 1), "more than max_s"),
        (lambda sound, most: np.stack([sound, sound]), r"expected samples \(T,\), found shape \(2, 600\)"),
    ],
)
def test_a_sound_that_is_refused_as_a_file_is_refused_as_an_array(change: Callable[..., Any], problem: str) -> None:
    task, sound = labels.untrained("audio"), np.sin(np.arange(600))
    reading = task.config.sound.reading
    wrong = change(sound, int(reading.max_s * reading.rate_hz))
    with pytest.raises(InputError, match=f"^input 2: .*{problem}"):
        task.predict([sound, wrong])


def test_a_list_with_a_missing_number_is_one_series(tmp_path: Path) -> None:
    """As a column with a gap and as the text of one are."""
    values = [*ONE_CHANNEL.tolist()]
    with pytest.raises(InputError, match=r"step 4 of the series is empty, not a number"):
        series(1).predict(",".join(map(str, [*values[:3], "", *values[4:]])))
    for gap in ([*values[:3], None, *values[4:]], np.array([*values[:3], np.nan, *values[4:]])):
        with pytest.raises(InputError, match=r"^input 1: step 4 of the series is nan: numbers must be finite$"):
            series(1).predict(gap)
    with pytest.raises(InputError, match="step 3 of the values is not finite"):
        forecasting(tmp_path).built().predict([1.0, 2.0, 3.0, None, *range(30)])
    assert series(1).predict([np.float32(value) for value in values]) == series(1).predict(values)
    assert series(1).predict([None, None]) == [None, None]


@pytest.mark.parametrize("wrong", [b"RIFF", bytearray(b"RIFF")])
def test_bytes_are_no_list_of_inputs(wrong: Any) -> None:
    with pytest.raises(InputError, match=f"expected one input or a list of inputs, found {type(wrong).__name__}"):
        labels.untrained("audio").predict(wrong)


def test_values_of_one_column_are_forecast(tmp_path: Path) -> None:
    task: Any = forecasting(tmp_path).built()
    one = task.predict(np.arange(30.0))
    assert one.shape == (6, 1, 1)
    for same in (list(np.arange(30.0)), np.arange(30.0)[:, None]):
        np.testing.assert_array_equal(task.predict(same), one)
    assert len(task.predict(np.zeros((2, 30, 1)))) == 2
    with pytest.raises(InputError, match=r"expected values of shape \(T, 1\), got \(30, 2\)"):
        task.predict(np.zeros((30, 2)))


COLUMNS: dict[str, Callable[[np.ndarray], Any]] = {
    "polars": lambda values: pl.DataFrame({"load": values})["load"],
    "pandas": lambda values: pd.DataFrame({"load": values})["load"],
    "pandas-nullable": lambda values: pd.Series(values).astype("Float64"),
    "pyarrow": lambda values: pa.table({"load": values})["load"],
    "pyarrow-array": pa.array,
    "torch": torch.from_numpy,
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_one_series(column: Callable[[np.ndarray], Any], tmp_path: Path) -> None:
    task: Any = forecasting(tmp_path).built()
    values = np.sin(np.arange(30.0))
    one = task.predict(values)
    np.testing.assert_array_equal(task.predict(column(values)), one)
    np.testing.assert_array_equal(task.predict([column(values)] * 2), [one] * 2)
    assert series(1).predict(column(ONE_CHANNEL)) == series(1).predict(ONE_CHANNEL)
    sound = np.sin(np.arange(600, dtype=np.float32))
    assert labels.untrained("audio").predict(column(sound)) == labels.untrained("audio").predict(sound)


def test_a_gap_in_a_column_is_named(tmp_path: Path) -> None:
    task: Any = forecasting(tmp_path).built()
    with pytest.raises(InputError, match="step 3 of the values is not finite"):
        task.predict(pl.Series([1.0, 2.0, 3.0, None, *range(30)], strict=False))


def test_a_column_with_times_in_its_index_is_a_frame() -> None:
    load = pd.Series(np.sin(np.arange(90.0)), pd.date_range("2026-01-01", periods=90, freq="h"), name="load")
    sizes: dict[str, Any] = {"lookback": 12, "horizon": 6, "settings": {"model.d_model": 16}}
    model = sightline.fit("forecasting", load, "gru", "2steps", **sizes)
    frame = model.predict(load.rename("any"))
    np.testing.assert_allclose(frame["load"], model.predict(load.to_numpy())[:, 0, 0])
    assert [*frame.index] == [*pd.date_range("2026-01-04 18:00", periods=6, freq="h")]


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_data_of_one_series(column: Callable[[np.ndarray], Any]) -> None:
    values = np.sin(np.arange(60.0))
    assert sightline.describe(column(values)).parts == sightline.describe(values).parts
    assert sightline.describe(values.tolist()).parts == sightline.describe(values).parts


def test_a_frame_of_one_column_of_numbers_is_a_series_without_times() -> None:
    values = np.sin(np.arange(60.0))
    for frame in (pl.DataFrame({"load": values}), pd.DataFrame({"load": values}), {"load": values}):
        assert sightline.describe(frame, "forecasting").parts == sightline.describe(values, "forecasting").parts


def test_a_row_of_a_table_is_one_input(tmp_path: Path) -> None:
    subject = media_text(tmp_path, kind="answering")
    task: Any = subject.built()
    picture, question = subject.inputs[0]
    row = {"question": question, "image": picture, "other": 3}
    assert task.predict(row) == task.predict((picture, question)) == task.predict([row])[0]
    with pytest.raises(InputError, match="expected a column 'question', found image"):
        task.predict({"image": picture})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"source": "12"}, r"a row \(dict\): choose a value, as in row\['source'\]"),
        (7, "int"),
        (None, "NoneType"),
        (np.array(7.0), "ndarray"),
    ],
)
def test_what_is_neither_one_nor_several_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(InputError, match=f"expected one input or a list of inputs, found {problem}"):
        pairs.untrained().predict(given)


FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "polars": pl.DataFrame, "pandas": pd.DataFrame, "pyarrow": pa.table
}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_the_rows_of_a_frame_are_inputs(frame: Callable[[dict[str, Any]], Any]) -> None:
    """Of texts a column, and of numbers all columns but the labels, as in training."""
    texts = ["12", "907", "5"]
    translation, classifier = pairs.untrained(), series(1)
    assert translation.predict(frame({"source": texts, "n": [1, 2, 3]})) == translation.predict(texts)
    rows = np.random.default_rng(0).normal(size=(3, 4)).round(2)
    columns = {"id": [7, 8, 9], **dict(zip("abcd", rows.T.tolist(), strict=True)), "label": ["x", "y", "x"]}
    expected = classifier.predict([row.tolist() for row in rows], proba=True)
    records = classifier.predict(frame(columns), return_dict=True)
    assert [json.loads(record["source"]) for record in records] == rows.tolist()
    assert classifier.predict(frame(columns), proba=True) == expected
    assert len({tuple(one.values()) for one in expected}) == 3


def test_a_frame_without_a_column_of_inputs_is_refused_in_words_of_python() -> None:
    with pytest.raises(InputError) as caught:
        pairs.untrained().predict(pl.DataFrame({"a": ["x"], "b": ["y"], "c": ["z"]}))
    message = (
        "inputs (DataFrame): which of the columns a, b and c is the source? Choose a column, as in table['source']"
    )
    assert str(caught.value) == message
    assert len(pairs.untrained().predict(pl.DataFrame({"a": ["1", "2"]})["a"])) == 2


def test_a_prompt_and_a_text_are_one_input(tmp_path: Path) -> None:
    language: Any = SUBJECTS["language"](tmp_path).built()
    assert [one.prompt for one in language.generate("1 times")] == ["1 times"]
    assert len(pairs.untrained().translate("123")) == 1
