"""`predict(…, return_dict=True)` gives the record of `sightline predict --json`, however inputs are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sightline.data.media.files import MediaFile
from sightline.testing import TaskSubject
from tests.tasks.subjects import SUBJECTS, forecasting, media_text


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TaskSubject:
    return SUBJECTS[request.param](tmp_path_factory.mktemp("data"))


def without_source(record: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in record.items() if key != "source"}, sort_keys=True)


def test_a_record_is_that_of_the_answer(subject: TaskSubject) -> None:
    task, inputs = subject.built(), list(subject.inputs)
    answers = [answer.record for answer in task.answer(subject.all_lines)]
    records = task.predict(inputs, return_dict=True)
    assert [record.keys() for record in records] == [record.keys() for record in answers]
    assert [*map(without_source, records)] == [*map(without_source, answers)]
    sources = [list(one) if isinstance(one, tuple) else one for one in inputs]  # several sources, as JSON has them
    assert all(record.get("source", one) == one for record, one in zip(records, sources, strict=True))
    alone, answer = task.predict(inputs[0], return_dict=True), task.answer([subject.all_lines[0]])[0]
    assert without_source(alone) == without_source(answer.record)


def test_a_record_of_files_has_their_names(subject: TaskSubject) -> None:
    task, one = subject.built(), subject.inputs[0]
    kinds = list(task.input_sources.values())
    if not {"audio", "image"} & set(kinds):
        pytest.skip("it reads no sounds and no pictures")
    values = one if isinstance(one, tuple) else (one,)
    forms: tuple[Callable[[str], Any], ...] = (Path, lambda value: MediaFile(Path(value), Path(value).read_bytes()))
    for form in forms:
        given = tuple(form(v) if kind in ("audio", "image") else v for v, kind in zip(values, kinds, strict=True))
        record = task.predict(given if isinstance(one, tuple) else given[0], return_dict=True)
        assert json.loads(json.dumps(record)) == json.loads(json.dumps(task.predict(one, return_dict=True)))


def test_a_record_of_a_row_is_that_of_its_values(tmp_path: Path) -> None:
    subject = media_text(tmp_path, kind="answering")
    task: Any = subject.built()
    picture, question = subject.inputs[0]
    row = {"question": question, "image": Path(picture)}
    record = task.predict(row, return_dict=True)
    assert record["source"] == {"question": question, "image": picture}
    assert without_source(record) == without_source(task.answer([f"{picture}\t{question}"])[0].record)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_record_of_a_frame_of_series_is_that_of_its_file(library: Any, tmp_path: Path) -> None:
    subject = forecasting(tmp_path)
    task, path = subject.built(), subject.inputs[0]
    frame = library.read_csv(path)
    record, of_file = task.predict(frame, return_dict=True), task.answer([path])[0].record
    assert without_source(record) == without_source(of_file)
    assert record["source"] == "data (DataFrame)"
    values = frame["a"].to_numpy()
    of_array = task.predict(np.asarray(values), return_dict=True)
    assert of_array.keys() == of_file.keys()
    assert [row["value"] for row in of_array["forecast"]] == [row["value"] for row in of_file["forecast"]]
