"""The results of the battery of faithfulness tests for a model and data: the content of `--json`. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, final

from sightline.core.notebook import html_lines, html_table
from sightline.core.stored import SavedResults
from sightline.inspect.influence_map import InspectedModel

ShownOutcome = Literal["may", "may not", "cannot be told"]


@final
@dataclass(frozen=True)
class CallRate:
    """The share of the maps of some kind that a test calls faithful, with its 95 % interval; None where n is 0.

    n: items that such maps are of; an item with several has their mean
    """

    kind: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


@final
@dataclass(frozen=True)
class CalibratedTest:
    """A test, and what its word is worth.

    definition, applies, faithful: as `faithfulness_tests.FaithfulnessTest` has them
    threshold: the score from which (with "low" up to which) the test calls a map faithful, chosen on half of the
        planted items; None without scores there
    hit, false_alarm: on the other half, how often it calls a map faithful that points at the planted positions, and
        one that does not; kinds: the same by kind of map
    control, shuffled: on the data itself how often it calls the effect faithful, and the effect in a random order
    counts: whether the test tells maps apart, so that it counts for the verdict; reason: why not
    """

    name: str
    group: str
    definition: str
    applies: str
    faithful: Literal["high", "low"]
    threshold: float | None
    hit: CallRate
    false_alarm: CallRate
    kinds: list[CallRate]
    control: CallRate
    shuffled: CallRate
    counts: bool
    reason: str = ""


@final
@dataclass(frozen=True)
class ItemScores:
    """The scores of a map by one test over items.

    mean, low, high: with the 95 % interval over the n items that have a score
    passed: the share of all items in which the test calls the map faithful
    share, share_low, share_high: the estimated share of items in which the map is faithful, from `passed` and the
        test's hit and false-alarm rates; None for a test that does not count
    values: of each item in order
    """

    test: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    passed: float | None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    values: list[float | None] = field(default_factory=list)


@final
@dataclass(frozen=True)
class JudgedMap:
    """A map of the model that may be shown to a reader, and whether it may be shown as an explanation."""

    name: str
    method: str
    path: str
    layer: int
    outcome: ShownOutcome
    sentence: str
    scores: list[ItemScores]


@final
@dataclass(frozen=True)
class PlantedResult:
    """One planted problem, and a model of the same architecture that was trained on it.

    used: whether the tests are calibrated on it: the model has learned it, and uses the planted positions
    reason: why not; own: planted in the user's own data
    accuracy: on held-out items; effect_hit, leave_one_out_hit: the share of planted positions among as many that these
        find most important, None where the model has no mask; map_hits: the same of its own maps by name
    """

    name: str
    meaning: str
    own: bool
    used: bool
    reason: str
    accuracy: float
    effect_hit: float | None
    leave_one_out_hit: float | None
    map_hits: dict[str, float]
    steps: int
    parameters: int
    items: int


@final
@dataclass(frozen=True)
class ErasureCurve:
    """The loss of the answer over shares of the positions: the mean over items with its 95 % interval.

    way: removal or replacement; measure: comprehensiveness or sufficiency; order: the name of a map, random or effect
    """

    way: str
    measure: str
    order: str
    shares: list[float]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


@final
@dataclass(frozen=True)
class MethodPair:
    """Kendall's τ of two importances: the mean over n items with its 95 % interval."""

    first: str
    second: str
    tau: float | None
    low: float | None
    high: float | None
    n: int


@final
@dataclass(frozen=True)
class RetrainedModel:
    """A model that was trained again: what it is, the steps of its training, and a metric with its 95 % interval."""

    name: str
    meaning: str
    steps: int
    metric: str
    mean: float | None
    low: float | None
    high: float | None


@final
@dataclass(frozen=True)
class RetrainedTest:
    """The measurement of a test of retrained models: the mean over n items with its 95 % interval, and what follows.

    A difference of a metric is between two models that were trained again with the same budget, as the run's own may
    have been trained for longer.

    unit: "points", of a share of items; "nats", of a Jensen-Shannon divergence; "share", of the answer's probability;
        or that of the metric whose difference it is
    """

    name: str
    question: str
    unit: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    sentence: str


@final
@dataclass(frozen=True)
class Retrained:
    """The tests that need models to be trained again, each within `budget` (Wiegreffe & Pinter 2019)."""

    budget: str
    items: int
    models: list[RetrainedModel]
    tests: list[RetrainedTest]


@final
@dataclass(frozen=True, repr=False)
class Faithfulness(SavedResults):
    """Whether the maps of a model may be shown as explanations of its answers on some data.

    data: the items' name; unit: the word for them; items: how many were looked at; positions: their mean number
    outcome, verdict: of attention, in a word and in one sentence
    retrained: tests of models that were trained again, where they were asked for; they do not vote
    answer_unit: of what an answer loses in the curves; empty of a probability
    """

    model: InspectedModel
    data: str
    unit: str
    items: int
    positions: float
    seed: int
    outcome: ShownOutcome
    verdict: str
    maps: list[JudgedMap]
    tests: list[CalibratedTest]
    planted: list[PlantedResult]
    curves: list[ErasureCurve]
    pairs: list[MethodPair]
    notes: list[str] = field(default_factory=list)
    command: str = ""
    retrained: Retrained | None = None
    answer_unit: str = ""

    def __repr__(self) -> str:
        return f"Faithfulness({self.model.name or self.model.architecture}: {self.verdict})"

    def _repr_html_(self) -> str:
        words = import_module("sightline.report.faithfulness").map_words(self.maps)
        rows = [(words[one.name], one.outcome, one.sentence) for one in self.maps]
        return (
            html_lines([self.verdict]) + html_table(("map", "may be shown", "because"), rows) + html_lines(self.notes)
        )


def numbered_maps(maps: Iterable[Any], words: Mapping[str, str]) -> dict[str, str]:
    """Of each map by its name what `words` call its method, with the number of its layer, from 1, where the method has
    several.
    """
    maps = list(maps)
    methods = [one.method for one in maps]
    return {
        one.name: f"{words[one.method]} {one.layer + 1}" if methods.count(one.method) > 1 else words[one.method]
        for one in maps
    }
