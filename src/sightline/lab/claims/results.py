"""The measurements of the claims, as plain values that are stored in claims.json. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, final

from sightline.core.notebook import html_table
from sightline.core.sourced import Place, indexed, number_spans, place_of, pointer, sourced
from sightline.core.stored import SavedResults

NO_GPU = "No GPU was available: this is the processor's time alone."  # of claims to which a GPU matters
ClaimOutcome = Literal["holds", "does not hold", "depends", "not measured"]


@final
@dataclass(frozen=True)
class ClaimNumber:
    """One number. low, high: the ends of its 95 % interval, None where it has none; n: of how many runs or rows."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    n: int | None = None


@final
@dataclass(frozen=True)
class ClaimCurve:
    """One line of a chart; low and high are the ends of an interval at each x, or None."""

    label: str
    x: list[float]
    y: list[float | None]
    low: list[float | None] | None = None
    high: list[float | None] | None = None


@final
@dataclass(frozen=True)
class ReferenceLine:
    """A horizontal line with a label."""

    label: str
    y: float


@final
@dataclass(frozen=True)
class ClaimChart:
    """Lines over an axis of numbers; with `categories`, points over names, where x counts them from 0."""

    title: str
    x_label: str
    y_label: str
    curves: list[ClaimCurve]
    log_x: bool = False
    log_y: bool = False
    lines: list[ReferenceLine] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)


@final
@dataclass(frozen=True)
class ClaimMap:
    """A matrix of shares between 0 and 1: rows[i][j] is how much position j counts for position i."""

    title: str
    x_label: str
    y_label: str
    rows: list[list[float]]


@final
@dataclass(frozen=True)
class NumberPlace:
    """Where a number of the sentence about a claim comes from.

    start, end: of its characters in `measured`; at: JSON pointers (RFC 6901) from the top of the claim's result; how it
    follows from their values, see `report.sources`
    """

    start: int
    end: int
    at: list[str]
    how: str = ""


@final
@dataclass(frozen=True)
class ClaimResult:
    """The result of one measurement of a claim.

    claim: its name, which `Claim.measure` writes
    measured: what was measured here, in one or two plain sentences with the number and its interval; for a claim that
        was not measured the reason
    conditions: sizes, data, seeds, device; limits: what this does not show
    command, seconds: what repeats it, and how long it took; `run_claims` writes both
    places: where the numbers in `measured` come from; `Claim.measure` writes them. Empty in results of older versions
    """

    claim: str = field(default="", kw_only=True)
    outcome: ClaimOutcome
    measured: str
    numbers: list[ClaimNumber] = field(default_factory=list)
    charts: list[ClaimChart] = field(default_factory=list)
    maps: list[ClaimMap] = field(default_factory=list)
    conditions: str = ""
    limits: str = ""
    command: str = ""
    seconds: float = 0.0
    places: list[NumberPlace] = field(default_factory=list)

    @property
    def processor_only(self) -> bool:
        """Whether a GPU matters to this claim, and none was at hand."""
        return NO_GPU in self.measured or NO_GPU in self.limits

    def with_places(self) -> ClaimResult:
        """The result with the places of its sentence apart from it, where numbers of the claim are called by name.

        Raises:
            ValueError: "nothing known at /numbers/ratio/value".
        """
        plain = asdict(self)

        def known(place: Place) -> str:
            if not (at := indexed(plain, place)):
                raise ValueError(f"nothing known at {pointer(*place)}")
            return pointer(*at)

        text, spans = number_spans(self.measured)
        places = [NumberPlace(start, end, list(map(known, of)), how) for start, end, of, how in spans]
        return replace(self, measured=text, places=places)

    def text_with_places(self, of: Place) -> str:
        """`measured` with the places of its numbers (`core.sourced`), for the result at the place `of` of a file."""
        text, read = "", 0
        for one in self.places:
            number = sourced(self.measured[one.start : one.end], *(of + place_of(at) for at in one.at), how=one.how)
            text, read = f"{text}{self.measured[read : one.start]}{number}", one.end
        return text + self.measured[read:]


@final
@dataclass(frozen=True)
class Saying:
    """A claim in common words, how it is measured, and the rule that turns the numbers into an outcome."""

    name: str
    statement: str
    how: str
    rule: str = ""


@final
@dataclass(frozen=True)
class ClaimsResults(SavedResults):
    """All claims that were measured with the same settings, in the order of the table of claims.

    settings: what an `Effort` may use; busy: cores that other programs kept busy while a claim was measured, by name
    """

    command: str
    environment: dict[str, Any]
    settings: dict[str, Any]
    sayings: list[Saying] = field(default_factory=list)
    results: list[ClaimResult] = field(default_factory=list)
    busy: dict[str, float] = field(default_factory=dict)

    def result(self, name: str) -> ClaimResult | None:
        """The result of the claim with this name, None if there is none."""
        return next((one for one in self.results if one.claim == name), None)

    def _repr_html_(self) -> str:
        statements = {saying.name: saying.statement for saying in self.sayings}
        rows = [(one.claim, statements.get(one.claim, ""), one.outcome, one.measured) for one in self.results]
        return html_table(("claim", "statement", "outcome", "measured"), rows)


def not_measured(claim: str, reason: str) -> ClaimResult:
    """The result of a claim that was not measured, with a whole sentence that says why."""
    return ClaimResult("not measured", reason, claim=claim)
