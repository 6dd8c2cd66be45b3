"""A whole comparison, small, and wrong input."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics import BLEU

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.core.metrics import Baseline
from sightline.lab.compare import compare
from sightline.lab.directory import check_free, free_directory
from sightline.lab.dynamics import training_dynamics
from sightline.lab.jobs import Failure, Job, JobResult, Prepared
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.rates import optimum
from sightline.lab.results import Data, Results
from sightline.lab.summary import Outcome, length_bins, summarise
from sightline.lab.timeless import timeless
from sightline.report.html import render, write_report
from sightline.tasks.texts_out.scores import score_texts


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    letters = random.Random(0)
    words = {"".join(letters.choices("abcdefg", k=letters.randint(3, 9))) for _ in range(300)}
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in sorted(words)))
    return path


KEPT = """
from pathlib import Path

class Kept:
    def begin(self, run, config, step):
        with Path(__file__).with_name("begun.txt").open("a") as file:
            print(run, file=file)
        self.path = run / "kept.txt"
        self.path.write_text(f"begin {config['budget']} {step}\\n")

    def log(self, step, metrics):
        with self.path.open("a") as file:
            print("log", step, *metrics, file=file)

    def end(self, status):
        with self.path.open("a") as file:
            print("end", status, file=file)
"""


@pytest.fixture(scope="module")
def compared(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    out_dir = tmp_path_factory.mktemp("lab") / "out"
    (out_dir.parent / "kept.py").write_text(KEPT)
    config = CompareConfig(
        "translation",
        str(pairs),
        ("gru", "bahdanau"),
        "20steps",
        seeds=2,
        match="params=60000",
        search=0.4,
        rates=2,
        workers=2,
        log=f"{out_dir.parent / 'kept.py'}:Kept",
        settings={"validations": 3, "watch": True},
    )
    return compare(config, out_dir, command="sightline compare …", display=Display(quiet=True)), out_dir


@pytest.mark.slow
def test_a_tracker_follows_every_training(compared: tuple[Results, Path]) -> None:
    results, out_dir = compared
    followed = {path.parent: path.read_text().splitlines() for path in out_dir.rglob("kept.txt")}
    logs = {path.parent: path.read_text().splitlines() for path in out_dir.rglob("metrics.jsonl")}
    assert followed.keys() == logs.keys()  # those of trials are deleted
    assert len(followed) == len(results.runs)
    begun = (out_dir.parent / "begun.txt").read_text().splitlines()
    assert len(begun) == len(set(begun)) == len(results.runs) + sum(len(one.rates) for one in results.architectures)
    for run, (first, *lines, last) in followed.items():
        assert first.split()[2] == "0"
        assert last == "end completed"
        assert [int(line.split()[1]) for line in lines] == [json.loads(one)["steps"] for one in logs[run][:-1]]


@pytest.mark.slow
def test_it_measures_every_run(compared: tuple[Results, Path]) -> None:
    results, _ = compared
    assert [(run.arch, run.seed, run.status) for run in results.runs] == [
        (arch, seed, "done") for arch in ("gru", "bahdanau") for seed in (0, 1)
    ]
    for run in results.runs:
        assert run.steps == 12  # 20 less the 40 % that the search used
        assert {"exact_match", "bleu", "chrf", "loss", "perplexity"} <= run.metrics.keys()
        assert sum(record["event"] == "valid" for record in run.history) == 3
    for architecture in results.architectures:
        assert architecture.parameters == pytest.approx(60_000, rel=0.2)
        assert [rate.status for rate in architecture.rates] == ["done"] * 3  # of two, the best is always at an edge
        best = optimum({rate.lr: rate.loss for rate in architecture.rates})
        assert best is not None
        assert architecture.learning_rate == pytest.approx(best / (12 / 5) ** (1 / 3), rel=0.005)  # trials have 5 steps
        score = architecture.metrics["exact_match"]
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.mean <= score.high
        assert len(architecture.by_length) == len(results.lengths)
    assert sum(b.items for b in results.lengths) == results.data.tested
    assert len(results.pairs) == 1


@pytest.mark.slow
def test_only_the_one_with_attention_shows_it(compared: tuple[Results, Path]) -> None:
    results, _ = compared
    assert results.attention
    assert {maps.arch for example in results.attention for maps in example.architectures} == {"bahdanau"}


@pytest.mark.slow
def test_each_run_of_a_watched_comparison_shows_its_training(compared: tuple[Results, Path]) -> None:
    """The first steps and the last one; attention where there is some."""
    results, out_dir = compared
    for run in results.runs:
        seen = training_dynamics(out_dir / "runs" / f"{run.arch}-seed{run.seed}")
        assert seen.steps == [1, 2, 4, 8, run.steps]
        assert bool(seen.attention) == (run.arch == "bahdanau")


@pytest.mark.slow
def test_it_leaves_a_file_that_reads_back_and_runs_that_load(compared: tuple[Results, Path]) -> None:
    results, out_dir = compared
    assert Results.load(out_dir / "results.json").to_dict() == results.to_dict()
    assert (out_dir / "runs" / "gru-seed1" / "best" / "model.safetensors").exists()
    assert (out_dir / "runs" / "gru-seed1" / "config.yaml").exists()
    assert {path.name for path in out_dir.glob("trials/*/*")} == {"job.json", "result.json"}  # no model
    assert not list(out_dir.parent.glob(".*"))


def _comparable(results: Results) -> dict[str, Any]:
    return {key: value for key, value in timeless(results).items() if key != "command"}


@pytest.mark.slow
def test_a_comparison_by_the_plan_of_another_repeats_it(pairs: Path, tmp_path: Path) -> None:
    """A budget in seconds is measured once; with the steps of that measurement the losses are the same, bit for bit."""
    config = CompareConfig(
        "translation",
        str(pairs),
        ("gru", "bahdanau"),
        "1s",
        seeds=1,
        match="params=30000",
        search=0.2,
        rates=2,
        workers=2,
        settings={"validations": "2", "validation_share": "0.5"},
    )
    first = compare(config, tmp_path / "first", display=Display(quiet=True))
    assert [planned.arch for planned in first.budget.steps] == ["gru", "bahdanau"]
    for run, planned in zip(first.runs, first.budget.steps, strict=True):
        assert run.steps == planned.run.steps
        assert run.planned_s == planned.run.training_s
        assert planned.run.validations == sum(record["event"] == "valid" for record in run.history) == 2
        assert planned.run.validation_share <= 0.5
    plan = tmp_path / "first"
    again = compare(replace(config, budget="9s"), tmp_path / "again", display=Display(quiet=True), plan=plan)
    assert _comparable(again) == _comparable(first)


@pytest.mark.slow
def test_sizes_are_searched_with_their_rates(pairs: Path, tmp_path: Path) -> None:
    """A budget in seconds: every size has its own steps; the runs have the size of the best of the longest trials."""
    config = CompareConfig(
        "translation",
        str(pairs),
        ("gru",),
        "2s",
        seeds=2,
        search=0.5,
        rates=2,
        sizes=2,
        workers=2,
        settings={"model.d_model": "16", "validations": "2"},
    )
    results = compare(config, tmp_path / "first", display=Display(quiet=True))
    (gru,) = results.architectures
    sizes = sorted({rate.parameters for rate in gru.rates if rate.parameters})
    assert len(sizes) == 2
    assert sizes[1] == pytest.approx(4 * sizes[0], rel=0.3)
    assert sorted(planned.parameters or 0 for planned in results.budget.steps) == sizes
    assert sorted(rate.share for rate in gru.rates) == [1.0, 1.0, 1.0, 1.0, 3.0, 3.0]
    best = min((rate for rate in gru.rates if rate.share == 3), key=lambda rate: rate.loss or 0.0)
    assert gru.parameters == best.parameters
    assert gru.best_trial == best
    planned = results.planned("gru")
    assert planned is not None
    assert planned.trial is not None
    longer = planned.run.steps / (3 * planned.trial.steps)
    assert gru.learning_rate == pytest.approx(best.lr / longer ** (1 / 3), rel=0.005)  # two rates have no middle
    assert {run.steps for run in results.runs} == {planned.run.steps}
    again = compare(config, tmp_path / "again", display=Display(quiet=True), plan=tmp_path / "first")
    assert _comparable(again) == _comparable(results)
    report = write_report(results, tmp_path / "first").read_text(encoding="utf-8")
    assert "Search of size and learning rate" in report
    assert compare(config, tmp_path / "first", display=Display(quiet=True), resume=True).runs == results.runs


def _prepared(**changes: Any) -> Prepared:
    data = Data("pairs.tsv", "0" * 64, train=10, valid=2, test=4, tested=4)
    values: dict[str, Any] = {
        "data": data, "budget_amount": 60.0, "budget_unit": "seconds", "learning_rates": {"gru": 1e-3, "rnn": 1e-3},
        "metric": "exact_match", "metrics": ["exact_match"], "sources": ["a", "bb", "ccc", "dddd"],
        "lengths": [1, 2, 3, 4], "attended": [], "attended_pieces": [],
        "baselines": [Baseline("copy", "", {"exact_match": 0.1})], "environment": {},
    }  # fmt: skip
    return Prepared(**{**values, **changes})


def test_failed_and_diverged_runs_are_recorded_and_left_out_of_the_means(tmp_path: Path) -> None:
    config = CompareConfig(archs=("gru", "rnn"), seeds=2)

    def job(arch: str, seed: int) -> Job:
        return Job("run", config, tmp_path, tmp_path, arch, seed)

    good = JobResult(
        0.1, 1e-3, 5.0, [], {"exact_match": 0.75}, 10, 100, 1e9, 5000, 10**8,
        items=[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]],
        outputs=["1", "2", "3", ""], references=["1", "2", "3", "4"],
    )  # fmt: skip
    outcomes = [
        Outcome(job("gru", 0), good, None),
        Outcome(job("gru", 1), None, Failure("diverged", "step 3: the loss is nan", 4)),
        Outcome(job("rnn", 0), None, Failure("failed", "ended by SIGKILL")),
        Outcome(job("rnn", 1), None, Failure("failed", "ended by SIGKILL")),
    ]
    results = summarise(config, divide(config, 60.0, "seconds"), _prepared(), outcomes, {}, "")
    gru, rnn = results.architectures
    assert (gru.finished, gru.started, gru.metrics["exact_match"].mean) == (1, 2, 0.75)
    assert (rnn.finished, rnn.metrics, rnn.train_s) == (0, {}, None)
    assert [run.status for run in results.runs] == ["done", "diverged", "failed", "failed"]
    assert results.runs[1].error == "step 3: the loss is nan"
    assert "No run of rnn finished." in results.verdict


def test_a_search_is_recorded_and_named_where_its_best_rate_is_at_the_edge(tmp_path: Path) -> None:
    config = CompareConfig(archs=("gru", "rnn"), seeds=1)
    good = JobResult(0.1, 9e-3, 5.0, [], {"exact_match": 0.75}, 500, 100, cpu_s=5.0, items=[[1.0, 1.0]] * 4, epochs=1)
    outcomes = [Outcome(Job("run", config, tmp_path, tmp_path, arch), good, None) for arch in config.archs]
    shown = {"gru": {3.0: 0.7, 1 / 3: 0.9, 9.0: 0.6, 1.0: 0.8}, "rnn": {1 / 3: 0.9, 1.0: 0.5, 3.0: 0.8}}
    trials = {
        arch: [
            Outcome(Job("trial", config, tmp_path, tmp_path, arch, lr_factor=f), replace(good, loss=loss), None)
            for f, loss in losses.items()
        ]
        for arch, losses in shown.items()
    }
    results = summarise(config, divide(config, 60.0, "seconds"), _prepared(), outcomes, trials, "")
    results.save(tmp_path / "results.json")
    gru, rnn = Results.load(tmp_path / "results.json").architectures
    assert [rate.lr for rate in gru.rates] == pytest.approx([1e-3 / 3, 1e-3, 3e-3, 9e-3])
    assert [rate.loss for rate in gru.rates] == [0.9, 0.8, 0.7, 0.6]
    sentence = "gru: the largest learning rate that was tried was the best; raise --rates to try others."
    assert results.warnings == [sentence]
    assert results.verdict.endswith(sentence)
    assert gru.cautions == ["the largest rate that was tried was the best"]
    assert rnn.cautions == []
    page = render(results)
    assert page.count(sentence) == 1  # below the verdict
    assert gru.cautions[0] in page


def test_the_bleu_of_a_comparison_is_sacrebleus_of_each_seed(tmp_path: Path) -> None:
    config = CompareConfig(archs=("gru", "rnn"), seeds=2, metric="bleu")
    references = [f"the {a} cat saw the {b} dog {i} times" for i, (a, b) in enumerate([("old", "new")] * 20)]
    prepared = _prepared(metric="bleu", sources=references, lengths=[len(text) for text in references])
    outcomes, expected = [], {}
    for arch, cut in (("gru", 7), ("rnn", 4)):
        for seed in (0, 1):
            outputs = [" ".join(text.split()[: cut + (i + seed) % 2]) for i, text in enumerate(references)]
            scores = score_texts(outputs, references)
            counts = scores.items["bleu"].tolist()
            result = JobResult(1.0, 1e-3, 5.0, [], scores.metrics, items=counts, outputs=outputs, references=references)
            outcomes.append(Outcome(Job("run", config, tmp_path, tmp_path, arch, seed), result, None))
            expected.setdefault(arch, []).append(BLEU().corpus_score(outputs, [references]).score)
    results = summarise(config, divide(config, 60.0, "seconds"), prepared, outcomes, {}, "")
    for architecture in results.architectures:
        score = architecture.metrics["bleu"]
        assert score.mean == pytest.approx(sum(expected[architecture.arch]) / 2)
        assert score.low is not None
        assert score.low <= score.mean
    assert results.ranked[0].arch == "gru"
    assert results.pairs[0].shown
    assert "BLEU" in results.verdict


def test_bins_are_a_partition_in_order() -> None:
    lengths = [random.Random(1).randint(1, 40) for _ in range(500)] + [7] * 300
    bins = length_bins(lengths)
    assert sorted(i for *_, items in bins for i in items) == list(range(800))
    assert all(low <= lengths[i] <= high for low, high, items in bins for i in items)
    assert all(before[1] < after[0] for before, after in pairwise(bins))
    assert length_bins([3, 3]) == [(3, 3, [0, 1])]


def test_an_occupied_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(
        InputError, match=r"contains 'thesis.tex', which is not part of a comparison: choose another directory"
    ):
        check_free(tmp_path, overwrite=True)
    (tmp_path / "thesis.tex").rename(tmp_path / "results.json")
    with pytest.raises(
        InputError, match=r"contains a comparison: continue it with --resume, replace it with --overwrite"
    ):
        check_free(tmp_path, overwrite=False)
    check_free(tmp_path, overwrite=True)
    with pytest.raises(InputError, match="not a directory"):
        check_free(tmp_path / "results.json", overwrite=True)


def test_default_directories_never_collide(tmp_path: Path) -> None:
    assert free_directory(tmp_path, "builtin:dates").name == "builtin-dates"
    (tmp_path / "builtin-dates").mkdir()
    assert free_directory(tmp_path, "builtin:dates").name == "builtin-dates-2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--archs", "gru,lstmm"], "unknown architecture 'lstmm', did you mean 'lstm'?"),
        (["--log", "tensorbord"], "--log: unknown tracker 'tensorbord', did you mean 'tensorboard'?"),
        (["--seeds", "0"], "--seeds: must be at least 1, found 0"),
        (
            ["--metric", "macro_f1", "--archs", "gru"],
            "--metric: 'macro_f1' is not a metric of this task: choose one of exact_match, chrf, perplexity, ",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    pairs: Path, tmp_path: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out_dir = tmp_path / "out"
    assert main(["compare", "--data", str(pairs), "-o", str(out_dir), "--quiet", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sightline: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_comparison_without_a_finished_run_reports_it_and_exits_as_its_runs_do(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out_dir = tmp_path / "out"
    shape = ["--archs", "gru", "--seeds", "1", "--search", "0", "--budget", "6steps", "--model.d_model", "16"]
    diverging = ["--optim.lr", "1e30", "--optim.warmup_steps", "0"]
    assert main(["compare", "--data", str(pairs), "-o", str(out_dir), "--quiet", *shape, *diverging]) == 4
    captured = capsys.readouterr()
    assert captured.out.startswith("No verdict: no run finished. No run of gru finished.")
    note, error = captured.err.splitlines()
    assert "no header: the first row is data" in note
    assert error.startswith("sightline: error: no run finished: step ")
    assert [run.status for run in Results.load(out_dir / "results.json").runs] == ["diverged"]
    assert (out_dir / "report.html").exists()


@pytest.mark.slow
def test_json_prints_the_results_and_nothing_else(
    compared: tuple[Results, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, _ = compared
    monkeypatch.setattr("sightline.lab.compare.compare", lambda *_, **__: results)
    assert main(["compare", "--data", "x.tsv", "-o", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == results.to_dict()
    demo = tmp_path / "demo"
    assert main(["demo", "-o", str(demo)]) == 0
    out = capsys.readouterr().out
    cautions = [f"caution: {caution}" for caution in results.cautions]
    assert out.splitlines()[: 1 + len(cautions)] == [results.judgement, *cautions]
    assert f"{demo / 'report.html'}\nuse the winner: sightline predict {demo}" in out
