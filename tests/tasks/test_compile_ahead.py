"""Code that is made ahead serves real inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sightline.decoding.engine import DecodingConfig
from sightline.models import compiled
from tests.models.steps import stand_in, stand_in_reading
from tests.tasks.subjects import SUBJECTS
from tests.tasks.translation import small as pairs

NAMES = ("translation", "translation of spelled words", "language", "transcription", "captioning", "answering")


@pytest.mark.parametrize("name", NAMES)
def test_single_inputs_meet_the_code_that_was_made_ahead(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    subject = SUBJECTS[name](tmp_path)
    task, inputs = subject.built(), subject.inputs[:1]
    (expected,) = task.answer(inputs, DecodingConfig(max_length=12))
    calls = stand_in(monkeypatch)
    assert task.compile_ahead() == (1,)
    calls.clear()
    (answer,) = task.answer(inputs, DecodingConfig(max_length=12, compiled=True))
    assert answer.text == expected.text
    assert answer.record["score"] == pytest.approx(expected.record["score"], abs=1e-4)
    assert calls


@pytest.mark.parametrize("arch", ["gru", "bahdanau", "transformer", "transformer-2017", "retention"])
@pytest.mark.parametrize("beam", [1, 3])
def test_beams_meet_the_code_that_was_made_ahead(arch: str, beam: int, monkeypatch: Any) -> None:
    task = pairs.untrained(arch, seed=5)
    decoding = DecodingConfig(beam=beam, max_length=12)
    (expected,) = task.answer(["907"], decoding)
    calls = stand_in(monkeypatch)
    assert task.compile_ahead(beams=(beam,)) == (beam,)
    calls.clear()
    plain, own_step = [], compiled._Codes.plain
    monkeypatch.setattr(compiled._Codes, "plain", lambda *a: (plain.append(a), own_step(*a))[1])
    (answer,) = task.answer(["907"], replace(decoding, compiled=True))
    assert answer.text == expected.text
    assert answer.record["score"] == pytest.approx(expected.record["score"], abs=1e-4)
    assert {len(tokens) for tokens in calls} == {beam}
    assert not plain, "the first step has as many rows as the others"


def test_single_sources_are_read_by_the_code_that_was_made_ahead(monkeypatch: Any) -> None:
    task = pairs.untrained("transformer", seed=5)
    decoding = DecodingConfig(max_length=12)
    expected = task.answer(["907", "12"], decoding)
    stand_in(monkeypatch)
    calls = stand_in_reading(monkeypatch)
    task.compile_ahead()
    for inputs, read in ((["907", "12"], 0), (["907"], 1), (["12"], 1)):
        calls.clear()
        answers = task.answer(inputs, replace(decoding, compiled=True))
        assert {answer.text for answer in answers} <= {answer.text for answer in expected}
        assert (len(calls) > 0) == bool(read)
        assert not read or len(calls[-1]) == 1


def test_a_task_that_decodes_nothing_compiles_nothing(tmp_path: Path) -> None:
    assert SUBJECTS["classification"](tmp_path).built().compile_ahead() == ()
