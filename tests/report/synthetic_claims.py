"""Results of claims with every kind of chart, hostile texts, and values that are missing."""

from __future__ import annotations

from typing import Any

from sightline.core.sourced import sourced, with_sources
from sightline.lab.claims.results import (
    ClaimChart,
    ClaimCurve,
    ClaimMap,
    ClaimNumber,
    ClaimResult,
    ClaimsResults,
    ReferenceLine,
    Saying,
    not_measured,
)

HOSTILE = "<script>alert(1)</script>"


def measured_claim(numbers: list[ClaimNumber], charts: list[ClaimChart], maps: list[ClaimMap]) -> ClaimResult:
    """A claim that holds, whose sentence has a number with its interval, one of a chart, and one of the conditions."""
    with with_sources():
        value, low, high = (
            sourced(f"{getattr(numbers[0], end):.2f}", ("numbers", "ratio", end)) for end in ("value", "low", "high")
        )
        last = sourced("4", ("charts", 0, "curves", 0, "y", -1))
        rows = sourced("2", ("conditions",), how="text")
        text = f"A | B is {value} ({low} to {high}), at most {last} ms in {rows} rows."
    result = ClaimResult("holds", text, numbers, charts, maps, "2 rows", "no GPU", "c", 1.2, claim="C1")
    return result.with_places()


def make_claims(**changed: Any) -> ClaimsResults:
    """Two measured claims and one that is not."""
    lines = ClaimChart(
        "Time of a pass",
        "positions n",
        "milliseconds",
        [
            ClaimCurve("lstm", [64.0, 128.0, 256.0], [1.0, 2.0, 4.0], [0.9, 1.8, 3.9], [1.1, 2.2, 4.2]),
            ClaimCurve(HOSTILE, [64.0, 128.0, 256.0], [0.0, None, 3.0], [0.0, None, None], [0.0, None, 4.0]),
        ],
        log_x=True,
        log_y=True,
        lines=[ReferenceLine("one second", 1000.0)],
    )
    points = ClaimChart(
        "Accuracy",
        "side",
        "accuracy",
        [
            ClaimCurve("one way", [0.0, 1.0], [0.1, 0.9], [0.0, 0.8], [0.2, 1.0]),
            ClaimCurve("both ways", [0.0, 1.0], [0.9, 0.9]),
        ],
        categories=["right", "left"],
    )
    maps = [ClaimMap("Influence", "j", "i", [[1.0, 0.0], [0.4, 1.0]])]
    numbers = [
        ClaimNumber("ratio", 0.25, 0.2, 0.3, "times", 7),
        ClaimNumber("missing", None),
        ClaimNumber(HOSTILE, 1e-9),
    ]
    values = {
        "command": f"sightline claims {HOSTILE}",
        "environment": {"cpu": "A processor", "cores": 2, "gpus": [], "packages": {"torch": "2.13.0"}},
        "settings": {"quick": True, "devices": ["cpu"]},
        "sayings": [
            Saying("C1", "A | B is < C.", "It is counted.", "holds if A."),
            Saying("C2", f"Said: {HOSTILE}", "It is timed.", "holds if B."),
            Saying("C3", "Not measured.", "It is not."),
        ],
        "results": [
            measured_claim(numbers, [lines, points], maps),
            ClaimResult("depends", HOSTILE, [], [points], claim="C2", command="sightline claims C2", seconds=0.4),
            not_measured("C3", "Nothing measures this claim yet."),
        ],
        "busy": {"C1": 0.1, "C2": 1.5},
    }
    return ClaimsResults(**{**values, **changed})
