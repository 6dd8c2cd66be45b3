"""One input gives one output, a list of inputs a list, whatever the task reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.core.errors import InputError
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
    ("audio", (600,), None), ("image", (1, 6, 6), None), ("image", (3, 1, 6, 6), 3),
])  # fmt: skip
def test_axes_tell_one_sound_or_picture_from_a_list(kind: Any, shape: tuple[int, ...], count: int | None) -> None:
    task = labels.untrained(kind)
    output = task.predict(np.zeros(shape, np.float32 if kind == "audio" else np.uint8))
    assert isinstance(output, str) if count is None else len(output) == count


def test_several_channels_of_sound_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected samples \(T,\) or a list of them, found shape \(2, 600\)"):
        labels.untrained("audio").predict(np.zeros((2, 600), np.float32))


def test_values_of_one_column_are_forecast(tmp_path: Path) -> None:
    task: Any = forecasting(tmp_path).built()
    one = task.predict(np.arange(30.0))
    assert one.shape == (6, 1, 1)
    for same in (list(np.arange(30.0)), np.arange(30.0)[:, None]):
        np.testing.assert_array_equal(task.predict(same), one)
    assert len(task.predict(np.zeros((2, 30, 1)))) == 2
    with pytest.raises(InputError, match=r"expected values of shape \(T, 1\), got \(30, 2\)"):
        task.predict(np.zeros((30, 2)))


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


def test_a_table_is_refused_and_its_column_is_read() -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"source": ["1", "2"]})
    with pytest.raises(InputError, match=r"found a table \(DataFrame\): choose a column, as in table\['source'\]"):
        pairs.untrained().predict(table)
    assert len(pairs.untrained().predict(table["source"])) == 2


def test_a_prompt_and_a_text_are_one_input(tmp_path: Path) -> None:
    language: Any = SUBJECTS["language"](tmp_path).built()
    assert [one.prompt for one in language.generate("1 times")] == ["1 times"]
    assert len(pairs.untrained().translate("123")) == 1
