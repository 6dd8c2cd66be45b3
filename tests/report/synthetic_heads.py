"""A report about attention heads, made by hand: two layers over a sequence and one over a memory."""

from __future__ import annotations

from sightline.inspect.head_report import (
    ArcRelation,
    ArcShare,
    HeadsReport,
    InspectedHead,
    LayerOfHeads,
    PruningCurve,
    PruningPoint,
    SyntaxAgreement,
)
from sightline.inspect.influence_map import InspectedModel

NAME = "runs/<b>hostile</b>"


def make_heads() -> HeadsReport:
    even = {"previous": 0.2, "first": 0.3, "duplicate": None, "induction": 0.1, "distance": 1.0, "entropy": 1.0}
    layers = [
        LayerOfHeads("encoder.0.weights", "full self 1", "self", False, 4, even=even),
        LayerOfHeads("decoder.0.weights", "causal self 1", "self", True, 4, [0, 2, 3, 5], even),
        LayerOfHeads("decoder.1.weights", "cross 1", "cross", True, 4, even={"first": 0.1, "entropy": 1.0}),
    ]
    heads = [_head(layer, number) for layer in range(3) for number in range(4)]
    curves = [
        PruningCurve(
            "ablation", 1, [PruningPoint(n, 0.1 + 0.002 * n**2, 0.98 - 0.0005 * n**2) for n in (0, 3, 6, 9, 12)]
        ),
        PruningCurve(
            "gradient", 1, [PruningPoint(n, 0.1 + 0.004 * n**2, 0.98 - 0.0006 * n**2) for n in (0, 3, 6, 9, 12)]
        ),
        PruningCurve("random", 5, [_mean(n) for n in (0, 3, 6, 9, 12)]),
    ]
    return HeadsReport(
        InspectedModel(NAME, "transformer", "translation", 123_456), "valid part of builtin:dates", 200, "pairs", 0.1,
        "nats/token", "exact_match", 0.98, [[0, 0], [1, 1], [2, 2], [3, 3], [4, 8], [9, 16]], layers, heads, curves,
        _syntax(), ["no scores of decoder.9"], "sightline inspect runs/x --heads",
    )  # fmt: skip


def _head(layer: int, number: int) -> InspectedHead:
    roles = {(1, 0): "previous", (1, 2): "induction", (0, 3): "first"}
    memory = layer == 2
    share = [0.1, 0.5, 0.2, 0.1, 0.1, 0.0] if number % 2 else [0.3, 0.1, 0.1, 0.1, 0.2, 0.2]
    before = [value / 2 for value in share] if layer == 0 else share
    scores = {"first": 0.1 * number, "entropy": 0.9 - 0.2 * number}
    if not memory:
        scores |= {"previous": 0.25 * number, "duplicate": None, "induction": 0.3, "distance": 0.8}
    return InspectedHead(
        layer, number, scores, roles.get((layer, number), ""), [] if memory else before,
        [] if memory else (before if layer == 0 else [0.0] * 6), [None, *(0.9 - 0.1 * number for _ in range(5))],
        0.01 * (number + 1) * (layer + 1) - 0.02, 0.5 + number,
    )  # fmt: skip


def _mean(number: int) -> PruningPoint:
    loss, value, half = 0.1 + 0.01 * number**2, 0.98 - 0.0065 * number**2, 0.01 * number
    return PruningPoint(number, loss, value, loss - half, loss + half, value - half, value + half)


def _syntax() -> SyntaxAgreement:
    def shares(best: float) -> list[ArcShare]:
        return [
            ArcShare(n, best - 0.05 * n, best - 0.05 * n - 0.4, best - 0.05 * n - 0.45, best - 0.05 * n - 0.35)
            for n in range(8)
        ]

    relations = [("", 900, 1, 0.45, 0.2), ("det", 200, 1, 0.8, 0.001), ("nsubj", 150, 2, 0.3, 0.04)]
    return SyntaxAgreement(
        "en_ewt-ud-dev.conllu.gz", 200, 200, 3, True,
        [ArcRelation(name, arcs, offset, 0.4, 0, shares(best), p) for name, arcs, offset, best, p in relations],
    )  # fmt: skip
