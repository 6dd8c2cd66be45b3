"""The measurements of a ladder of sizes: the content of `scale.json` and the input of its page. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, final

from sightline.core.metrics import Metric, find_metric
from sightline.core.notebook import html_lines, html_table
from sightline.core.stored import SavedResults
from sightline.lab.details import Curve
from sightline.lab.panel_results import Band
from sightline.lab.results import Data, Estimate

Along = Literal["parameters", "flops"]
Trend = Literal["falls faster", "practically the same", "not decided"]  # of the first of two architectures


@final
@dataclass(frozen=True)
class SizePoint:
    """One architecture at one size.

    target: the parameters that were asked for; parameters: the trainable ones that the model has, embeddings included
    flops_per_token: operations of training, counted on the executed graph of the first batches
    losses: the loss on the test items, one for each seed; loss: their mean with a 95 % interval over seeds and items
    flops, tokens, learning_rate: of one run
    held_out: whether no fit has seen it
    by_position: the loss by position in the context, of the first seed
    """

    arch: str
    target: int
    parameters: int
    d_model: int
    flops_per_token: float
    held_out: bool = False
    losses: list[float] = field(default_factory=list)
    loss: Estimate | None = None
    flops: float | None = None
    tokens: float | None = None
    learning_rate: float | None = None
    by_position: Curve | None = None
    started: int = 0


@final
@dataclass(frozen=True)
class PowerLaw:
    """L(x) = irreducible + coefficient · x^(−exponent), fitted by least squares.

    irreducible: None in the form without it (Kaplan et al. 2020, eq. 1.1), else E of Hoffmann et al. 2022, eq. 2
    worst: the largest relative distance between the law and a loss that it was fitted to
    """

    exponent: Estimate
    coefficient: float
    irreducible: Estimate | None = None
    worst: float = 0.0


@final
@dataclass(frozen=True)
class ArchitectureLaw:
    """How the loss of one architecture falls along parameters or training FLOPs.

    law: in the form that was chosen for all architectures; other: in the other form, where there are sizes enough
    sizes: the numbers of different sizes that were fitted
    identified: whether the interval of E lies above 0, so that this architecture's losses show an irreducible part
    decided: whether the exponent has an interval, and that excludes 0
    bend: the exponent over the larger half of all measured sizes minus that over the smaller half, each without E;
        below 0 the curve flattens
    band: the law and its 95 % interval over the whole ladder
    note: why the exponent has no interval, or nothing
    """

    arch: str
    along: Along
    law: PowerLaw | None
    other: PowerLaw | None = None
    sizes: int = 0
    identified: bool = False
    decided: bool = False
    bend: Estimate | None = None
    band: Band | None = None
    note: str = ""


@final
@dataclass(frozen=True)
class HeldOut:
    """The check of a law at a size that no fit has seen.

    predicted: with the 95 % interval in which a measured mean of as many seeds is expected
    error: predicted / measured − 1, with the 95 % interval of what is noise and fit together
    holds: whether the measured loss lies in the interval of the prediction; None without an interval
    """

    arch: str
    parameters: int
    predicted: Estimate
    measured: Estimate
    error: Estimate
    holds: bool | None


@final
@dataclass(frozen=True)
class ExponentPair:
    """Two architectures: the exponent along parameters of `first`, the larger one, minus that of `second`.

    difference: of the exponents without an irreducible loss, which say how the loss falls over the measured sizes
    p_holm: of no difference, corrected for the number of pairs
    p_same: of practical equivalence, corrected too
    bend: the `ArchitectureLaw.bend` of `first` minus that of `second`; above 0, `second` flattens more
    """

    first: str
    second: str
    difference: Estimate
    outcome: Trend
    p_holm: float | None = None
    p_same: float | None = None
    bend: Estimate | None = None


@final
@dataclass(frozen=True)
class ScaleResults(SavedResults):
    """All that a ladder of sizes measured.

    metric: the loss that is fitted; fixed: the budget of each run, the same at every size
    margin: exponents that differ by no more are practically the same
    settings: the configuration, a `ScaleConfig` as JSON
    """

    command: str
    environment: dict[str, Any]
    data: Data
    metric: str
    fixed: str
    ratio: float
    seeds: list[int]
    points: list[SizePoint]
    laws: list[ArchitectureLaw] = field(default_factory=list)
    held_out: list[HeldOut] = field(default_factory=list)
    pairs: list[ExponentPair] = field(default_factory=list)
    margin: float = 0.0
    verdict: str = ""
    warnings: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def archs(self) -> list[str]:
        """The architectures, in the order in which they were named."""
        return list(dict.fromkeys(point.arch for point in self.points))

    @property
    def info(self) -> Metric:
        """The metric, with the digits that tell the losses apart."""
        values = [point.loss.mean for point in self.points if point.loss is not None]
        return find_metric(self.metric).in_unit_of(self.data.loss_unit).apart(values)

    def law(self, arch: str, along: Along = "parameters") -> ArchitectureLaw | None:
        """The law of an architecture; None where it has none along this axis."""
        return next((law for law in self.laws if (law.arch, law.along) == (arch, along)), None)

    def pair(self, one: str, other: str) -> ExponentPair | None:
        """The pair of two architectures, whichever is first."""
        return next((pair for pair in self.pairs if {pair.first, pair.second} == {one, other}), None)

    def _repr_html_(self) -> str:
        rows = [
            (law.arch, law.along, *_ends(law.law and law.law.exponent), str(law.sizes), law.note) for law in self.laws
        ]
        head = ("architecture", "along", "exponent", "low", "high", "sizes", "")
        return html_lines([self.verdict]) + html_table(head, rows) + html_lines(self.warnings)


def _ends(estimate: Estimate | None) -> tuple[str, str, str]:
    """A mean and the ends of its interval, as text."""
    ends = (None, None, None) if estimate is None else (estimate.mean, estimate.low, estimate.high)
    return tuple("" if end is None else f"{end:.3f}" for end in ends)  # type: ignore[return-value]
