"""Every metric once: how it is written, which direction is better, and how test items make it up.

A metric is a function of rows, one row of numbers for each test item, so that a bootstrap can resample items. Most are
a ratio: the sum of the first column over the sum of the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any, TypeGuard, final

from sightline.core.digits import decimals, significant

SMALL = 1e-4  # smaller values are written with an exponent, once `Metric.apart` has seen one of them


@final
@dataclass(frozen=True)
class Metric:
    """One metric.

    name: in `Measured.metrics`, in results.json and of `--metric`
    label, unit, factor, digits: the value is written times `factor` with `digits` decimals; unit None = the task's own
    limits: the smallest and the largest value that it can have
    items: the columns of an item's row
    of, rows: what the metric is made of, and `module:name` of the function that makes rows (N, K) of it; CONTRIBUTING
        has the table. A task measures every metric of what it can give, and whatever else its `measure` returns
    function: `module:name` of the function that takes rows to the value. With `summed` it takes sums of rows (..., K)
        to (...), else rows (S, N, K) and weights (R, N) of the items, or None, to (S, R), or (S,)
    costly: whether the function is slow, so that a bootstrap resamples less often
    decides: False for a value that is good or bad only together with another, so that no comparison may rank by it
    margin: differences up to this much count as practically the same, unless `--margin` says otherwise: an amount of
        the value, or with `relative_margin` a share of the best architecture's value, for values without a common scale
    log_scale: whether its learning curve is drawn on a logarithmic axis
    smallest: times `factor`, the smallest value that is written with an exponent; 0 = none is
    undefined: where it has no value, for a note; it is then NaN, null in JSON, and left out of means
    """

    name: str
    label: str
    unit: str | None = ""
    factor: float = 1.0
    digits: int = 3
    higher_is_better: bool = True
    limits: tuple[float, float] = (-math.inf, math.inf)
    items: str = "value, 1"
    of: str = ""
    rows: str = ""
    signature: str = ""  # `module:name` of a function from references to the settings of another library
    function: str = "sightline.core.metrics:ratio"
    summed: bool = True
    costly: bool = False
    decides: bool = True
    margin: float = 0.01
    relative_margin: bool = True
    log_scale: bool = False
    undefined: str = "for these items"
    smallest: float = 0.0

    def number(self, value: int | float | None) -> str:
        """The value without its unit; "undefined" if there is none."""
        if not defined(value):
            return "undefined"
        scaled = value * self.factor
        if 0 < self.smallest <= abs(scaled) < SMALL:
            return f"{'−' * (scaled < 0)}{abs(scaled):.2e}"
        # Adding zero turns a negative zero into zero.
        return f"{round(scaled, self.digits) + 0.0:.{self.digits}f}".replace("-", "−")

    def text(self, value: int | float | None) -> str:
        """The value with its unit, such as `99.6 %`."""
        number = self.number(value)
        return f"{number} {self.unit}" if self.unit and defined(value) else number

    def amount(self, value: int | float) -> str:
        """A difference of two values with its unit and two digits, such as `1.0 points` or `0.023 MSE`."""
        return f"{significant(abs(value * self.factor), 2)} {self.unit_of_difference}"

    @property
    def unit_of_difference(self) -> str:
        """The unit of a difference of two values: points for percentages, the metric's name where it has no unit."""
        return "points" if self.unit == "%" else self.unit or self.label

    def apart(
        self, values: Iterable[int | float | None], spreads: Iterable[int | float | None] | None = None
    ) -> Metric:
        """The metric with as many decimals as tell these values apart, and with exponents where some are tiny.

        Numbers that are tiny even beside the smallest of them, such as a difference by rounding, get no exponent.

        spreads: half the interval of each value, None where it is unknown; decimals then stop at the second digit of
            the smallest, or of the default margin of practical equivalence where all are unknown. None = no such limit
        """
        numbers = [value for value in values if defined(value)]
        scaled = [abs(value) * self.factor for value in numbers]
        most = None
        if spreads is not None:
            known = [spread for spread in spreads if defined(spread) and spread > 0] or [
                margin for value in numbers if (margin := self.margin_at(value)) > 0
            ]
            most = max(self.digits, 1 - math.floor(math.log10(min(known) * self.factor))) if known else None
        digits = decimals([value for value in scaled if not 0 < value < SMALL], self.digits, most)
        tiny = [value for value in scaled if 0 < value < SMALL]
        return replace(self, digits=digits, smallest=min(tiny, default=0.0) / 100)

    def margin_at(self, best: float) -> float:
        """The default margin of practical equivalence, where the best architecture has the value `best`."""
        return self.margin * abs(best) if self.relative_margin else self.margin

    def in_unit_of(self, loss_unit: str) -> Metric:
        """The metric with the task's unit where it has none of its own."""
        return replace(self, unit=loss_unit) if self.unit is None else self

    def rows_of(self, *outputs: Any) -> Any:
        """The rows (N, K) of the items; see `of`."""
        return resolve_name(self.rows)(*outputs)

    def value(self, items: Any, weights: Any = None) -> Any:
        """The metric (S,) of rows (S, N, K) of S trainings; (S, R) where the items are resampled by `weights` (R, N).

        Both are float arrays of numpy. NaN where the metric is undefined for these items.
        """
        function: Callable[..., Any] = resolve_name(self.function)
        if not self.summed:
            return function(items, weights)
        if weights is None:
            return function(items.sum(-2))
        trainings, count, columns = items.shape
        side_by_side = items.swapaxes(0, 1).reshape(count, trainings * columns)  # one product for all trainings
        return function((weights @ side_by_side).reshape(-1, trainings, columns).swapaxes(0, 1))


@final
@dataclass(frozen=True)
class Baseline:
    """The scores of a model-free baseline on the test items.

    name, description: for people, the description in one sentence
    bound: whether it is an upper bound of synthetic data rather than a baseline
    seconds: CPU seconds that it took to learn and to answer; None = not measured
    """

    name: str
    description: str
    metrics: Mapping[str, float | None]
    bound: bool = False
    seconds: float | None = None


def defined(value: int | float | None) -> TypeGuard[float]:
    """Whether a metric has a value; where it has none it is NaN, or None in what was read from JSON."""
    return value is not None and math.isfinite(value)


def kept_order(validated: Mapping[str, float | None], kept_by: str) -> tuple[float, float]:
    """The key that sorts trainings by the validation of the model that each kept, the best one first.

    By the metric `kept_by`, by which each kept its model, of equals by the loss; those without a value come last.
    """
    value, loss = validated.get(kept_by), validated.get("loss")
    sign = -1.0 if find_metric(kept_by).higher_is_better else 1.0
    return sign * value if defined(value) else math.inf, loss if defined(loss) else math.inf


def kept_words(kept_by: str) -> str:
    """The first of these in words: "the highest validation accuracy"."""
    metric = find_metric(kept_by)
    return f"the {'highest' if metric.higher_is_better else 'lowest'} validation {metric.label}"


def undefined_notes(metrics: Mapping[str, float | None]) -> list[str]:
    """A line for each metric that has no value: "MASE is undefined where …"."""
    undefined = [find_metric(name) for name, value in metrics.items() if not defined(value)]
    return [f"{metric.label} is undefined {metric.undefined}" for metric in undefined]


def ratio(sums: Any) -> Any:
    """The first of two sums (..., 2) over the second; NaN where that is 0."""
    total, count = sums[..., 0], sums[..., 1]
    return total / count * (count / count)  # 1 / 0 is infinite, 0 / 0 is not a number


def _share(
    name: str, label: str, items: str = "right, 1", limits: tuple[float, float] = (0.0, 1.0), **more: Any
) -> Metric:
    return Metric(name, label, "%", 100.0, 1, limits=limits, items=items, relative_margin=False, **more)


def _error(
    name: str, label: str, items: str = "errors, values", limits: tuple[float, float] = (0.0, math.inf), **more: Any
) -> Metric:
    return Metric(name, label, higher_is_better=False, limits=limits, items=items, **more)


_TEXT_SCORES = "sightline.tasks.texts_out.scores"
_LIKELIHOODS = "sightline.tasks.likelihoods"
_FORECASTS = "sightline.tasks.forecasting.metrics"
_EMPTY = "where all references are empty"
_LABEL_SCORES = "sightline.tasks.classification.metrics"
_ALL = (
    _share("exact_match", "exact match", of="texts", rows=f"{_TEXT_SCORES}:exact_rows"),
    _share("token_accuracy", "token accuracy", "right tokens, tokens", of="ranked tokens",
           rows=f"{_LIKELIHOODS}:right_rows"),
    Metric("bleu", "BLEU", digits=1, limits=(0.0, 100.0), margin=0.5, relative_margin=False, costly=True, of="texts",
           rows=f"{_TEXT_SCORES}:bleu_rows", function=f"{_TEXT_SCORES}:bleu_of",
           signature=f"{_TEXT_SCORES}:bleu_signature",
           items="length of output and of reference, 4 counts of matching n-grams, 4 of all"),
    Metric("chrf", "chrF", digits=1, limits=(0.0, 100.0), margin=0.5, relative_margin=False, costly=True, of="texts",
           rows=f"{_TEXT_SCORES}:chrf_rows", function=f"{_TEXT_SCORES}:chrf_of",
           signature=f"{_TEXT_SCORES}:chrf_signature",
           items="for n = 1 to 6: n-grams of the output, of the reference, and matching ones"),
    _share("accuracy", "accuracy", of="labels", rows=f"{_LABEL_SCORES}:accuracy_rows"),
    _share("label_accuracy", "label accuracy", "right labels, labels", of="label sets",
           rows=f"{_LABEL_SCORES}:label_accuracy_rows"),
    _share("macro_f1", "macro F1", "for each class: 1 where predicted and true, where true, where predicted",
           of="labels", rows=f"{_LABEL_SCORES}:macro_f1_rows", function=f"{_LABEL_SCORES}:macro_f1_of"),
    Metric("auroc", "AUROC", limits=(0.0, 1.0), relative_margin=False, costly=True, summed=False,
           function=f"{_LABEL_SCORES}:auroc_of", of="labels", rows=f"{_LABEL_SCORES}:auroc_rows",
           items="for each class: 1 where true; for each class: its probability",
           undefined="where no label occurs in some of the items and lacks in others"),
    _share("ece", "calibration error", "for each bin: right predictions less confidence; predictions",
           of="labels", rows=f"{_LABEL_SCORES}:calibration_rows", higher_is_better=False,
           function=f"{_LABEL_SCORES}:calibration_error_of"),
    _error("bits_per_byte", "bits per byte", "bits, bytes", of="running text", rows=f"{_LIKELIHOODS}:bits_rows",
           undefined="for texts without bytes"),
    _error("mse", "MSE", of="forecasts", rows=f"{_FORECASTS}:squared_errors"),
    _error("mae", "MAE", of="forecasts", rows=f"{_FORECASTS}:absolute_errors"),
    _error("mase", "MASE", "errors in units of the naive forecast's, weights; by column of series", of="forecasts",
           rows=f"{_FORECASTS}:errors_by_naive",
           undefined="where the seasonal naive forecast has no error in training, or none is known"),
    _share("smape", "sMAPE", "errors, values", (0.0, 2.0), of="forecasts", rows=f"{_FORECASTS}:relative_errors",
           higher_is_better=False),
    _error("pinball", "pinball loss", of="quantiles", rows=f"{_FORECASTS}:pinball_losses"),
    # A wider interval covers more: neither of the two says alone which forecast is better.
    _share("coverage", "coverage", "values in the interval, values", of="intervals", rows=f"{_FORECASTS}:inside",
           decides=False),
    _error("interval_width", "interval width", "widths, values", of="intervals", rows=f"{_FORECASTS}:widths",
           decides=False),
    _share("cer", "character error rate", "edits, characters of the reference", (0.0, math.inf), of="transcripts",
           rows="sightline.tasks.texts_out.error_rates:character_rows", higher_is_better=False, undefined=_EMPTY),
    _share("wer", "word error rate", "edits, words of the reference", (0.0, math.inf), of="transcripts",
           rows="sightline.tasks.texts_out.error_rates:word_rows", higher_is_better=False, undefined=_EMPTY),
    _error("loss", "loss", "nats, labels", of="likelihoods", rows=f"{_LIKELIHOODS}:nats_rows", unit=None,
           log_scale=True),
    _error("perplexity", "perplexity", "nats, tokens", (1.0, math.inf), of="tokens", rows=f"{_LIKELIHOODS}:nats_rows",
           log_scale=True, function="sightline.training.loss:perplexity_of"),
)  # fmt: skip
METRICS = {metric.name: metric for metric in _ALL}


def metrics_of(*kinds: str) -> list[Metric]:
    """The metrics that are measured of outputs of these kinds (`Metric.of`), in the order of the table."""
    return [metric for metric in METRICS.values() if metric.of in kinds]


def metric_names(*kinds: str, first: Sequence[str]) -> tuple[str, ...]:
    """These names, then those of the other metrics of outputs of these kinds, in the order of the table."""
    return tuple(dict.fromkeys([*first, *(metric.name for metric in metrics_of(*kinds))]))


def find_metric(name: str) -> Metric:
    """The metric of this name; one that is not in `METRICS` is a mean of items, the larger the better."""
    return METRICS.get(name, Metric(name, name.replace("_", " ")))


def written(name: str, value: int | float | None) -> str:
    """One value of a metric as text, in its unit and with its digits."""
    return find_metric(name).apart([value]).text(value)
