"""Importance by gradient is a slope, pruned models are the masked ones, curves are means over orders."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from scipy import stats

from sightline.core.errors import InputError
from sightline.data.batches import START, Cursor
from sightline.decoding.engine import DecodingConfig
from sightline.inspect import influence
from sightline.inspect.heads import Head, ablated_heads, head_gradients, heads_of, layer_normalised
from sightline.inspect.pruning import (
    IMPORTANCE,
    MeasuredTask,
    Quality,
    by_importance,
    chosen_metric,
    number_to_prune,
    one_epoch,
    prune,
    pruning_curves,
)
from sightline.models.language_model import LanguageModelConfig
from sightline.models.transformer import TransformerConfig
from tests.tasks.translation.small import corpus, untrained

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-6}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModelConfig(d_model=16, layers=2, heads=4, dropout=0.5).build(7)


def scaled(model, head, factor):
    """The model in which one head's output is multiplied by a factor, by its columns of the output projection."""
    model = copy.deepcopy(model)
    weight = heads_of(model)[head.layer].out.weight.data.unflatten(1, (4, 4))
    weight[:, head.number] *= factor
    return model.eval()


def test_importance_by_gradient_is_the_mean_slope_of_the_mask(model):
    model = model.double()
    batches = [torch.randint(7, (rows, 6)) for rows in (3, 2)]

    def of_rows(model, tokens):
        logits = model(tokens[:, :-1], None)[0]
        return torch.nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none").sum(1)

    found = head_gradients(model, lambda tokens: of_rows(model, tokens).sum(), batches)
    assert model.training  # as it was
    assert len(found) == 8
    step, mixed = 1e-6, 0
    for head, score in found.items():
        with torch.no_grad():
            slopes = [
                (of_rows(scaled(model, head, 1 + step), x) - of_rows(scaled(model, head, 1 - step), x)) / (2 * step)
                for x in batches
            ]
        assert score == pytest.approx(float(torch.cat(slopes).abs().mean()), rel=1e-6)
        mixed += 0 < (torch.cat(slopes) > 0).sum() < 5
    assert mixed  # a mean of slopes would not be the mean of their sizes


def test_layers_are_compared_by_their_norms():
    importance = {Head("a", 0): 3.0, Head("a", 1): 4.0, Head("b", 0): 0.2, Head("c", 0): 0.0}
    assert list(layer_normalised(importance).values()) == pytest.approx([0.6, 0.8, 1.0, 0.0])
    assert [str(head) for head in IMPORTANCE["gradient"](importance)] == [
        "c head 0",
        "a head 0",
        "a head 1",
        "b head 0",
    ]
    assert [str(head) for head in by_importance(importance)] == ["c head 0", "b head 0", "a head 0", "a head 1"]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_a_pruned_model_computes_what_the_masked_one_does(dtype):
    torch.manual_seed(0)
    model = TransformerConfig(d_model=16, heads=4, layers=2, positions="alibi").build(9, 9).to(dtype).eval()
    first, second, own, cross, *_ = heads_of(model)
    removed = [Head(first, 2), *(Head(second, n) for n in range(4)), Head(own, 0), Head(own, 3), Head(cross, 1)]
    source, target = torch.randint(1, 9, (3, 7)), torch.randint(1, 9, (3, 5))
    mask = torch.arange(7) < torch.tensor([[7], [4], [1]])
    size = sum(parameter.numel() for parameter in model.parameters())
    with torch.no_grad():
        with ablated_heads(model, removed):
            expected = model(source, mask, target)
        assert not torch.allclose(model(source, mask, target), expected, rtol=0, atol=1e-3)
        kept = prune(model, removed)
        torch.testing.assert_close(model(source, mask, target), expected, rtol=0, atol=TOLERANCES[dtype])
    assert sorted(kept.values()) == [(), (0, 1, 3), (0, 2, 3), (1, 2)]
    after = sum(parameter.numel() for parameter in model.parameters())
    assert size - after == len(removed) * (4 * 4 * 16 + 3 * 4)  # rows of three projections, their biases, columns


def test_heads_that_are_not_there_or_cannot_go_are_refused(model):
    name = next(iter(heads_of(model)))
    with pytest.raises(InputError, match=f"--prune: no layer .* has a head 4 at '{name}'"):
        prune(model, [Head(name, 4)])
    with pytest.raises(InputError, match="has a head 1 at"):
        prune(model, [Head(name, 1), Head(name, 1)])
    config = LanguageModelConfig(d_model=16, layers=1, heads=4, options={"softmax": {"key_heads": 2}})
    with pytest.raises(InputError, match=r"--prune: mixer.*different numbers of query heads \(1, 2\)"):
        prune(config.build(7), [Head(name, 0)])


def test_a_model_without_any_head_in_a_layer_is_inspected_and_decodes():
    task = untrained("transformer")
    encoder, own, cross = heads_of(task.model)
    prune(task.model, [*(Head(name, number) for name in (encoder, own) for number in range(2)), Head(cross, 0)])
    found = influence(task, "907", ["softmax", "value_weighted", "relevance"])
    assert [one.name for one in found.maps] == [cross, cross, "model", "model"]
    assert len(task.predict(["12", "345"], DecodingConfig(beam=2))) == 2


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("25%", 3), (" 4 % ", 1), ("100%", 13), ("13", 13)])
def test_numbers_and_shares(text, number):
    assert number_to_prune(text, 13) == number


@pytest.mark.parametrize("text", ["0", "14", "-1", "1.5", "101%", "1%", "x", "%", "", "nan%"])
def test_other_numbers_are_refused(text):
    with pytest.raises(InputError, match="--prune: expected a number of heads from 1 to 13 or a share such as 25%, fo"):
        number_to_prune(text, 13)


def test_curves_follow_their_orders_and_random_ones_have_an_interval(model):
    heads = [Head(name, number) for name, layer in heads_of(model).items() for number in range(4)]
    costs = {head: 2.0**place for place, head in enumerate(heads)}
    asked = []

    def quality(removed):
        asked.append(removed)
        return Quality(sum(costs[head] for head in removed), -len(removed))

    own, random = pruning_curves(model, quality, {"ablation": by_importance(costs)}, draws=4, points=5)
    assert [point.removed for point in own.points] == [0, 2, 4, 6, 8]
    assert [point.loss for point in own.points] == [0.0, 3.0, 15.0, 63.0, 255.0]
    assert [point.metric for point in random.points] == [0, -2, -4, -6, -8]
    assert (random.order, random.orders, own.orders) == ("random", 4, 1)
    drawn = [sum(costs[head] for head in removed) for removed in asked if len(removed) == 4][-4:]
    point = random.points[2]
    interval = stats.t.interval(0.95, 3, sum(drawn) / 4, stats.sem(drawn))
    assert [point.loss, point.loss_low, point.loss_high] == pytest.approx([sum(drawn) / 4, *interval])
    assert random.points[0].loss_low == random.points[0].loss_high == 0.0
    assert len(asked) == len({frozenset(removed) for removed in asked})  # nothing is measured twice
    assert pruning_curves(model, quality, {"ablation": by_importance(costs)}, draws=0, points=5) == [own]


class TwoBatches:
    """A stream without an end, of two batches in an epoch."""

    def stream(self, cursor):
        while True:
            for name, after in (("a", Cursor(cursor.epoch, 1)), ("b", Cursor(cursor.epoch + 1, 0))):
                yield name + str(cursor.epoch), after
            cursor = after


def test_one_epoch_ends():
    assert Cursor(0, 0) == START
    assert list(one_epoch(TwoBatches())) == ["a0", "b0"]


def test_the_metric_is_chosen_by_name():
    values = {"coverage": 0.1, "bleu": 20.0, "loss": 1.0}
    assert chosen_metric("translation", values, None) == "bleu"  # coverage decides nothing
    assert chosen_metric("translation", values, "loss") == "loss"
    with pytest.raises(InputError, match="--metric: translation measures no 'blue', did you mean 'bleu'"):
        chosen_metric("translation", values, "blue")


@pytest.mark.slow
def test_a_measured_task_has_the_loss_of_an_evaluation():
    task = untrained("transformer", label_smoothing=0.0)
    measured = MeasuredTask(task, corpus().valid)
    assert measured.whole.loss == pytest.approx(task.measure(corpus().valid).metrics["loss"], rel=1e-5)
    heads = list(measured.ablation())
    assert len(heads) == len(measured.gradient()) == 6
    with ablated_heads(task.model, heads[:2]):
        expected = task.measure(corpus().valid).metrics["loss"]
    assert measured.quality(heads[:2]).loss == pytest.approx(expected, rel=1e-5)
    assert all(math.isfinite(change) for change in measured.ablation().values())
