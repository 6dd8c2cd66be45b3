"""Errors and verdicts of calls from Python name arguments; those of the command line name flags."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sightline
from sightline.api import compare as compare_module
from sightline.api import scale as scale_module
from sightline.api.comparison import ComparisonResult
from sightline.core.errors import Diverged, InputError, Interrupted, SightlineError
from sightline.decoding.engine import DecodingConfig
from sightline.lab.compare import NoRunFinished
from sightline.lab.jobs import Failure
from sightline.tasks.language.generation import GenerationConfig
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.translation.task import TranslationTask
from tests.report.synthetic import make_results
from tests.report.synthetic_scale import make_scale
from tests.stopping import stop_at
from tests.tasks.subjects import SUBJECTS
from tests.tasks.translation.small import config, corpus, untrained

WILD = {"optim.lr": 1e30, "optim.warmup_steps": 0, "optim.clip_norm": None, "optim.schedule": "constant"}
SMALL = {"model.d_model": 16, "batch_tokens": 256, "device": "cpu"}


def forecast_of_a_gap(folder: Path) -> None:
    task = SUBJECTS["forecasting"](folder).built()
    steps = [step for step in range(40) if step != 20]
    (folder / "gap.csv").write_text("time,a\n" + "".join(f"{step},1.5\n" for step in steps))
    task.predict(str(folder / "gap.csv"))


def caption_of_several_pictures(folder: Path) -> None:
    task = SUBJECTS["captioning"](folder).built()
    frames = [Image.fromarray(np.full((8, 8), 90 * number, np.uint8)) for number in range(3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    task.predict(str(folder / "moving.gif"))


def caption_of_another_size(folder: Path) -> None:
    task = SUBJECTS["captioning"](folder).built()
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "other.png")
    task.predict(folder / "other.png")


def too_long_a_prompt(folder: Path) -> None:
    subject = SUBJECTS["language"](folder)
    preset = LanguageTask.preset("transformer").settings.model
    model = replace(preset, d_model=16, layers=1, heads=2, positions="learned")
    run = subject.run.changed(settings=replace(subject.run.settings, arch="transformer", model=model))
    LanguageTask.build(subject.corpus, run).generate(["a" * 2000])


def no_samples(_: Path) -> None:
    GenerationConfig(samples=0)


def a_draft_without_its_model(folder: Path) -> None:
    task: Any = SUBJECTS["language"](folder).built()
    task.generate(["1"], GenerationConfig(DecodingConfig(draft="model")))


def a_draft_for_a_translation(_: Path) -> None:
    untrained().predict("12", DecodingConfig(draft="model"))


def too_long_an_output(_: Path) -> None:
    small = config("transformer")
    task = TranslationTask.create(corpus(), replace(small, model=replace(small.model, positions="learned")))
    task.predict("12", DecodingConfig(max_length=100_000))


CALLS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a gap": (forecast_of_a_gap, "fill them by fill=… (forward, linear or zero)"),
    "several pictures": (caption_of_several_pictures, 'set settings={"picture.frames": "first"}'),
    "another size": (caption_of_another_size, 'set settings={"picture.fit": "pad"}, or stretch'),
    "a long prompt": (
        too_long_a_prompt,
        'fewer with max_length=…, or drop the prompt\'s beginning with truncate="left"',
    ),
    "no samples": (no_samples, "samples: must be at least 1, found 0"),
    "no draft": (a_draft_without_its_model, "draft: drafts of a model need the model"),
    "a draft": (a_draft_for_a_translation, "draft: a model drafts for language models alone"),
    "a long output": (too_long_an_output, "ask for fewer with max_length=…"),
}


@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=CALLS)
def test_an_error_of_a_model_names_arguments(call: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        call(tmp_path)
    assert "--" not in str(caught.value)


def test_compiling_ahead_names_its_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    task = untrained()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match=r"^compiled: needs a C\+\+ compiler"):
        task.compile_ahead()
    with pytest.raises(InputError, match=r"^--compiled: needs a C\+\+ compiler"):
        task.compile_steps()


def test_a_training_that_diverges_names_arguments(tmp_path: Path) -> None:
    with pytest.raises(Diverged) as caught:
        sightline.fit("translation", corpus(), "gru", "9steps", out_dir=tmp_path / "run", settings={**SMALL, **WILD})
    advice = 'try a lower settings={"optim.lr": …} or a longer settings={"optim.warmup": …}'
    assert str(caught.value).endswith(f": the state before it is kept in {tmp_path / 'run'}; {advice}")


def test_a_training_that_is_stopped_names_arguments(tmp_path: Path) -> None:
    how: dict[str, Any] = {"settings": SMALL, "on_progress": stop_at(2)}
    with pytest.raises(Interrupted) as caught:
        sightline.fit("translation", corpus(), "gru", "9steps", out_dir=tmp_path / "run", **how)
    kept = "the state is saved, resume=True continues"
    assert str(caught.value) == f"{tmp_path / 'run'}: stopped by SIGINT after step 2; {kept}"


def test_without_a_directory_nothing_is_said_to_be_kept() -> None:
    with pytest.raises(Interrupted) as stopped:
        sightline.fit("translation", corpus(), "gru", "9steps", settings=SMALL, on_progress=stop_at(2))
    assert str(stopped.value) == "stopped by SIGINT after step 2; nothing is kept without out_dir"
    assert stopped.value.status == 130
    with pytest.raises(Diverged) as diverged:
        sightline.fit("translation", corpus(), "gru", "9steps", settings={**SMALL, **WILD})
    message = str(diverged.value)
    assert ": nothing is kept without out_dir; try a lower settings=" in message
    assert not re.search(r"saved|kept in|--|/", message)


RESULTS = make_results()


def test_a_comparison_without_a_finished_run_names_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{number}\t{number}\n" for number in range(50)))

    def fail(*_: Any, **__: Any) -> None:
        raise NoRunFinished([Failure("failed", "--batch-size 64 is too large", 3)], RESULTS)

    monkeypatch.setattr(compare_module, "run_comparison", fail)
    monkeypatch.setattr(compare_module, "write_report", lambda *_: None)
    with pytest.raises(SightlineError) as caught:
        sightline.compare(tmp_path / "pairs.tsv", "translation", "gru", out_dir=tmp_path / "out", quiet=True)
    assert str(caught.value) == "no run finished: batch_size=64 is too large"
    assert (type(caught.value), caught.value.status) == (NoRunFinished, 3)


def test_the_error_of_a_run_names_arguments() -> None:
    failed = replace(RESULTS.runs[0], error="try a lower --optim.lr", status="failed")
    result = ComparisonResult(replace(RESULTS, runs=[failed, *RESULTS.runs[1:]]), Path("x"), Path("x/report.html"))
    assert result.runs["error"].to_list()[:2] == ['try a lower settings={"optim.lr": …}', RESULTS.runs[1].error]


def test_a_ladder_of_sizes_names_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to be or not to be\n" * 50)
    made = make_scale()
    flags = replace(
        made,
        verdict="add --sizes",
        warnings=["give a larger --budget"],
        laws=[replace(law, note="not decided: add --seeds") for law in made.laws],
    )
    monkeypatch.setattr(scale_module, "run_ladder", lambda *_, **__: flags)
    monkeypatch.setattr(scale_module, "write_scaling_pages", lambda *_: None)
    results = sightline.scale(str(tmp_path / "a.txt"), "language", ["gru"], out_dir=tmp_path / "out", quiet=True)
    assert (results.verdict, results.warnings) == ("add sizes=…", ["give a larger budget=…"])
    assert {law.note for law in results.laws} == {"not decided: add seeds=…"}
    assert "--" not in results._repr_html_()
