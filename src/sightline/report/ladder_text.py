"""The results of a ladder in numbers and sentences. Imports no torch."""

from __future__ import annotations

from typing import NamedTuple

from sightline.core.digits import percent, significant
from sightline.core.metrics import defined
from sightline.core.settings import spelled
from sightline.core.sourced import sourced
from sightline.lab.ladder_results import JudgedClaim, LadderResults, RungResult
from sightline.lab.results import Estimate
from sightline.report.estimates import amount_of, score_of, signed
from sightline.report.text import capitalised, size


def quality_text(results: LadderResults, rung: RungResult) -> str:
    """The quality of a rung with its interval: "61.2 % [58.0, 64.1]"."""
    if rung.quality is None or not defined(rung.quality.mean):
        return "no run finished" if not rung.finished else "undefined"
    return score_of(results.metric, rung.quality)


def difference_text(results: LadderResults, rung: RungResult) -> str:
    """The difference from the rung before with its interval, signed: "+12.3 [10.1, 14.9]"."""
    return "" if rung.difference is None else amount_text(results, rung.difference)


def amount_text(results: LadderResults, difference: Estimate) -> str:
    """A difference of the metric with its interval, signed, without its unit."""
    return amount_of(results.metric, difference)


def outcome_text(results: LadderResults, rung: RungResult) -> str:
    """Whether a rung is better or worse than the one before it on all items, practically the same, or not decided."""
    gap = rung.difference
    if rung.outcome != "better" or gap is None or gap.mean is None:
        return rung.outcome or ""
    return "better" if (gap.mean > 0) == results.metric.higher_is_better else "worse"


def speed_text(results: LadderResults, rung: RungResult) -> str:
    """How fast a rung trains on the data, beside the rung that it is compared with; "" where that is not known."""
    other = results.find(rung.over) if rung.over else None
    if other is None or rung.speed is None or other.speed is None:
        return ""
    unit = results.data.speed_unit
    own, beside = ("rungs", rung.name, "speed"), ("rungs", other.name, "speed")
    ratio = sourced(significant(rung.speed / other.speed, 2), own, beside, how="ratio")
    speeds = f"{sourced(f'{rung.speed:,.0f}', own)} and {sourced(f'{other.speed:,.0f}', beside)} {unit} per second"
    return f"On this data it trained {ratio} times as fast as {other.title}: {speeds}."


def share_text(share: Estimate) -> str:
    """A ratio less one with its interval: "+31 % [28, 34]"."""
    mean = share.mean
    if mean is None:
        return "—"
    text = f"{signed(_percent(mean), mean)} %"
    if share.low is None or share.high is None:
        return text
    return f"{text} [{signed(_percent(share.low), share.low)}, {signed(_percent(share.high), share.high)}]"


def claim_line(results: LadderResults, claim: JudgedClaim) -> str:
    """A claim with its verdict and its number, in one line."""
    return f"{capitalised(claim.verdict)}: {claim.statement}: {evidence_text(results, claim)}."


class EvidencePart(NamedTuple):
    """A part of the evidence of a claim, and the places in the claim that its numbers have."""

    text: str
    fields: tuple[tuple[str | int, ...], ...] = ()

    def places(self, of: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        """The places of the numbers, for the claim at the place `of`."""
        return [of + field for field in self.fields]


def evidence_text(results: LadderResults, claim: JudgedClaim) -> str:
    """The number that decided a claim, with the p-value that did."""
    return "".join(part.text for part in evidence(results, claim))


def evidence(results: LadderResults, claim: JudgedClaim) -> list[EvidencePart]:
    """The parts of `evidence_text`."""
    if claim.counted is not None:
        own, other = claim.counted
        counts = f"{size(own)} and {size(other)}" if claim.kind == "smaller state" else f"{own:,} and {other:,}"
        shown = EvidencePart(counts, (("counted", 0), ("counted", 1)))
        return [shown] if claim.kind == "smaller state" else [shown, EvidencePart(" operations")]
    if claim.difference is None:
        return [EvidencePart(claim.missing)]
    if claim.kind in ("faster", "faster at length"):
        text, unit = share_text(claim.difference), "of speed" if claim.kind == "faster" else "of time"
    else:
        text, unit = amount_text(results, claim.difference), results.metric.unit_of_difference
    shown = EvidencePart(text, tuple(("difference", end) for end in ("mean", "low", "high")))
    decided = [EvidencePart(claim.missing)] if claim.missing else _decided_by(claim)
    return [shown, EvidencePart(f" {unit}; "), *decided]


def effect_text(claim: JudgedClaim | RungResult) -> str:
    """The effect sizes over seeds: "g 1.9, 100 % of pairs"."""
    parts = (
        []
        if claim.hedges_g is None
        else [f"g {signed(significant(claim.hedges_g, 2).replace('-', '−'), claim.hedges_g)}"]
    )
    if claim.superiority is not None:
        parts.append(f"{100 * claim.superiority:.0f} % of pairs")
    return ", ".join(parts)


def margins_text(results: LadderResults) -> str:
    """The margins within which differences count as practically the same."""
    speed = f"±{sourced(percent(results.speed_margin), ('speed_margin',))} for speeds and times"
    if results.margin is None:
        return speed
    return f"±{sourced(results.metric.amount(results.margin), ('margin',))} for quality, {speed}"


def recipe(results: LadderResults, rung: RungResult) -> str:
    """The flags of `sightline train` that make this rung, its learning rate and size apart."""
    words = []
    for key, value in rung.settings.items():
        inner = value if isinstance(value, dict) else {}
        flat = {f"{key}.{name}.{own}": one for name, each in inner.items() for own, one in each.items()}
        words += [f"--{name.replace('_', '-')} {spelled(one)}" for name, one in (flat or {key: value}).items()]
    return " ".join(["--task", results.task, *words])


def _decided_by(claim: JudgedClaim) -> list[EvidencePart]:
    """The p-values of the claim, corrected over the ladder."""
    within = {"kept": "no worse than the margin"}.get(claim.kind, "the same within the margin")
    return [
        EvidencePart("p "),
        EvidencePart(_probability(claim.p), (("p",),)),
        EvidencePart(" for a difference, p "),
        EvidencePart(_probability(claim.p_margin), (("p_margin",),)),
        EvidencePart(f" for {within}"),
    ]


def _probability(p: float | None) -> str:
    return "unknown" if p is None else "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}".replace("-", "−") if abs(share) >= 0.095 else f"{100 * share:.1f}".replace("-", "−")
