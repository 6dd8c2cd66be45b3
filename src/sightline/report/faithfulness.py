"""The page of the battery of faithfulness tests, from its result alone. Runs no model, imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.core.files import write_file
from sightline.core.metrics import find_metric
from sightline.inspect.faithfulness_results import (
    CalibratedTest,
    CallRate,
    ErasureCurve,
    Faithfulness,
    ItemScores,
    JudgedMap,
    MethodPair,
    RetrainedModel,
    RetrainedTest,
    numbered_maps,
)
from sightline.lab.claims.results import ClaimChart, ClaimCurve
from sightline.report.claims_figures import chart_drawing
from sightline.report.drawing import Drawing
from sightline.report.frame import render_page
from sightline.report.text import visible

# Words for the methods, the groups of tests and the orders of a curve.
WORDS = {
    "softmax": "attention weights",
    "value_weighted": "weights times values",
    "rollout": "rollout",
    "implicit": "implicit attention",
    "jacobian": "slopes of the layer",
    "gradient": "gradient",
    "integrated_gradients": "integrated gradients",
    "relevance": "relevance",
    "leave_one_out": "leave one out",
    "effect": "effect",
    "random": "random order",
}
# Titles of tests, as in the papers that they are from.
AGAINST = {
    "gradient": "gradients",
    "integrated_gradients": "integrated gradients",
    "relevance": "relevance (AttnLRP)",
    "leave_one_out": "leave-one-out",
    "effect": "the effect of replacing",
}
TITLES = {
    **{f"tau_{name}": f"Kendall’s τ with {words}" for name, words in AGAINST.items()},
    **{f"top_{name}": f"top tenth shared with {words}" for name, words in AGAINST.items()},
    **{
        f"{measure}_{way}": f"{measure} by {way}"
        for way in ("removal", "replacement")
        for measure in ("comprehensiveness", "sufficiency")
    },
    "drop_correlation": "faithfulness estimate",
    "subset_correlation": "faithfulness correlation",
    "swap_most": "counterfactual swap, largest change",
    "swap_least": "counterfactual swap, smallest change",
    "permuted_weights": "permuted attention",
    "uniform_weights": "uniform attention",
    "adversarial_weights": "adversarial attention",
}
GROUPS = {
    "agreement": "Agreement with other importances",
    "erasure": "Erasure",
    "swap": "Counterfactual swaps",
    "weights": "Other weights in the layer",
}
OUTCOMES = {"may": "good", "may not": "bad", "cannot be told": "open"}
MEASURES = {
    "comprehensiveness": "Loss of the answer without the most important positions",
    "sufficiency": "Loss of the answer with the most important positions alone",
}
MOST_MAPS = 6  # in a chart, beside random orders and the order of effects


def write_faithfulness(results: Faithfulness, path: Path) -> Path:
    """Write the page to the file `path`."""
    write_file(path, render_faithfulness(results))
    return path


def render_faithfulness(results: Faithfulness) -> str:
    """The page as HTML."""
    figures = faithfulness_drawings(results)
    return render_page(
        "faithfulness.html.j2",
        "faithfulness.json",
        results,
        figures,
        figures=figures,
        tables=[(one, number, rows_of(one, results.tests)) for number, one in enumerate(results.maps)],
        groups=GROUPS,
        classes=OUTCOMES,
        tested=items_text(results),
        mapped=map_words(results.maps),
        methods=agreement_rows(results),
        words=WORDS,
        titled=title_of,
        rate=rate_text,
        score=score_text,
        share=share_text,
        percent=percent,
        again=retrained_text,
        of_model=model_text,
        labelled=lambda name: find_metric(name).label,
    )


def items_text(results: Faithfulness) -> str:
    """The items that were tested: "100 sentences of the test part of reviews.csv"."""
    the = "the " if results.data.startswith("test part") else ""
    return f"{results.items} {results.unit} of {the}{visible(results.data)}"


def map_words(maps: Sequence[JudgedMap]) -> dict[str, str]:
    """The words for each map: its method, and the number of its layer, from 1, where the method has several."""
    return numbered_maps(maps, WORDS)


def rows_of(one: JudgedMap, tests: Sequence[CalibratedTest]) -> list[tuple[int, int, CalibratedTest, ItemScores]]:
    """The tests that have a score of a map, with the numbers of score and test in the file."""
    known = {test.name: (number, test) for number, test in enumerate(tests)}
    return [(number, *known[score.test], score) for number, score in enumerate(one.scores) if score.n]


def title_of(test: str) -> str:
    """The title of the test of this name."""
    return TITLES.get(test, test.replace("_", " "))


def agreement_rows(results: Faithfulness) -> tuple[list[str], list[list[tuple[int, MethodPair] | None]]]:
    """The names of methods, and for each pair its number in the file and its agreement; None on the diagonal."""
    names = list(dict.fromkeys(name for pair in results.pairs for name in (pair.first, pair.second)))
    by_names = {frozenset((pair.first, pair.second)): (number, pair) for number, pair in enumerate(results.pairs)}
    return names, [[by_names.get(frozenset((row, column))) for column in names] for row in names]


def faithfulness_drawings(results: Faithfulness) -> list[Drawing]:
    """The erasure curves, for each way of erasing and each measure."""
    named = map_words(results.maps) | WORDS
    kinds = list(dict.fromkeys((curve.way, curve.measure) for curve in results.curves))
    loss = "loss of the answer" + (f" ({results.answer_unit})" if results.answer_unit else "")
    return [
        _curves([curve for curve in results.curves if (curve.way, curve.measure) == kind], named, loss)
        for kind in kinds
    ]


def _curves(curves: Sequence[ErasureCurve], named: dict[str, str], loss: str) -> Drawing:
    way, measure = curves[0].way, curves[0].measure
    *maps, random, effect = curves
    lines = [
        ClaimCurve(named[one.order], [100 * share for share in one.shares], one.mean, one.low, one.high)
        for one in (effect, random, *maps[:MOST_MAPS])
    ]
    direction = "higher is better" if measure == "comprehensiveness" else "lower is better"
    chart = ClaimChart(f"{MEASURES[measure]}, by {way} ({direction})", "share of the positions (%)", loss, lines)
    return chart_drawing(f"{measure}-{way}", chart)


def percent(value: float | None) -> str:
    """A share in percent, or an em dash."""
    return "—" if value is None else f"{100 * value:.0f} %"


def rate_text(rate: CallRate) -> str:
    """A rate with its interval in percent."""
    if rate.share is None or rate.low is None or rate.high is None:
        return "—"
    return f"{100 * rate.share:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"


def retrained_text(test: RetrainedTest) -> str:
    """The measurement of a test of retrained models, with its interval and unit."""
    if test.mean is None:
        return "—"
    digits = 1 if test.unit == "points" else 3
    mean, low, high = (
        "—" if value is None else f"{value:.{digits}f}".replace("-", "−") for value in (test.mean, test.low, test.high)
    )
    return f"{mean} [{low}, {high}]{'' if test.unit == 'share' else f' {test.unit}'}"


def model_text(model: RetrainedModel) -> str:
    """The metric of a model that was trained again, with its interval."""
    metric = find_metric(model.metric).apart([model.mean, model.low, model.high])
    ends = "" if model.low is None else f" [{metric.number(model.low)}, {metric.number(model.high)}]"
    return f"{metric.text(model.mean)}{ends}"


def score_text(score: ItemScores) -> str:
    """A mean score with its interval."""
    if score.mean is None:
        return "—"
    ends = "" if score.low is None or score.high is None else f" [{_short(score.low)}, {_short(score.high)}]"
    return f"{_short(score.mean)}{ends}"


def share_text(score: ItemScores) -> str:
    """The estimated share of items in which the map is faithful, with its interval, in percent."""
    if score.share is None or score.share_low is None or score.share_high is None:
        return "—"
    return f"{100 * score.share:.0f} % [{100 * score.share_low:.0f}, {100 * score.share_high:.0f}]"


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
