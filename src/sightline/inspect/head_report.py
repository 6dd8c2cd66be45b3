"""The results of an inspection of heads: scores, importance, pruning curves and syntax. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal, final

from sightline.core.digits import significant
from sightline.core.notebook import html_lines, html_table
from sightline.core.stored import SavedResults
from sightline.inspect.influence_map import InspectedModel

PruningOrder = Literal["ablation", "gradient", "random"]
LEVEL = 0.05  # of p-values that are corrected over the relations of a treebank


@final
@dataclass(frozen=True)
class LayerOfHeads:
    """A layer with heads.

    path: of its probe in the model; name: "full self 1", "causal self 2", "cross 1", numbered within their kind
    kept: of a pruned layer the numbers that its heads had before
    even: the scores of even weights over the keys in view, by name, None where nothing can play the role
    """

    path: str
    name: str
    kind: Literal["self", "cross"]
    causal: bool
    heads: int
    kept: list[int] = field(default_factory=list)
    even: dict[str, float | None] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class InspectedHead:
    """A head: number `number`, from 0, of the layer with the index `layer`.

    scores: by name, see `inspect.roles.HeadScores`; None where nothing can play the role
    role: the role that is clear, or "" (`inspect.roles.clear_role`)
    before, after: shares of weight by the bins of distance, on keys at or before the query and after it; empty of a
        layer over a memory
    entropy: mean entropy relative to even weights, by the bins of the query's position
    ablation: rise of the loss when the head's output is replaced by zeros (Michel et al. 2019, § 3.2)
    gradient: E_x |∂L(x)/∂ξ_h|, L(x) being the loss of a row of a batch, summed over what it counts (eq. 2)
    """

    layer: int
    number: int
    scores: dict[str, float | None]
    role: str
    before: list[float | None]
    after: list[float | None]
    entropy: list[float | None]
    ablation: float | None
    gradient: float | None


@final
@dataclass(frozen=True)
class PruningPoint:
    """The model without some heads: loss and metric; of random orders the mean of all with its 95 % interval."""

    removed: int
    loss: float | None
    metric: float | None
    loss_low: float | None = None
    loss_high: float | None = None
    metric_low: float | None = None
    metric_high: float | None = None


@final
@dataclass(frozen=True)
class PruningCurve:
    """Loss and metric by the number of heads removed, the least important first, or in random orders."""

    order: PruningOrder
    orders: int
    points: list[PruningPoint]


@final
@dataclass(frozen=True)
class ArcShare:
    """How many arcs of a relation one head finds: its share, and its difference from the best fixed offset.

    head: its index in `HeadsReport.heads`; low, high: the 95 % interval of the difference, over sentences
    """

    head: int
    share: float | None
    difference: float | None
    low: float | None
    high: float | None


@final
@dataclass(frozen=True)
class ArcRelation:
    """Agreement of heads with the arcs of a relation, "" = of all relations.

    arcs: arcs that are measured on; offset: the fixed distance that finds most arcs of the other sentences, and its
        share of these; best: the index, in `HeadsReport.heads`, of the head that finds most arcs of the other sentences
    p_value: of the difference of that head from the offset, corrected over the relations (Holm 1979); of all relations
        together as it is
    """

    relation: str
    arcs: int
    offset: int
    offset_share: float | None
    best: int
    heads: list[ArcShare]
    p_value: float | None = None

    @property
    def differs(self) -> float:
        """The difference of the best head from the offset, or 0 where it may be chance: a p-value above 5 %."""
        chance = self.p_value is None or self.p_value > LEVEL
        return 0.0 if chance else self.of_best.difference or 0.0

    @property
    def of_best(self) -> ArcShare:
        """The agreement of the head that was chosen on the other sentences."""
        return next(one for one in self.heads if one.head == self.best)


@final
@dataclass(frozen=True)
class SyntaxAgreement:
    """Agreement of heads with the dependency arcs of a treebank.

    sentences: that are measured on; chosen_on: sentences on which the best heads and offsets are chosen; left_out:
        sentences whose words the model's tokens do not match
    earlier: whether only arcs to earlier words count, because every layer hides later ones
    """

    treebank: str
    sentences: int
    chosen_on: int
    left_out: int
    earlier: bool
    relations: list[ArcRelation]


@final
@dataclass(frozen=True, repr=False)
class HeadsReport(SavedResults):
    """The roles of a model's heads on some data, and their importance.

    data: what it was; items: how many; unit: the word for them
    loss, loss_unit: of the whole model; metric: the name of the task's metric, value: that of the whole model
    bins: the smallest and the largest distance, or position, of each bin of the profiles
    """

    model: InspectedModel
    data: str
    items: int
    unit: str
    loss: float | None
    loss_unit: str
    metric: str
    value: float | None
    bins: list[list[int]]
    layers: list[LayerOfHeads]
    heads: list[InspectedHead]
    curves: list[PruningCurve] = field(default_factory=list)
    arcs: SyntaxAgreement | None = None
    notes: list[str] = field(default_factory=list)
    command: str = ""

    def head_name(self, index: int) -> str:
        """A head by its layer's name and its number: "causal self 1.3"."""
        head = self.heads[index]
        return f"{self.layers[head.layer].name}.{head.number}"

    @property
    def verdict(self) -> str:
        """How many heads have a clear role, and how many can be removed: the first sentences of the page.

        The page's package reads these objects, and is loaded when somebody asks, not before.
        """
        return import_module("sightline.report.heads").verdict(self)

    def __repr__(self) -> str:
        count = f"{len(self.heads)} heads in {len(self.layers)} layers"
        return f"HeadsReport({self.model.name or self.model.architecture}: {count}; {self.items} {self.unit})"

    def _repr_html_(self) -> str:
        rows = [
            (
                self.head_name(index),
                head.role or "no clear role",
                "not measured" if head.ablation is None else significant(head.ablation, 2),
            )
            for index, head in enumerate(self.heads)
        ]
        table = html_table(("head", "role", ", ".join(filter(None, ["ablation", self.loss_unit]))), rows)
        return html_lines([self.verdict]) + table + html_lines(self.notes)
