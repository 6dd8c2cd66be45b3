"""C13: softmax attention with and without the division of its logits by √d_k."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Draw, Examples, Recipe, answers, fit, held_out, initialised, losses
from sightline.lab.claims.numbers import in_words, mean_of, mean_share, of_number, placed, points_of
from sightline.lab.claims.results import ClaimChart, ClaimCurve, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.panel_results import Band, Saturation
from sightline.lab.saturation import WIDTHS, by_layer, by_width
from sightline.models.encoder_model import EncoderConfig, EncoderModel
from sightline.parts.self_attention import SelfAttention

KEYS, VALUES, PAIRS = 16, 8, 16  # of the task of training
D_HEAD = 128
JACOBIAN = "norm of the Jacobian"
DEAD, STEADY = 0.1, 2.0


class ScaledTraining(NamedTuple):
    """Trainings (seeds,) of the same model with or without the scale; medians over queries of the first layer.

    gradient: the norm of the softmax's Jacobian before and after training
    """

    scaled: bool
    loss: np.ndarray
    accuracy: np.ndarray
    gradient: np.ndarray  # (seeds, 2)


def scaled_logits(effort: Effort) -> ClaimResult:
    """C13: statistics of the softmax by d_k, and training with and without the scale.

    Statistics are of standard normal queries and keys. The training: one layer of one head of 128 units, and each row
    lists 16 pairs (key, value) in random order and one of the keys, whose value is the answer. Unscaled, the queries
    are multiplied by √d_k at every step, with the same initial weights otherwise.

    Rule: (a) the softmax saturates if at the largest d_k the median norm of its Jacobian unscaled is below a tenth of
    that scaled, while the scaled one stays within a factor of 2 of that at d_k = 8. (b) Training suffers if the loss on
    held-out rows is larger without the scale: the 95 % interval of the paired difference over seeds lies above 0. The
    claim holds if both are so; it does not hold if (a) fails; otherwise it depends: saturated at first, training gets
    by without the scale.
    """
    keys = effort.choose(1024, 256)
    statistics = by_width(keys, seed=effort.seed)
    trained = [_train(effort, scaled) for scaled in (True, False)]
    return ClaimResult(
        *placed(judge, statistics, trained),
        numbers=[*_statistics(statistics), *_trainings(trained)],
        charts=[*_charts(statistics), _training_chart(trained)],
        conditions=f"statistics: {keys} keys, d_k = {WIDTHS[0]} to {WIDTHS[-1]}; training: {KEYS} keys, {VALUES} "
        f"values, {PAIRS} pairs, d_k = {D_HEAD}, {_recipe(effort).steps} steps of {_recipe(effort).batch} rows, "
        f"AdamW at {_recipe(effort).lr:g}; {effort.conditions()}",
        limits="One size, one task and one learning rate; a network whose queries and keys are normalised does not "
        "need the scale.",
    )


def stored_pairs(pairs: int = PAIRS) -> Draw:
    """Rows of `pairs` tokens, each a key with a value, and a key to look up; the label is its value.

    Token k · VALUES + v is the key k with the value v, the last KEYS tokens ask. No key occurs twice in a row.
    """

    def draw(generator: torch.Generator, count: int) -> Examples:
        key = torch.rand(count, KEYS, generator=generator).argsort(1)[:, :pairs]
        value = torch.randint(VALUES, (count, pairs), generator=generator)
        asked = torch.randint(pairs, (count, 1), generator=generator)
        query = KEYS * VALUES + key.gather(1, asked)
        label = value.gather(1, asked).squeeze(1)
        return Examples((torch.cat([key * VALUES + value, query], 1),), label, torch.ones_like(label).bool())

    return draw


@final
class Multiplied(nn.Module):
    """A parametrization: the parameter times a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, parameter: Tensor) -> Tensor:
        return parameter * self.factor


def lookup_model(seed: int, *, scaled: bool) -> EncoderModel:
    """One causal layer of one head; unscaled, its queries are multiplied by √d_k."""
    config = EncoderConfig(
        ("softmax",), d_model=D_HEAD, layers=1, heads=1, positions="none", dropout=0.0, causal=True, pooling="last"
    )
    with initialised(seed):
        model = config.build(KEYS * VALUES + KEYS, VALUES)
    if not scaled:
        for layer in model.modules():
            if isinstance(layer, SelfAttention):
                for name in ("weight", "bias"):
                    parametrize.register_parametrization(
                        layer.heads.query, name, Multiplied(math.sqrt(layer.heads.d_head))
                    )
    return model


def _train(effort: Effort, scaled: bool) -> ScaledTraining:
    loss, accuracy, gradient = [], [], []
    for seed in range(effort.seed, effort.seed + effort.seeds):
        model = lookup_model(seed, scaled=scaled)
        examples = held_out(stored_pairs(), 0, 500)
        before = _gradient(model, examples)
        fit(model, stored_pairs(), _recipe(effort), seed)
        loss.append(float(losses(model, examples).mean()))
        accuracy.append(float(answers(model, examples).double().mean()))
        gradient.append([before, _gradient(model, examples)])
        effort.say(f"C13: {'scaled' if scaled else 'unscaled'}, seed {seed}: loss {loss[-1]:.3f}")
    return ScaledTraining(scaled, np.array(loss), np.array(accuracy), np.array(gradient))


def _gradient(model: EncoderModel, examples: Examples) -> float:
    """The median norm of the softmax's Jacobian in the model's layer."""
    tokens = examples.inputs[0][:64]
    model.eval()
    saturation = by_layer("", model, lambda: model(tokens), tokens.shape[1])
    assert saturation is not None
    return saturation.gradient.centre[0] or 0.0


def _recipe(effort: Effort) -> Recipe:
    return Recipe(effort.choose(600, 250), 64, 1e-3)


def judge(statistics: Sequence[Saturation], trained: Sequence[ScaledTraining]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    rows = {row.name: row.gradient for row in statistics}
    first, last = (rows["scaled"].centre[i] or 0.0 for i in (0, -1))
    unscaled = rows["unscaled"].centre[-1] or 0.0
    saturates = unscaled < DEAD * last and max(first, last) <= STEADY * min(first, last)
    with_scale, without = trained if trained[0].scaled else trained[::-1]
    difference = _suffered(with_scale, without)
    suffers = difference.low is not None and difference.low > 0
    largest = rows["scaled"].at[-1]
    names = {name: _statistic(name, largest, JACOBIAN) for name in rows}
    width = of_number(names["scaled"], f"{largest:g}", "name")
    norms = {name: of_number(names[name], f"{value:.2g}") for name, value in (("scaled", last), ("unscaled", unscaled))}
    right = [of_number(_trained_name(one, "accuracy"), f"{one.accuracy.mean():.3f}") for one in (with_scale, without)]
    text = (
        f"At d_k = {width} the median norm of the softmax's Jacobian is {norms['scaled']} scaled and "
        f"{norms['unscaled']} unscaled. After training without the scale the loss is {in_words(difference)} nats "
        f"higher; accuracy {right[0]} with, {right[1]} without."
    )
    if not saturates:
        return "does not hold", text
    if suffers:
        return "holds", text
    return "depends", f"{text} The softmax saturates at first, but this training gets by without the scale."


def _statistics(statistics: Sequence[Saturation]) -> list[ClaimNumber]:
    numbers = []
    for row in statistics:
        for name, band in _bands(row).items():
            for i in (0, -1):
                place = _statistic(row.name, band.at[i], name)
                numbers.append(ClaimNumber(place, band.centre[i], band.low[i], band.high[i]))
    return numbers


def _suffered(with_scale: ScaledTraining, without: ScaledTraining) -> ClaimNumber:
    """The loss without the scale less that with it, paired over seeds."""
    return mean_of("trained unscaled less trained scaled: loss", without.loss - with_scale.loss, "nats")


def _trainings(trained: Sequence[ScaledTraining]) -> list[ClaimNumber]:
    numbers = []
    for one in trained:
        name = "scaled" if one.scaled else "unscaled"
        numbers.append(mean_of(_trained_name(one, "loss"), one.loss, "nats"))
        numbers.append(mean_share(_trained_name(one, "accuracy"), one.accuracy))
        for i, when in enumerate(("before", "after")):
            numbers.append(mean_of(f"{name}: norm of the softmax's Jacobian {when} training", one.gradient[:, i]))
    return [*numbers, _suffered(*trained)]


def _statistic(kind: str, width: float, name: str) -> str:
    return f"{kind}, d_k = {width:g}: {name}, median and quartiles"


def _trained_name(one: ScaledTraining, what: str) -> str:
    return f"trained {'scaled' if one.scaled else 'unscaled'}: {what}"


def _bands(row: Saturation) -> dict[str, Band]:
    return {
        "entropy, share of that of uniform weights": row.entropy,
        "largest weight": row.largest,
        JACOBIAN: row.gradient,
    }


def _charts(statistics: Sequence[Saturation]) -> list[ClaimChart]:
    charts = []
    for name in ("entropy, share of that of uniform weights", "largest weight", JACOBIAN):
        bands = [(row.name, _bands(row)[name]) for row in statistics]
        curves = [ClaimCurve(label, band.at, band.centre, band.low, band.high) for label, band in bands]
        title = f"{name[0].upper()}{name[1:]} of the softmax by d_k"
        charts.append(
            ClaimChart(title, "d_k", name.partition(",")[0], curves, log_x=True, log_y=name.startswith("norm"))
        )
    return charts


def _training_chart(trained: Sequence[ScaledTraining]) -> ClaimChart:
    curves = [points_of("scaled" if one.scaled else "unscaled", list(one.gradient.T)) for one in trained]
    return ClaimChart(
        f"Norm of the softmax's Jacobian in training, d_k = {D_HEAD}",
        "training",
        "norm of the Jacobian",
        curves,
        categories=["before", "after"],
    )
