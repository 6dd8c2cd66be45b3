"""`--until-decided`: rounds of one seed more, until the best architecture is decided against each other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.core.sourced import with_sources, without_sources
from sightline.lab import stats
from sightline.lab.compare import compare
from sightline.lab.jobs import Failure, Job, JobResult, Prepared
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.results import Data, Results, Rounds
from sightline.lab.session import Session
from sightline.lab.summary import Outcome, summarise
from sightline.lab.verdict import judgement_of
from sightline.report.html import render
from tests.report.cells import without_spans

ITEMS = 400
CONFIG = CompareConfig(archs=("gru", "lstm"), seeds=2, search=0.0, until_decided=True, max_seeds=6, margin=3.0)
PREPARED = Prepared(
    data=Data("d", "0", train=1, valid=1, test=ITEMS, tested=ITEMS), budget_amount=60.0, budget_unit="seconds",
    learning_rates=dict.fromkeys(CONFIG.archs, 1e-3), metric="accuracy", metrics=["accuracy"], sources=[], lengths=[],
    attended=[], attended_pieces=[], baselines=[], environment={},
)  # fmt: skip


def outcome(config: CompareConfig, arch: str, seed: int, accuracy: float) -> Outcome:
    """A run that got this share of the items right, the same items for every seed."""
    right = np.arange(ITEMS) < round(accuracy * ITEMS)
    items = [[float(r), 1.0] for r in right]
    result = JobResult(
        1.0, 1e-3, 5.0, [], {"accuracy": float(right.mean())}, 500, 100, items=items, epochs=1, cpu_s=5.0
    )
    return Outcome(Job("run", config, Path(), Path(), arch, seed), result, None)


def trained(
    monkeypatch: pytest.MonkeyPatch, config: CompareConfig, accuracy: dict[str, Sequence[float]]
) -> tuple[Results, list[list[int]]]:
    """The results of rounds in which the run of seed i has the i-th accuracy, and the seeds of each round."""
    rounds: list[list[int]] = []
    monkeypatch.setattr(stats, "RESAMPLES", 1000)

    def train(session: Session, seeds: Sequence[int], trials: Sequence[Job] = ()) -> None:
        rounds.append(list(seeds))
        session.outcomes += [outcome(config, arch, seed, accuracy[arch][seed]) for seed in seeds for arch in accuracy]

    monkeypatch.setattr(Session, "_train", train)
    session = Session(config, Path(), Display(quiet=True), plan=divide(config, 60.0, "seconds"))
    session.train(PREPARED)
    return summarise(config, session.plan, PREPARED, session.outcomes, {}, ""), rounds


NOISE = [0.01, -0.01, 0.012, -0.008, 0.0, 0.01]


def test_a_plain_difference_needs_no_further_round(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = {"gru": [0.95 + x for x in NOISE], "lstm": [0.3 + x for x in NOISE]}
    results, rounds = trained(monkeypatch, CONFIG, accuracy)
    assert rounds == [[0, 1]]
    assert results.rounds == Rounds(2, 6, True)
    assert results.verdict.startswith("gru is best: ")
    assert results.verdict.endswith("Decided with 2 seeds each, of at most 6.")
    with with_sources():
        again = judgement_of(results)
    assert again != results.verdict, "without places of its numbers"
    assert without_sources(again) == results.verdict


def test_seeds_are_added_one_at_a_time_until_the_pair_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = {"gru": [0.80 + x for x in NOISE], "lstm": [0.60 - 3 * x for x in NOISE]}
    results, rounds = trained(monkeypatch, CONFIG, accuracy)
    assert rounds[0] == [0, 1]
    assert 2 <= len(rounds) <= 5
    assert rounds[1:] == [[seed] for seed in range(2, len(rounds) + 1)]
    seeds = list(range(len(rounds) + 1))
    assert results.budget.seeds == seeds
    assert [run.seed for run in results.runs if run.arch == "gru"] == seeds
    assert [a.started for a in results.architectures] == [len(seeds)] * 2
    assert results.rounds == Rounds(2, 6, True)
    earlier = [o for arch in accuracy for o in (outcome(CONFIG, arch, s, accuracy[arch][s]) for s in seeds[:-1])]
    plan = replace(results.budget, seeds=seeds[:-1])
    assert summarise(CONFIG, plan, PREPARED, earlier, {}, "").pairs[0].outcome == "not decided"


def test_the_most_seeds_end_what_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = {"gru": [0.70 + 5 * x for x in NOISE], "lstm": [0.69 - 5 * x for x in NOISE]}
    results, rounds = trained(monkeypatch, CONFIG, accuracy)
    assert rounds == [[0, 1], [2], [3], [4], [5]]
    assert results.rounds == Rounds(2, 6, False)
    assert "6 seeds, the most allowed, did not decide this." in results.verdict


def test_practically_the_same_is_decided_too(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = {"gru": [0.97 + x / 20 for x in NOISE], "lstm": [0.97 - x / 20 for x in NOISE]}
    results, rounds = trained(monkeypatch, CONFIG, accuracy)
    assert len(rounds) < 5
    assert " practically the same: accuracy" in results.verdict
    assert "margin ±3.0 points" in results.verdict
    assert results.margin == pytest.approx(0.03)
    page = without_spans(render(results))
    assert results.power_note == "", "nothing varies: no number of seeds follows"
    assert "Differences up to 3.0 points count as practically the same." in page
    assert "<br>practically the same" in page


def test_one_architecture_that_always_fails_does_not_add_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, archs=("gru", "rnn"))
    failure = Failure("failed", "too large", 2)

    def train(session: Session, seeds: Sequence[int], trials: Sequence[Job] = ()) -> None:
        session.outcomes += [outcome(config, "gru", seed, 0.5) for seed in seeds]
        session.outcomes += [Outcome(Job("run", config, Path(), Path(), "rnn", seed), None, failure) for seed in seeds]

    monkeypatch.setattr(Session, "_train", train)
    session = Session(config, Path(), Display(quiet=True), plan=divide(config, 60.0, "seconds"))
    session.train(PREPARED)
    assert session.plan.seeds == [0, 1]


def test_without_it_the_seeds_are_those_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = {"gru": [0.70 + 5 * x for x in NOISE], "lstm": [0.69 - 5 * x for x in NOISE]}
    results, rounds = trained(monkeypatch, replace(CONFIG, until_decided=False), accuracy)
    assert rounds == [[0, 1]]
    assert results.rounds is None
    assert results.power is not None
    assert results.power_note.startswith("To show a difference of 3.0 points between gru and lstm takes ")
    assert "until the best one is decided" not in results.budget.explained


def test_a_number_of_seeds_that_allows_no_look_is_refused() -> None:
    with pytest.raises(InputError, match="--seeds: must be at least 2, found 1"):
        replace(CONFIG, seeds=1)
    with pytest.raises(InputError, match=r"--max-seeds: must be .*2.*, found 1"):
        replace(CONFIG, max_seeds=1)
    with pytest.raises(InputError, match="--margin: must be at least 0, found -1"):
        replace(CONFIG, margin=-1.0)


@pytest.mark.slow
def test_real_trainings_with_later_seeds_follow_the_same_plan(tmp_path: Path) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abcdefghijklmnop" for b in "qrstuvwxyzabcdef"))
    config = CompareConfig(
        "translation", str(data), ("gru", "lstm"), "4steps", seeds=2, search=0.0, match="params=20000", workers=2,
        until_decided=True, max_seeds=3, margin=0.0,
    )  # fmt: skip
    results = compare(config, tmp_path / "out", display=Display(quiet=True))
    assert [(run.arch, run.seed, run.status, run.steps) for run in results.runs] == [
        (arch, seed, "done", 4) for arch in config.archs for seed in (0, 1, 2)
    ]
    assert results.rounds == Rounds(2, 3, False)
    assert Results.load(tmp_path / "out" / "results.json") == results
