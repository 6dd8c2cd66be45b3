"""What is done to texts when training data is read is done to new texts too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sightline
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.data.tokens.words import Words
from sightline.lab.job_runs import run_config
from sightline.lab.plan import CompareConfig
from tests.tasks.options import texts

SMALL = {"model.d_model": 16, "optim.lr": 1e-2, "optim.warmup_steps": 0, "device": "cpu", "lowercase": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lower")
    (folder / "pairs.tsv").write_text("".join(f"{text}\t{text}\n" for text in texts()), encoding="utf-8")
    sightline.fit("translation", folder / "pairs.tsv", "gru", "60steps", out_dir=folder / "run", settings=SMALL)
    return folder / "run"


@pytest.mark.parametrize("vocabulary", [Tokenizer, Words])
def test_a_capital_sigma_at_the_end_of_a_word_becomes_a_final_one(vocabulary: type) -> None:
    learned = vocabulary.train(["ΟΔΟΣ ΣΑΣ", "ΟΔΟΣ ΣΑΣ"], size=400, lowercase=True)
    assert learned.encode_batch(["ΟΔΟΣ"]) == learned.encode_batch(["οδος"]) != learned.encode_batch(["οδοσ"])
    assert vocabulary.from_dict(learned.to_dict()).encode_batch(["ΣΑΣ"]) == learned.encode_batch(["σας"])


def test_a_tokenizer_file_says_true_or_false() -> None:
    mapping = Tokenizer.train(["a"], lowercase=True).to_dict()
    with pytest.raises(sightline.core.errors.InputError, match="lowercase must be true or false, found 'yes'"):
        Tokenizer.from_dict({**mapping, "lowercase": "yes"})


def test_a_model_of_version_0_1_0_lower_cases_too(run: Path) -> None:
    model = sightline.load(run)
    config = run / "best" / "config.json"
    content = json.loads(config.read_text())
    del content["options"]["reading"]
    config.write_text(json.dumps(content))
    vocabulary = run / "best" / "tokenizer.json"
    vocabulary.write_text(vocabulary.read_text().replace('"lowercase": true, ', ""))
    assert not Tokenizer.from_dict(json.loads(vocabulary.read_text())["source"]).lowercase
    assert sightline.load(run).predict(texts()) == model.predict(texts())


@pytest.mark.parametrize("task", ["translation", "classification", "transcription", "answering"])
def test_a_comparison_sets_no_other_flag(task: str) -> None:
    settings = {"lowercase": True}
    config = CompareConfig(task, "data.tsv", ("gru",), settings=settings)
    assert run_config(config, "gru").corpus.lowercase
