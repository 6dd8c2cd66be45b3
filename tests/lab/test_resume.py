"""A comparison that was killed, and one that grows: what ended is not trained again, and the results are the same."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sightline.core.errors import InputError
from sightline.lab.compare import compare
from sightline.lab.jobs import DONE, FAILED, JOB, Failure, Job, JobResult, Prepared, write_json
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.results import Results
from sightline.lab.resume import Begun, stored_outcome
from sightline.lab.timeless import timeless
from tests.lab.test_compare import _prepared
from tests.waiting import PATIENCE_S, wait_until

CONFIG = CompareConfig(data="pairs.tsv", archs=("gru", "rnn"), budget="20steps", seeds=2, search=0.4, rates=2)


def _begun(config: CompareConfig = CONFIG) -> Begun:
    return Begun(config, divide(config, 20.0, "steps"), "0" * 64, "exact_match")


def test_architectures_and_seeds_join_and_never_get_fewer(tmp_path: Path) -> None:
    joined = _begun().joined(replace(CONFIG, archs=("lstm", "gru"), seeds=1, workers=7), tmp_path)
    assert (joined.archs, joined.seeds) == (("gru", "rnn", "lstm"), 2)
    assert _begun().joined(replace(CONFIG, seeds=5), tmp_path).seeds == 5


def test_the_first_look_of_a_comparison_until_decided_stays_where_it_was(tmp_path: Path) -> None:
    begun = _begun(replace(CONFIG, until_decided=True))
    with pytest.raises(InputError, match="began with --seeds 2, not 3"):
        begun.joined(replace(CONFIG, until_decided=True, seeds=3), tmp_path)


def test_a_plugin_may_join_and_none_may_be_left_out(tmp_path: Path) -> None:
    begun = _begun(replace(CONFIG, plugin=("a.py",)))
    assert begun.joined(replace(CONFIG, plugin=("b.py", "a.py")), tmp_path).plugin == ("b.py", "a.py")
    variants = {"one": {"arch": "gru", "model.options": {"window": {"window": 8}}}}
    named = replace(_begun(), config=replace(CONFIG, variants=variants))
    grown = replace(CONFIG, variants={**variants, "two": {"arch": "lstm"}})
    assert named.joined(grown, tmp_path).variants == grown.variants
    with pytest.raises(InputError, match="the comparison began with --variants"):
        named.joined(replace(CONFIG, variants={"one": {"arch": "lstm"}}), tmp_path)
    with pytest.raises(InputError, match=r"began with --plugin a\.py, not "):
        begun.joined(CONFIG, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": "30steps"}, "began with --budget 20steps, not 30steps"),
        ({"match": "params=2M"}, "began without --match, not with params=2M"),
        ({"seed": 4}, "began with --seed 0, not 4"),
        ({"settings": {"beam_size": 3}}, "began without --beam-size, not with 3"),
        ({"data": "other.tsv", "budget": "1s"}, "began with --data pairs.tsv, not other.tsv"),
    ],
)
def test_the_first_setting_that_differs_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{message}: replace it with --overwrite, or choose another directory"):
        _begun().joined(replace(CONFIG, **change), tmp_path)


def test_other_data_and_another_metric_are_refused(tmp_path: Path) -> None:
    _begun().check_data(_prepared(), tmp_path)
    with pytest.raises(InputError, match="the data has changed since the comparison began"):
        replace(_begun(), sha256="1" * 64).check_data(_prepared(), tmp_path)
    with pytest.raises(InputError, match="the comparison ranks by bleu, not exact_match"):
        replace(_begun(), metric="bleu").check_data(_prepared(), tmp_path)


def test_a_plugin_that_was_edited_meanwhile_is_refused(tmp_path: Path) -> None:
    """Runs of before and after would stand side by side as seeds of one architecture."""

    def with_plugin(source: str) -> Prepared:
        whole = _prepared()
        return replace(whole, environment={**whole.environment, "plugins": {"ema.py": source}})

    (tmp_path / "prepared").mkdir()
    write_json(tmp_path / "prepared" / DONE, with_plugin("ema, sha256 12ab"))
    for same in (with_plugin("ema, sha256 12ab"), _prepared()):  # which the architectures of before do not need
        _begun().check_data(same, tmp_path)
    with pytest.raises(
        InputError, match=r"the plugin ema\.py has changed since the comparison began \(ema, sha256 12ab"
    ):
        _begun().check_data(with_plugin("ema, sha256 34cd"), tmp_path)
    write_json(tmp_path / "prepared" / DONE, _prepared())  # it joins
    _begun().check_data(with_plugin("ema, sha256 34cd"), tmp_path)


@pytest.mark.parametrize("known", ["1" * 64, ""])
def test_other_test_items_of_the_same_data_are_refused(known: str, tmp_path: Path) -> None:
    """Rows of runs are compared item by item; where all items are tested there are no others."""
    whole = _prepared().data
    some = replace(whole, tested=2, tested_sha256="2" * 64)
    (tmp_path / "prepared").mkdir()
    for before, now, refused in (
        (replace(some, tested_sha256=known), some, True),
        (some, some, False),
        (replace(whole, tested_sha256=known), whole, False),
    ):
        write_json(tmp_path / "prepared" / DONE, _prepared(data=before))
        if not refused:
            _begun().check_data(_prepared(data=now), tmp_path)
            continue
        with pytest.raises(InputError, match="the comparison began with other test items of the same data"):
            _begun().check_data(_prepared(data=now), tmp_path)


def test_more_seeds_leave_the_trials_as_they_were() -> None:
    begun = _begun()
    more = begun.planned(divide(replace(CONFIG, seeds=6), 20.0, "steps"))
    assert more.seeds == [0, 1, 2, 3, 4, 5]
    assert more.search_each == begun.plan.search_each
    assert "4 more seeds for each architecture came later" in more.explained


def test_what_is_saved_is_loaded_and_an_older_comparison_is_refused(tmp_path: Path) -> None:
    assert Begun.load(tmp_path) is None
    begun = _begun(replace(CONFIG, settings={"lowercase": True}))
    begun.save(tmp_path)
    assert Begun.load(tmp_path) == begun
    (tmp_path / "old" / "runs").mkdir(parents=True)
    with pytest.raises(InputError, match=r"has runs but no plan\.json"):
        Begun.load(tmp_path / "old")


def test_only_a_job_that_ended_and_is_the_same_is_kept(tmp_path: Path) -> None:
    job = Job("run", CONFIG, tmp_path, tmp_path, "gru", 0, "12steps", lr_factor=1 / 3)
    assert stored_outcome(job) is None
    write_json(tmp_path / JOB, job)
    assert stored_outcome(job) is None  # killed
    write_json(tmp_path / FAILED, Failure("interrupted", "stopped by SIGTERM"))
    assert stored_outcome(job) is None
    write_json(tmp_path / FAILED, Failure("diverged", "step 3: the loss is nan"))
    kept = stored_outcome(job)
    assert kept is not None
    assert kept.failure == Failure("diverged", "step 3: the loss is nan")
    write_json(tmp_path / DONE, JobResult(0.5, 1e-3, 1.0, []))
    kept = stored_outcome(job)
    assert kept is not None
    assert kept.result == JobResult(0.5, 1e-3, 1.0, [])
    assert stored_outcome(replace(job, lr_factor=1.0)) is None


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    letters = random.Random(0)
    words = {"".join(letters.choices("abcdefg", k=letters.randint(3, 9))) for _ in range(120)}
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in sorted(words)))
    return path


SMALL = {"batch_tokens": 100, "limit": 60, "validation_outputs": 5}


def _compare(pairs: Path, out_dir: Path, **changes: Any) -> Results:
    small: dict[str, Any] = {"archs": ("gru",), "match": "params=9000", "workers": 1, "tested": 10, "settings": SMALL}
    config = replace(CONFIG, data=str(pairs), budget="8steps", **(small | changes))
    return compare(config, out_dir, display=Display(quiet=True), resume=True)


def _comparable(results: Results) -> dict[str, Any]:
    return {key: value for key, value in timeless(results).items() if key not in ("command", "environment", "settings")}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills a process and its workers")
def test_a_killed_comparison_continues_and_grows(pairs: Path, tmp_path: Path) -> None:
    """SIGKILL after the first run; the rest is as if it had been left alone; another architecture and seed join it."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sightline", "compare", "--data", str(pairs), "--archs", "gru", "--budget"]
    command += ["8steps", "--seeds", "2", "--search", "0.4", "--rates", "2", "--match", "params=9000", "--workers", "1"]
    command += ["--tested", "10", *(f"--{name}={value}" for name, value in SMALL.items())]
    process = subprocess.Popen([*command, "-q", "-o", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    first = out / "runs" / "gru-seed0" / DONE
    try:
        for stage in (out / "plan.json", out / "trials" / "gru-x1" / DONE, out / "trials" / "gru-x3" / DONE, first):
            wait_until(lambda stage=stage: stage.exists() or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert first.exists(), errors
    assert not (out / "results.json").exists()
    trained = {path: path.stat().st_mtime_ns for path in out.glob("[rt]*/*/result.json")}
    resumed = _compare(pairs, out)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert _comparable(resumed) == _comparable(_compare(pairs, tmp_path / "alone"))
    trained = {path: path.stat().st_mtime_ns for path in out.glob("[rt]*/*/result.json")}
    grown = _compare(pairs, out, archs=("rnn",), seeds=3)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert [(run.arch, run.seed) for run in grown.runs] == [(a, seed) for a in ("gru", "rnn") for seed in (0, 1, 2)]
    assert grown.runs[:2] == resumed.runs
    assert json.loads((out / "results.json").read_text())["budget"]["seeds"] == [0, 1, 2]
