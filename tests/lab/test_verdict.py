"""What the verdict may and may not say."""

from __future__ import annotations

from dataclasses import replace

from sightline.core.metrics import Baseline
from sightline.lab.results import Decision, Estimate, Pair, Rounds
from sightline.lab.verdict import finished_seeds, verdict

SCORES = {
    "bahdanau": Estimate(0.996, 0.991, 0.999),
    "transformer": Estimate(0.975, 0.965, 0.985),
    "gru": Estimate(0.12, 0.10, 0.14),
}


def pair(first: str, second: str, low: float, high: float, shown: bool) -> Pair:
    p = 0.001 if shown else 0.4
    return Pair(first, second, Estimate(SCORES[first].mean - SCORES[second].mean, low, high), p, p, shown)


ALL_SHOWN = [
    pair("bahdanau", "transformer", 0.012, 0.030, True),
    pair("bahdanau", "gru", 0.84, 0.90, True),
    pair("transformer", "gru", 0.83, 0.88, True),
]


def test_a_clear_winner_is_named_with_its_interval_and_its_lead() -> None:
    assert verdict("exact_match", SCORES, ALL_SHOWN, seeds=3) == (
        "bahdanau is best: exact match 99.6 % [99.1–99.9], 2.1 points above transformer (95 % interval 1.2–3.0)."
    )


def test_a_tie_at_the_top_is_no_difference_shown() -> None:
    pairs = [pair("bahdanau", "transformer", -0.01, 0.05, False), *ALL_SHOWN[1:]]
    assert verdict("exact_match", SCORES, pairs, seeds=5) == (
        "No difference shown between bahdanau and transformer: exact match 99.6 % and 97.5 % (difference 2.1 "
        "points, 95 % interval −1.0 to 5.0); bahdanau is above gru."
    )


def test_where_smaller_is_better_the_best_is_below_the_others() -> None:
    scores = {"gru": Estimate(1.20, 1.15, 1.25), "lstm": Estimate(1.31, 1.25, 1.37)}
    difference = Pair("gru", "lstm", Estimate(-0.11, -0.15, -0.07), 0.001, 0.001, True)
    trivial = [Baseline("always the mean", "", {"loss": 1.5})]
    assert verdict("loss", scores, [difference], seeds=5, baselines=trivial) == (
        "gru is best: loss 1.200 [1.150–1.250], 0.110 loss below lstm (95 % interval 0.070–0.150)."
    )
    better = [Baseline("always the mean", "", {"loss": 1.1})]
    assert "“always the mean” (1.100)." in verdict("loss", scores, [difference], seeds=5, baselines=better)


def test_an_interval_above_zero_beside_no_difference_is_explained() -> None:
    first = pair("bahdanau", "transformer", 0.008, 0.074, False)
    text = verdict("exact_match", SCORES, [first, *ALL_SHOWN[1:]], seeds=5)
    assert "95 % interval 0.8–7.4 for this pair alone; p = 0.4 after correction for 3 comparisons" in text


def test_an_interval_within_the_margin_of_what_is_not_decided_is_explained() -> None:
    near = replace(pair("bahdanau", "transformer", -0.004, 0.009, False), outcome="not decided", p_same=0.081)
    pairs = [near, *decided(ALL_SHOWN[1:])]
    text = verdict("exact_match", SCORES, pairs, seeds=5, margin=0.01)
    expected = "95 % interval −0.4 to 0.9 within the margin ±1.0 points for this pair alone; p = 0.081 after correction"
    assert f"{expected} for 3 comparisons" in text
    alone = verdict("exact_match", SCORES, [replace(near, difference=Estimate(0.0, -0.02, 0.009)), *pairs[1:]], seeds=5)
    assert "for this pair alone" not in alone


def test_the_verdict_says_that_there_is_no_difference() -> None:
    pairs = [pair(p.first, p.second, -1.0, 1.0, False) for p in ALL_SHOWN]
    text = verdict("exact_match", SCORES, pairs, seeds=2)
    everyone = "No difference shown between bahdanau, transformer and gru: exact match 99.6 %, 97.5 % and 12.0 % (diff"
    assert text.startswith(everyone)


def decided(pairs: list[Pair], **outcomes: Decision) -> list[Pair]:
    """The pairs with the outcomes of those with bahdanau."""
    return [replace(p, outcome=outcomes.get(p.second, "better") if p.first == "bahdanau" else "better") for p in pairs]


def test_all_three_outcomes_are_said_in_words() -> None:
    nearest = pair("bahdanau", "transformer", -0.003, 0.007, False)
    pairs = decided([nearest, *ALL_SHOWN[1:]], transformer="practically the same")
    assert verdict("exact_match", SCORES, pairs, seeds=3, margin=0.01) == (
        "bahdanau and transformer are practically the same: exact match 99.6 % and 97.5 % (difference "
        "2.1 points, 95 % interval −0.3 to 0.7, margin ±1.0 points); bahdanau is above gru."
    )
    pairs = decided(pairs, transformer="not decided", gru="practically the same")
    assert verdict("exact_match", SCORES, pairs, seeds=3, margin=0.01) == (
        "Not decided between bahdanau and transformer: exact match 99.6 % and 97.5 % (difference 2.1 "
        "points, 95 % interval −0.3 to 0.7); bahdanau and gru are practically the same: exact "
        "match 99.6 % and 12.0 % (difference 87.6 points, 95 % interval 84.0–90.0, margin ±1.0 "
        "points)."
    )
    pairs = decided(pairs, transformer="practically the same", gru="practically the same")
    assert "transformer and gru are each practically the same as bahdanau: " in verdict(
        "exact_match", SCORES, pairs, seeds=3, margin=0.01
    )


def test_the_margin_of_an_error_is_written_in_its_unit() -> None:
    scores = {"gru": Estimate(1.20, 1.15, 1.25), "lstm": Estimate(1.201, 1.15, 1.25)}
    same = Pair("gru", "lstm", Estimate(-0.001, -0.005, 0.003), 0.8, 0.8, False, "practically the same")
    text = verdict("mse", scores, [same], seeds=4, margin=0.012)
    assert text.endswith("(difference 0.001 MSE, 95 % interval −0.003 to 0.005, margin ±0.012 MSE).")


def test_what_more_seeds_did_is_said() -> None:
    still_open = decided(ALL_SHOWN, transformer="not decided")
    text = verdict("exact_match", SCORES, still_open, seeds=10, margin=0.01, rounds=Rounds(3, 10, False))
    assert text.endswith("10 seeds, the most allowed, did not decide this.")
    text = verdict("exact_match", SCORES, ALL_SHOWN, seeds=5, margin=0.01, rounds=Rounds(3, 10, True))
    assert text.endswith("Decided with 5 seeds each, of at most 10.")


def test_one_seed_gives_no_verdict() -> None:
    text = verdict("exact_match", SCORES, ALL_SHOWN, seeds=1)
    assert text.startswith("No verdict: with one seed")
    assert "best" not in text


def test_one_architecture_with_a_single_run_leaves_the_verdict_of_the_others() -> None:
    pairs = decided(ALL_SHOWN, gru="not decided")
    seeds, single = finished_seeds({"bahdanau": 3, "transformer": 4, "gru": 1})
    text = verdict("exact_match", SCORES, pairs, seeds=seeds, single=single, margin=0.01)
    assert text.startswith("Not decided between bahdanau and gru: ")
    assert "bahdanau is above transformer" in text
    assert text.endswith(" Of gru a single run finished, which is not enough to decide.")
    assert (seeds, single) == (3, ["gru"])
    seeds, single = finished_seeds({"bahdanau": 3, "transformer": 1, "gru": 1})
    text = verdict("exact_match", SCORES, pairs, seeds=seeds, single=single)
    assert text.startswith(
        "No verdict: with one seed of transformer and gru the spread between trainings is unknown. Means"
    )
    assert verdict("exact_match", SCORES, [], seeds=3).startswith(
        "No verdict: no pair was compared. Means of the finished"
    )
    assert finished_seeds({}) == (0, [])
    assert finished_seeds({"gru": 3}) == (3, [])


def test_a_trivial_baseline_that_wins_is_named() -> None:
    baseline = Baseline("nearest training source", "copies", {"exact_match": 0.5})
    scores = {"gru": SCORES["gru"], "lstm": Estimate(0.1, 0.08, 0.12)}
    pairs = [Pair("gru", "lstm", Estimate(0.02, -0.01, 0.05), 0.3, 0.3, False)]
    text = verdict("exact_match", scores, pairs, seeds=2, baselines=[baseline])
    assert text.startswith("No architecture beats the baseline “nearest training source” (50.0 %). No difference shown")
    near = Baseline("nearest training source", "copies", {"exact_match": next(iter(scores.values())).mean + 1e-5})
    text = verdict("exact_match", scores, pairs, seeds=2, baselines=[near])
    assert text.startswith("No architecture beats the baseline “nearest training source” (12.0 %).")
    assert "baseline" not in verdict("exact_match", SCORES, ALL_SHOWN, seeds=2, baselines=[baseline])


def test_architectures_that_never_finished_are_named() -> None:
    assert verdict("bleu", {}, [], seeds=0, unfinished=["rnn", "gru"]) == (
        "No verdict: no run finished. No run of rnn and gru finished."
    )
    text = verdict("exact_match", {"gru": SCORES["gru"]}, [], seeds=2, unfinished=["rnn"])
    assert text == "Only gru was measured: exact match 12.0 % [10.0–14.0]. No run of rnn finished."
