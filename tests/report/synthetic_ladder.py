"""A ladder's results with every outcome, made up, with every foreign text passed through a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sightline.lab.ladder import LADDERS, Rung, RungClaim
from sightline.lab.ladder_claims import ladder_verdict
from sightline.lab.ladder_results import JudgedClaim, LadderResults, LayerCosts, RungResult, Verdict
from sightline.lab.results import BudgetPlan, Data, Estimate, LengthBin

LADDER = LADDERS["encoder-decoder"]
LEVELS = {"rnn": 0.021, "lstm": 0.093, "gru": 0.118, "attention": 0.943, "layers": 0.957, "self-attention": 0.312,
          "heads": 0.388, "positions": 0.964, "window": 0.962, "linear": 0.871}  # fmt: skip
VERDICTS: dict[str, Verdict] = {
    "lstm": "not decided", "gru": "holds", "attention": "holds", "layers": "does not hold", "self-attention": "holds",
    "heads": "not decided", "positions": "holds", "window": "holds", "linear": "does not hold",
}  # fmt: skip


def make_ladder(foreign: Callable[[str], str] = lambda text: text) -> LadderResults:
    """All rungs of translation; the last has one run of two."""
    rungs = [_rung(rung, place, foreign) for place, rung in enumerate(LADDER.rungs)]
    rungs[-1] = replace(rungs[-1], finished=1, cautions=[foreign("its search ended at the largest rate")])
    return LadderResults(
        command=foreign("sightline ladder pairs.tsv"),
        environment={"cpu": foreign("a processor"), "cores": 2},
        data=Data(foreign("pairs.tsv"), "0" * 64, 900, 100, 200, 200),
        budget=BudgetPlan("60s", [0, 1], match="params=100000", explained="60s for each run."),
        task="translation",
        verdict=ladder_verdict(rungs),
        rungs=rungs,
        primary_metric="exact_match",
        margin=0.01,
        speed_margin=0.05,
        length=2048,
        chain_length=128,
        quarters=[LengthBin(4 + 5 * place, 8 + 5 * place, 50) for place in range(4)],
        warnings=[foreign("The machine was busy: runs took longer, for the same steps.")],
        omitted={"a rung": "all have it"},
    )


def _rung(rung: Rung, place: int, foreign: Callable[[str], str]) -> RungResult:
    level, spread = LEVELS[rung.name], 0.02
    gap = None if not rung.over else level - LEVELS[rung.over]
    difference = None if gap is None else Estimate(gap, gap - spread, gap + spread)
    verdict = VERDICTS.get(rung.name)
    return RungResult(
        name=rung.name,
        title=rung.title,
        over=rung.over,
        change=rung.change,
        keys=list(rung.keys),
        settings=dict(rung.settings),
        reason=rung.reason,
        paper=rung.paper,
        note=rung.note,
        verdict=verdict,
        claims=[_claim(claim, rung, verdict, foreign) for claim in rung.claims if verdict],
        quality=Estimate(level, max(0.0, level - spread), min(1.0, level + spread)),
        difference=difference,
        outcome=None if difference is None else "better",
        hedges_g=None if difference is None else 1.9,
        superiority=None if difference is None else 1.0,
        by_quarter=[] if difference is None else [difference] * 4,
        parameters=100_000 + 100 * place,
        train_s=59.3,
        steps=800.0 + place,
        speed=9000.0 - 700 * place,
        state_bytes=4**place,
        learning_rate=4e-3,
        finished=2,
        started=2,
        costs=LayerCosts(99, [0.04, 0.05, 0.04], 10**6) if place > 4 else None,
    )


def _claim(claim: RungClaim, rung: Rung, verdict: Verdict, foreign: Callable[[str], str]) -> JudgedClaim:
    told = JudgedClaim(claim.kind, foreign(f"{rung.name} against {rung.over}"), verdict, rung.name, rung.over)
    if claim.kind in ("shorter chain", "smaller state"):
        return replace(told, counted=[99, 2653])
    if claim.kind == "faster at length":
        return replace(told, difference=Estimate(-0.5, -0.6, -0.4), p=0.0004, p_margin=1.0)
    if verdict == "not decided":
        return replace(told, difference=Estimate(0.02, None, None), missing="one seed tells nothing")
    effects = {"on": 50, "p": 0.012, "p_margin": 0.4, "hedges_g": 1.2, "superiority": 0.75}
    return replace(told, difference=Estimate(0.12, 0.04, 0.2), **effects)
