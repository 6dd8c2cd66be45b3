"""A whole ladder, small: trained, continued, refused; and its command."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.lab import ladder as table
from sightline.lab.directory import RESULTS
from sightline.lab.job_runs import run_config
from sightline.lab.jobs import DONE
from sightline.lab.ladder_claims import ONE_SEED
from sightline.lab.ladder_results import LADDER, LadderResults
from sightline.lab.ladder_run import planned
from sightline.lab.plan import CompareConfig
from sightline.tasks.table import TASKS
from tests.plugins import ECHO, forgotten

KEYS: dict[str, Any] = {"search": 0.0, "tested": 20, "workers": 1, "match": "params=9000", "budget": "4steps"}
SETTINGS = {"batch_tokens": 60, "validation_outputs": 2, "validations": 1}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    letters = random.Random(0)
    words = {"".join(letters.choices("abc", k=letters.randint(2, 7))) for _ in range(120)}
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in sorted(words)))
    return path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ladder of three rungs, of which the last is compared with the one before it."""
    whole = table.LADDERS["encoder-decoder"]
    rungs = tuple(whole.find(name) for name in ("rnn", "positions", "linear"))
    rungs = (rungs[0], replace(rungs[1], over="rnn"), rungs[2])
    monkeypatch.setattr(table, "LADDERS", {"encoder-decoder": replace(whole, rungs=rungs)})


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_a_ladder_is_trained_judged_and_continued_with_more_seeds_and_a_mechanism_of_ones_own(
    pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = {**KEYS, "out_dir": out, "length": 64, "settings": SETTINGS, "quiet": True}
    first = sightline.ladder(pairs, seeds=1, **given)
    assert [rung.verdict for rung in first.results.rungs][:2] == [None, "not decided"]
    assert {claim.missing for claim in first.results.rungs[2].claims if claim.kind == "kept"} == {ONE_SEED}
    assert {path.name for path in out.iterdir()} == {
        ".lock", "prepared", "runs", "figures", "plan.json", RESULTS, LADDER, "report.html", "ladder.html"
    }  # fmt: skip
    stored = (out / "runs" / "rnn-seed0" / DONE).read_bytes()
    again = sightline.ladder(pairs, seeds=2, **given, resume=True)
    assert (out / "runs" / "rnn-seed0" / DONE).read_bytes() == stored
    assert LadderResults.load(out / LADDER).to_dict() == again.results.to_dict()
    for rung in again.results.rungs:
        assert rung.finished == 2
        assert rung.parameters == pytest.approx(9000, rel=0.3)
        assert rung.speed is not None
        assert rung.quality is not None
    linear = again.results.find("linear")
    assert linear.difference is not None
    assert linear.quality is not None
    positions = again.results.find("positions").quality
    assert positions is not None
    assert linear.difference.mean == pytest.approx(linear.quality.mean - positions.mean)  # type: ignore[operator]
    kinds = {claim.kind: claim for claim in linear.claims}
    assert kinds["smaller state"].verdict == "holds"
    assert kinds["faster at length"].p is not None
    assert list(again.table["rung"]) == ["rnn", "positions", "linear"]
    assert repr(again).startswith(again.verdict)
    with pytest.raises(InputError, match="contains a comparison: continue it with resume"):
        sightline.ladder(pairs, **given)
    # A mechanism of one's own becomes a rung of a ladder that began without it.
    (tmp_path / "echo.py").write_text(ECHO, encoding="utf-8")
    with forgotten(tmp_path):
        climbed = sightline.ladder(pairs, seeds=2, **given, plugin=str(tmp_path / "echo.py"), resume=True)
    assert (out / "runs" / "rnn-seed0" / DONE).read_bytes() == stored
    own = climbed.results.rungs[-1]
    assert (own.name, own.over, own.finished) == ("echo", "positions", 2)
    kinds = {claim.kind: claim.verdict for claim in own.claims}
    assert kinds["smaller state"] == "holds"  # of a GRU, against that of attention at 64 positions
    assert "echo in place of softmax attention" in climbed.report.read_text()


def _data(task: str, folder: Path) -> str:
    """A little data for a task."""
    words = ["alpha beta gamma", "beta gamma", "gamma alpha delta beta", "delta"] * 20
    rows = {
        "classification": "text,label\n" + "".join(f"{t} {n},{t.split()[0]}\n" for n, t in enumerate(words)),
        "language": "\n".join(words * 20),
        "forecasting": "time,value\n" + "".join(f"{step},{step % 7}\n" for step in range(400)),
    }
    path = folder / f"{task}.{'txt' if task == 'language' else 'csv'}"
    path.write_text(rows[task])
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "language", "forecasting"])
def test_every_rung_of_every_task_takes_a_step(task: str, tmp_path: Path) -> None:
    settings = {"lookback": 64, "horizon": 16} if task == "forecasting" else {}
    config, ladder = planned(CompareConfig(task, _data(task, tmp_path), match="params=40000", settings=settings))
    kind = TASKS[task]
    for name in ladder.names:
        run = run_config(config, name)
        data = kind.load_data(run)
        built: Any = kind.build(data, run)
        batch, _ = next(iter(built.batches(data.train, seed=0).stream()))
        loss = built.loss(built.model, batch)
        (loss.total / loss.count).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in built.model.parameters())


@pytest.mark.parametrize(("arguments", "message"), [
    (["--model.heads", "2"], "--model.heads: the rungs of the ladder differ in it: leave it out"),
    (["--archs", "gru"], "--archs: does not apply to a ladder: its architectures are the rungs"),
    (["--match", "flops=1M"], "--match: a ladder is matched by params=2M alone, found 'flops=1M'"),
    (["--budget", "3s", "--plan", "x"], "--budget and --plan are mutually exclusive"),
    (["--resume"], "--resume: needs --out-dir, the directory of the ladder to continue"),
    (["--length", "3"], "--length: must be at least 16, found 3"),
    (["--limit", "5", "--task", "translations"], "unknown task 'translations', did you mean 'translation'?"),
])  # fmt: skip
def test_wrong_flags_are_one_line_and_leave_nothing(
    pairs: Path, tmp_path: Path, arguments: list[str], message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["ladder", str(pairs), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("short")
def test_a_dry_run_shows_the_rungs_and_their_sizes_and_writes_nothing(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ladder", str(pairs), "--dry-run", "--json", "--model.d-model", "16"]) == 0
    shown = json.loads(capsys.readouterr().out)
    sizes = [row["parameters"] for row in shown["rungs"]]
    assert shown["match"] == f"params={sizes[1]}"
    assert [row["rung"] for row in shown["rungs"]] == ["rnn", "positions", "linear"]
    assert shown["rungs"][2]["keys"] == ["model.mixers"]
    assert main(["ladder", str(pairs), "--dry-run", "--match", "params=9000"]) == 0
    assert "against positions: linear attention instead of softmax attention" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("short")
def test_all_rungs_have_the_size_of_the_reference_unless_one_is_named(pairs: Path) -> None:
    config, ladder = planned(CompareConfig(data=str(pairs), settings={"limit": 50}))
    assert config.archs == ladder.names == ("rnn", "positions", "linear")
    assert config.match is not None
    assert int(config.match.removeprefix("params=")) > 50_000


@pytest.mark.parametrize("key", ["archs", "prefer", "sizes", "until_decided"])
def test_arguments_without_a_meaning_are_refused(key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}: does not apply to a ladder: .*[a-z…]$"):
        sightline.ladder("builtin:dates", **{key: "gru"})
