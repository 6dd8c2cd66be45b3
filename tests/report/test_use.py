"""The last line of a comparison, which uses its winner, has an input that the model takes."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.lab.preparing import _described
from sightline.lab.results import Example
from sightline.report.recommendation import predicting
from sightline.tasks.not_files import check_not_files
from tests.lab.test_pareto import FOUR, made
from tests.tasks.subjects import SUBJECTS

TEXTS = {"translation", "translation of spelled words", "classification", "classification of spelled words",
         "classification of label sets"}  # fmt: skip


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_input_is_a_text_or_a_placeholder(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name](tmp_path)
    task, part = subject.built(), subject.corpus.test
    examples = [Example(source, "", {}) for source in subject.kind.sources(part)[:3]]
    results = replace(made(FOUR, examples=examples), data=_described(subject.corpus, task, part))
    *command, example = shlex.split(predicting(results, Path("runs/a b")))
    assert command == ["sightline", "predict", "runs/a b"]
    assert (example != "INPUT") is (name in TEXTS)
    if name in TEXTS:
        check_not_files([example], "")
        assert len(task.answer([example])) == 1
