"""Commands on a comparison use its winner, and say which."""

from __future__ import annotations

import json

import pytest

import sightline
from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.tasks.winner import chosen_run
from tests.tasks.translation.small import corpus

SMALL = {"model.d_model": 16, "batch_tokens": 512}


def comparison(folder, means, losses, metric="exact_match"):
    """The files of a comparison that a winner is found by: means of the metric, validation losses of the runs."""
    runs = []
    for (arch, seed), loss in losses.items():
        run = folder / "runs" / f"{arch}-seed{seed}"
        run.mkdir(parents=True)
        records = [{"event": "valid", "steps": 1, "loss": 0.0, "best": False}]
        records.append({"event": "valid", "steps": 2, "loss": loss, "best": True})
        (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        runs.append({"arch": arch, "seed": seed, "status": "done"})
    runs.append({"arch": "rnn", "seed": 0, "status": "failed"})
    architectures = [{"arch": arch, "metrics": {metric: {"mean": mean}}} for arch, mean in means.items()]
    results = {"primary_metric": metric, "data": {"loss_unit": "nats/token"}, "architectures": architectures}
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps({**results, "runs": runs}))
    return folder


@pytest.mark.parametrize(("metric", "winner"), [("exact_match", "lstm"), ("loss", "gru")])
def test_the_winner_is_best_on_test_and_its_run_on_validation(tmp_path, metric, winner, caplog):
    losses = {("gru", 0): 0.3, ("gru", 1): 0.2, ("lstm", 0): 0.5, ("lstm", 1): 0.4, ("lstm", 2): 0.6}
    folder = comparison(tmp_path, {"rnn": None, "gru": 0.2, "lstm": 0.8}, losses, metric)
    assert chosen_run(folder) == folder / "runs" / f"{winner}-seed1"
    assert f"the winner of this comparison is {winner}" in caplog.messages[-1]
    assert "the one with the lowest validation loss" in caplog.messages[-1]
    assert chosen_run(folder / "runs" / "gru-seed0") == folder / "runs" / "gru-seed0"


@pytest.mark.parametrize(
    ("kept_by", "seed", "words"),
    [
        ("accuracy", 2, "the highest validation accuracy"),
        ("ece", 1, "the lowest validation calibration error"),
        ("loss", 0, "the lowest validation loss"),
        (None, 0, "the lowest validation loss"),
    ],
)
def test_the_run_is_chosen_by_the_metric_that_kept_its_model(tmp_path, kept_by, seed, words, caplog):
    """Of equals by the loss; a run of which that metric is undefined comes last; older files do not name it."""
    folder = comparison(tmp_path, {"gru": 0.9}, dict.fromkeys([("gru", number) for number in range(4)], 0.0))
    values = {0: (0.2, 0.8, 0.3), 1: (0.5, 0.9, 0.1), 2: (0.4, 0.9, 0.2), 3: (0.3, None, None)}
    for number, (loss, accuracy, ece) in values.items():
        record = {"event": "valid", "loss": loss, "accuracy": accuracy, "ece": ece, "best": True}
        (folder / "runs" / f"gru-seed{number}" / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    results = json.loads((folder / "results.json").read_text())
    results["runs"] = [run | ({} if kept_by is None else {"kept_by": kept_by}) for run in results["runs"]]
    (folder / "results.json").write_text(json.dumps(results))
    assert chosen_run(folder) == folder / "runs" / f"gru-seed{seed}"
    assert f"of its 4 runs the one with {words}" in caplog.messages[-1]


def test_a_comparison_without_a_winner_is_refused(tmp_path):
    (tmp_path / "runs").mkdir()
    folder = comparison(tmp_path, {"rnn": None}, {})
    with pytest.raises(InputError, match="no run of this comparison finished"):
        chosen_run(folder)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(InputError, match=r"results.json: not the results of a comparison"):
        chosen_run(tmp_path)


def test_a_comparison_that_has_not_ended_says_so(tmp_path):
    (tmp_path / "runs" / "gru-seed0").mkdir(parents=True)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(InputError) as caught:
        sightline.load(tmp_path)
    ways = f"continue it, or use one of the runs in {tmp_path / 'runs'}"
    assert str(caught.value) == f"{tmp_path}: this comparison has not ended: {ways}"


def test_predict_and_eval_take_a_comparison(tmp_path, capsys):
    folder = comparison(tmp_path / "which", {"gru": 0.9}, {})
    run = folder / "runs" / "gru-seed0"
    rows = "".join(f"{source}\t{target}\n" for source, target in zip(*corpus().train.sides, strict=True))
    (tmp_path / "pairs.tsv").write_text(rows, encoding="utf-8")
    model = sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "2steps", out_dir=run, settings=SMALL)
    results = json.loads((folder / "results.json").read_text())
    results["runs"] = [{"arch": "gru", "seed": 0, "status": "done"}]
    (folder / "results.json").write_text(json.dumps(results))
    assert main(["predict", str(folder), "12"]) == 0
    out, err = capsys.readouterr()
    assert out == model.predict("12") + "\n"
    assert f"sightline: {folder}: the winner of this comparison is gru (exact match 90.0 %); using {run}\n" in err
    assert main(["eval", str(folder), "--limit", "2"]) == 0
    assert "gru on test part of" in capsys.readouterr().out
    assert sightline.load(folder).place == run / "best"
