"""A result of the battery with every kind of entry, made by hand."""

from __future__ import annotations

from dataclasses import replace

from sightline.inspect.faithfulness_results import (
    CalibratedTest,
    CallRate,
    ErasureCurve,
    Faithfulness,
    ItemScores,
    JudgedMap,
    MethodPair,
    PlantedResult,
    Retrained,
    RetrainedModel,
    RetrainedTest,
)
from sightline.inspect.influence_map import InspectedModel

HOSTILE = "<script>alert(1)</script>"


def rate(kind: str, share: float, n: int = 60) -> CallRate:
    return CallRate(kind, share, max(0.0, share - 0.1), min(1.0, share + 0.1), n)


def calibrated(name: str, group: str, counts: bool) -> CalibratedTest:
    kinds = [rate("made map", 0.98), rate("shuffled map", 0.04), CallRate("own map elsewhere")]
    about = name, group, f"The definition of {name}.", "any model", "high", 0.5
    worth = rate("hit", 0.95), rate("false alarm", 0.05), kinds, rate("effect", 0.9), rate("shuffled effect", 0.1)
    return CalibratedTest(*about, *worth, counts, "" if counts else "it does not tell right maps from wrong ones")


def results() -> Faithfulness:
    """Two maps, four tests, two planted problems."""
    groups = ("agreement", "erasure", "swap", "weights")
    tests = [calibrated(f"test_of_{group}", group, counts=group != "agreement") for group in groups]
    scores = [
        ItemScores(
            test.name, 0.4, 0.3, 0.5, 80, 0.7, *((0.72, 0.6, 0.83) if test.counts else (None, None, None)), [0.4]
        )
        for test in tests
    ]
    names = ("softmax pooling.weights", "jacobian encoder")
    maps = [
        JudgedMap(names[0], "softmax", "pooling.weights", 0, "may", f"Because {HOSTILE}.", scores),
        JudgedMap(names[1], "jacobian", "encoder", 0, "may not", "No test tells maps apart here.", scores[:1]),
    ]
    at = [0.01, 0.1, 0.5]
    curves = [
        ErasureCurve(way, measure, order, at, [0.1, 0.2 + bonus, 0.4 + bonus], [0.0, 0.1, 0.3], [0.2, 0.4, 0.7])
        for way in ("removal", "replacement")
        for measure in ("comprehensiveness", "sufficiency")
        for order, bonus in ((names[0], 0.1), (names[1], 0.02), ("random", 0.0), ("effect", 0.2))
    ]
    pairs = [
        MethodPair(first, second, tau, tau - 0.1, tau + 0.1, 80)
        for first, second, tau in ((*names, 0.12), (names[0], "effect", 0.61), (names[1], "effect", -0.05))
    ]
    planted = [
        PlantedResult(
            "token lookup", "One mark decides.", False, True, "", 1.0, 0.99, 0.98,
            {names[0]: 0.7, names[1]: 0.1}, 300, 12345, 60,
        ),
        PlantedResult(
            "key-value recall", "A key asks.", False, False, "not learned: accuracy 0.40", 0.4, 0.2, None,
            {}, 1300, 12345, 60,
        ),
    ]  # fmt: skip
    model = InspectedModel(f"runs/{HOSTILE}", "bilstm_attention", "classification", 12345)
    verdict = "Attention may be shown as an explanation for this model and data: 72 % of 80 items."
    return Faithfulness(
        model, "test part of sst.csv", "items", 80, 19.4, 0, "may", verdict, maps, tests, planted, curves, pairs,
        ["relevance: none for LSTM"], "sightline inspect runs/x --faithfulness",
    )  # fmt: skip


def with_retrained() -> Faithfulness:
    """The same with models that were trained again."""
    models = [
        RetrainedModel("model", "the run's model", 0, "accuracy", 0.95, 0.9, 0.98),
        RetrainedModel("seed", "the same with another seed", 40, "accuracy", 0.9, 0.85, 0.94),
        RetrainedModel("even", "the same with even attention", 40, "accuracy", 0.7, 0.6, 0.8),
    ]
    tests = [
        RetrainedTest("learned attention", "Is it needed?", "points", 20.0, 12.5, 27.5, 60, "Attention is needed."),
        RetrainedTest("seed variance", "How far?", "nats", 0.1, 0.08, 0.12, 60, f"Then {HOSTILE}."),
        RetrainedTest("adversary: answers", "How much?", "share", None, None, None, 0, "Nothing."),
    ]
    return replace(results(), retrained=Retrained("40steps", 60, models, tests))
