"""`--match`: how it is written, what it measures, and what it makes of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sightline.core.errors import InputError
from sightline.tasks.match import flops_per_token, matched
from sightline.tasks.match_flag import Match, parse_match
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import task_class


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("params=2M", Match("params", 2_000_000)),
        ("params=60000", Match("params", 60_000)),
        ("flops=1.5M", Match("flops", 1_500_000)),
        ("flops=2G", Match("flops", 2 * 10**9)),
        ("state=64KB@1024", Match("state", 64_000, 1024)),
        ("state=64KiB@8", Match("state", 65_536, 8)),
        ("state=512B@1", Match("state", 512, 1)),
    ],
)
def test_a_size_is_read(text: str, match: Match) -> None:
    assert parse_match(text) == match


@pytest.mark.parametrize(
    "text", ["2M", "params=", "params=2MB", "params=2M@3", "state=64KB", "state=64KB@0", "state=64@8", "flops=0", "x=1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=rf"match: expected params=2M, flops=1.5M .*found '{text}'"):
        parse_match(text)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"the cat {i} sat on the mat " * 20}) + "\n" for i in range(40)))
    return path


def _run(data: Path, arch: str, match: str, task: str = "language", **flags: Any) -> tuple[Any, Any, Any]:
    """The task's class, its data, and the run with the width that was matched."""
    kind = task_class(task)
    small = {"model.layers": 2} if task == "language" else {}
    run = resolve_run(file=None, environ={}, flags={"task": task, "data": str(data), "arch": arch, **small, **flags})
    run = run.changed(match=match)
    corpus = kind.load_data(run)
    return kind, corpus, matched(kind, corpus, run)


def test_a_recurrence_s_state_is_two_vectors_a_layer_at_any_length(texts: Path) -> None:
    """h and c of two layers, 4 bytes each: 16 d bytes."""
    for length in (1, 50):
        kind, corpus, run = _run(texts, "lstm", f"state=1024B@{length}")
        assert run.settings.model.d_model == 64
        assert kind.build(corpus, run).state_bytes_after(length) == 1024


def test_a_cache_of_keys_and_values_grows_with_the_text(texts: Path) -> None:
    """Keys and values of two layers, 4 bytes each: 16 d bytes a token."""
    _, _, run = _run(texts, "transformer", "state=65536B@64", **{"model.heads": 4})
    assert run.settings.model.d_model == 64


@pytest.mark.slow
def test_operations_per_token_are_those_of_training(texts: Path) -> None:
    """C = 6 N per token, N without embeddings that are only looked up (Kaplan et al. 2020, section 2.1)."""
    kind, corpus, run = _run(texts, "lstm", "flops=300k")
    task = kind.build(corpus, run)
    measured = flops_per_token(task, corpus)
    assert measured == pytest.approx(300_000, rel=0.25)
    assert run.match is None
    assert measured == pytest.approx(6 * task.parameters, rel=0.25)


def test_a_comparison_measures_a_width_once(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, corpus, run = _run(texts, "lstm", "params=9k")
    run = run.changed(match="state=1024B@8")
    first = matched(kind, corpus, run, tmp_path)
    monkeypatch.setattr(kind, "build_prepared", None)
    assert matched(kind, corpus, run, tmp_path) == first
    assert json.loads((tmp_path / "width-lstm.json").read_text()) == 64


def test_a_model_without_a_state_and_a_size_out_of_reach_are_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--match: state=4B@8 cannot be met within 25%: the nearest is 128 bytes at"):
        _run(texts, "lstm", "state=4B@8")
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("text,label\n" + "".join(f"word{i} x,{'ab'[i % 2]}\n" for i in range(60)))
    with pytest.raises(InputError, match="--match: a model for classification carries no state from token to token"):
        _run(labelled, "gru", "state=64KB@8", task="classification")
