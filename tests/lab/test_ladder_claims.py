"""The outcome of each rung, from planted measurements on both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sightline.core.metrics import find_metric
from sightline.lab.jobs import JobResult
from sightline.lab.ladder import LADDERS, Lineage
from sightline.lab.ladder_claims import Evidence, changes, judge, reason_verdict
from sightline.lab.ladder_costs import in_rounds
from sightline.lab.ladder_results import LayerCosts
from sightline.lab.ladder_run import training_speed

LADDER = LADDERS["encoder-decoder"]
COUNT, LONG = 1200, 300
# The probability that a short and a long item is right, where every reason holds.
GOOD = {
    "rnn": (0.40, 0.10), "lstm": (0.42, 0.40), "gru": (0.42, 0.40), "attention": (0.45, 0.75), "layers": (0.70, 0.85),
    "self-attention": (0.25, 0.25), "heads": (0.45, 0.45), "positions": (0.72, 0.87), "window": (0.72, 0.87),
    "linear": (0.72, 0.87),
}  # fmt: skip
SPEED = {"rnn": 900, "lstm": 500, "gru": 700, "attention": 300, "layers": 250, "self-attention": 600, "heads": 590,
         "positions": 580, "window": 570, "linear": 500}  # fmt: skip
CHAIN = {"layers": 800, "self-attention": 99, "positions": 108, "window": 118, "linear": 154}
STEP = {"layers": 0.30, "self-attention": 0.20, "positions": 0.20, "window": 0.04, "linear": 0.06}
STATE = {"layers": 448, "self-attention": 10**6, "positions": 10**6, "window": 7000, "linear": 9000}


def _items(right: tuple[float, float], seeds: int) -> np.ndarray:
    """Rows (seeds, N) of items that are right with a probability by length; the same are hard for every rung."""
    hard = np.random.default_rng(0).permuted(np.linspace(0, 1, COUNT))
    limit = np.where(np.arange(COUNT) < COUNT - LONG, *right)
    return np.stack([hard < limit + 0.004 * (seed - 1) for seed in range(seeds)]).astype(float)


def _evidence(seeds: int = 3, right: Any = (), speed: Any = (), chain: Any = (), step: Any = (), state: Any = (),
              **changed: Any) -> Evidence:  # fmt: skip
    right, speed = {**GOOD, **dict(right)}, {**SPEED, **dict(speed)}
    chain, step, state = {**CHAIN, **dict(chain)}, {**STEP, **dict(step)}, {**STATE, **dict(state)}
    values: dict[str, Any] = {
        "metric": find_metric("exact_match"),
        "margin": 0.03,
        "items": {name: _items(of, seeds) for name, of in right.items()},
        "lengths": list(range(1, COUNT + 1)),
        "length_of": "source length (characters)",
        "speeds": {name: [of * (1 + 0.01 * (seed - 1)) for seed in range(seeds)] for name, of in speed.items()},
        "costs": {
            name: LayerCosts(chain[name], [of * (1 + 0.01 * (turn % 3)) for turn in range(7)], state[name])
            for name, of in step.items()
        },
        "length": 2048,
        "chain_length": 128,
    }
    return Evidence(**{**values, **changed})


def _verdicts(evidence: Evidence, ladder: Lineage = LADDER) -> dict[str, str]:
    return {name: reason_verdict(claims) for name, claims in judge(ladder, evidence).items() if claims}


def _part(*names: str) -> Lineage:
    """The first rung of each pair, and whatever it is compared with: fewer draws."""
    return replace(LADDER, rungs=tuple(LADDER.find(name) for name in names))


def test_every_reason_holds_where_it_was_planted() -> None:
    assert set(_verdicts(_evidence()).values()) == {"holds"}


WRONG = {
    "lstm": {"right": {"lstm": (0.60, 0.10)}},  # better, but not on long items
    "gru": {"right": {"gru": (0.30, 0.30)}},
    "attention": {"right": {"attention": (0.60, 0.20)}},  # better on short items, worse on long ones
    "layers": {"right": {"layers": (0.45, 0.75)}},  # the same as attention
    "self-attention": {"chain": {"self-attention": 900}},
    "heads": {"right": {"heads": (0.25, 0.25)}},
    "positions": {"right": {"positions": (0.40, 0.40)}},
    "window": {"step": {"window": 0.2}},
    "linear": {"state": {"linear": 10**7}},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_reason_does_not_hold_where_the_opposite_was_planted(name: str) -> None:
    rung = LADDER.find(name)
    evidence = _evidence(**WRONG[name])
    names = {rung.name, rung.over, "positions", "layers"} if name == "self-attention" else {rung.name, rung.over}
    evidence = replace(evidence, items={key: rows for key, rows in evidence.items.items() if key in names})
    assert _verdicts(evidence, _part(name)) == {name: "does not hold"}


@pytest.mark.parametrize(("name", "kind", "change"), [
    ("gru", "faster", {"speed": {"gru": 510}}),  # 2 % faster is the same
    ("gru", "faster", {"speed": {"gru": 400}}),
    ("self-attention", "kept", {"right": {"positions": (0.6, 0.6)}}),
    ("window", "kept", {"right": {"window": (0.5, 0.5)}}),
])  # fmt: skip
def test_one_claim_that_fails_is_enough(name: str, kind: str, change: dict[str, Any]) -> None:
    claims = judge(_part(name), _evidence(**change))[name]
    assert {claim.kind for claim in claims if claim.verdict == "does not hold"} == {kind}
    assert reason_verdict(claims) == "does not hold"


def test_a_loss_within_the_margin_keeps_quality_and_a_gain_within_it_is_none() -> None:
    evidence = _evidence(right={"gru": (0.41, 0.39), "heads": (0.26, 0.26)}, margin=0.05)
    assert _verdicts(evidence, _part("gru", "heads")) == {"gru": "holds", "heads": "does not hold"}


def test_one_seed_decides_nothing_but_what_is_counted_or_timed_apart() -> None:
    claims = judge(_part("lstm", "gru", "window"), _evidence(seeds=1))
    assert {name: reason_verdict(each) for name, each in claims.items()} == dict.fromkeys(claims, "not decided")
    assert claims["lstm"][0].missing == "one seed leaves the spread between trainings unknown"
    assert {claim.kind: claim.verdict for claim in claims["window"]} == {
        "faster at length": "holds", "smaller state": "holds", "kept": "not decided"
    }  # fmt: skip


def test_a_rung_without_a_finished_run_is_named_and_the_others_are_judged() -> None:
    evidence = _evidence()
    items = {name: rows for name, rows in evidence.items.items() if name in ("rnn", "lstm")}
    claims = judge(_part("lstm", "gru"), replace(evidence, items=items, costs={}))
    assert reason_verdict(claims["lstm"]) == "holds"
    assert claims["gru"][0].missing == "no run of gru finished"
    assert judge(_part("window"), replace(evidence, costs={}))["window"][0].missing == "the layers were not measured"


def test_few_items_and_seeds_that_differ_leave_it_open() -> None:
    noisy = {name: np.random.default_rng(seed).random((2, 40)) for seed, name in enumerate(("rnn", "lstm"))}
    evidence = _evidence(items=noisy, lengths=list(range(40)), metric=find_metric("token_accuracy"))
    (claim,) = judge(_part("lstm"), evidence)["lstm"]
    assert claim.verdict == "not decided"
    assert claim.on == 9


def test_where_less_is_better_a_smaller_loss_is_the_gain() -> None:
    rows = np.random.default_rng(0).random((3, COUNT, 1)) * 0.1 + np.array([0.99, 1.0, 1.01])[:, None, None]
    worse, better = (np.concatenate([rows + shift, np.ones_like(rows)], 2) for shift in (0.5, 0.0))
    evidence = _evidence(items={"rnn": worse, "lstm": better}, metric=find_metric("mse"), margin=0.01, lengths=[])
    (claim,) = judge(_part("lstm"), evidence)["lstm"]
    assert claim.verdict == "holds"
    assert claim.difference is not None
    assert claim.difference.mean == pytest.approx(-0.5)
    assert claim.superiority == 1.0
    assert "on all items, whose lengths do not differ or are not known" in claim.statement
    (claim,) = judge(_part("lstm"), replace(evidence, items={"rnn": better, "lstm": worse}))["lstm"]
    assert claim.verdict == "does not hold"
    change = changes(_part("lstm"), evidence)["lstm"]
    assert (change.outcome, change.by_quarter) == ("better", [])


def test_the_statement_names_the_items_and_both_rungs() -> None:
    (claim,) = judge(_part("attention"), _evidence())["attention"]
    assert claim.statement == (
        "attention is better than gru: exact match on the longest quarter (source length 902 to 1,200 characters, 299 "
        "items)"
    )
    kept = judge(_part("self-attention"), _evidence())["self-attention"][2]
    assert (kept.of, kept.over) == ("positions", "layers")


def test_the_difference_is_shown_for_each_quarter_too() -> None:
    change = changes(_part("attention"), _evidence())["attention"]
    means = [one.mean for one in change.by_quarter]
    assert means == pytest.approx([0.03, 0.03, 0.03, 0.35], abs=0.03)
    assert change.outcome == "better"
    assert change.difference.mean == pytest.approx(0.75 * 0.03 + 0.25 * 0.35, abs=0.02)


def test_the_speed_of_training_leaves_validations_out() -> None:
    records = [
        {"event": "train", "tokens": 100, "cpu_seconds": 1.0, "seconds": 3.0},
        {"event": "train", "tokens": 200, "cpu_seconds": 2.0, "seconds": 6.0},
        {"event": "valid", "tokens": 250, "cpu_seconds": 9.0, "seconds": 20.0},
        {"event": "train", "tokens": 350, "cpu_seconds": 10.0, "seconds": 23.0},
    ]
    job = JobResult(None, 1e-3, 23.0, records, tokens=350, cpu_s=10.0)
    assert training_speed(job) == pytest.approx(100.0)
    assert training_speed(job, by_clock=True) == pytest.approx(300 / 9)
    assert training_speed(replace(job, history=records[2:3])) == pytest.approx(35.0)


def test_layers_are_timed_in_turns_whose_order_alternates() -> None:
    called: list[str] = []
    taken = in_rounds({name: lambda name=name: called.append(name) for name in "abc"}, rounds=3, shortest_s=1e-12)
    assert called == [*"aabbcc", *"abc", *"cba", *"abc"]
    assert {name: len(each) for name, each in taken.items()} == {"a": 3, "b": 3, "c": 3}
