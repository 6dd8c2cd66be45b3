"""Training from Python in one call."""

from __future__ import annotations

import pytest

import sightline
from sightline.core.errors import InputError
from tests.tasks.translation.small import corpus

SMALL = {"model.d_model": 32, "batch_tokens": 512, "seed": 3}


def test_a_call_trains_predicts_and_saves(tmp_path):
    model = sightline.fit("translation", corpus(), "gru", "40steps", settings=SMALL)
    answers = model.predict(corpus().test.sources[:5])
    model.save(tmp_path / "model")
    assert sightline.load(tmp_path / "model").predict(corpus().test.sources[:5]) == answers


def test_from_a_file_it_is_the_run_that_the_command_leaves(tmp_path):
    rows = zip(*corpus().train.sides, strict=True)
    (tmp_path / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    keep = {"out_dir": tmp_path / "run", "settings": {**SMALL, "device": "cpu"}}
    sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "4steps", **keep)
    assert (tmp_path / "run" / "config.yaml").exists()
    assert (tmp_path / "run" / "best" / "model.safetensors").exists()
    with pytest.raises(InputError, match="contains a run"):
        sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "8steps", **keep)
    sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "8steps", resume=True, **keep)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("translations", "pairs.tsv"), "unknown task 'translations', did you mean 'translation'"),
        (("translation", "nowhere.tsv"), "nowhere.tsv: no such file"),
        (("translation", "pairs.tsv", "grru"), "unknown architecture 'grru', did you mean 'gru'"),
        (("translation", "pairs.tsv", "gru", "soon"), "soon"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(InputError, match=message):
        sightline.fit(*arguments)
