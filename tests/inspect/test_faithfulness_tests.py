"""Each test of faithfulness equals its definition, on models whose answers are known to depend on one position."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from sightline.core.probe import Probe
from sightline.inspect.erasing import Eraser, curves_of, top_sets
from sightline.inspect.explained import ExplainedItem, ShownMap, as_explanation, ranks_causal
from sightline.inspect.faithfulness import SHARES
from sightline.inspect.faithfulness_tests import TESTS
from sightline.inspect.influence_map import InfluenceMap
from sightline.inspect.other_weights import _moved, layer_weights, permuted
from sightline.tasks.opened import OpenedInput, OpenedSide, replaced_tokens
from tests.tasks.classification import small as labels
from tests.tasks.forecasting import small as series
from tests.tasks.translation import small as pairs

KNOWN = {test.name: test for test in TESTS}


class Bag(nn.Module):
    """The weighted sum of one number for each token, by attention that may or may not look where they are."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.values = nn.Embedding(10, 2)
        with torch.no_grad():
            self.values.weight.zero_()
            self.values.weight[5] = torch.tensor([4.0, -4.0])
        self.scores = scores
        self.weights = Probe("B T")

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = self.scores[: tokens.shape[1]].expand(len(tokens), -1)
        weights = torch.softmax(scores if mask is None else scores.masked_fill(~mask, -1e9), 1)
        x = self.values(tokens)
        x = x if mask is None else x.masked_fill(~mask.unsqueeze(2), 0.0)
        return torch.einsum("bt,btd->bd", self.weights(weights), x)


def item(tokens: list[int], scores: list[float], replacements: int = 8) -> ExplainedItem:
    model = Bag(torch.tensor(scores)).eval()
    given = torch.tensor([tokens])
    side = OpenedSide(
        [str(token) for token in tokens],
        given,
        lambda changed: model(changed).unsqueeze(1),
        replaced_tokens(given, 0, 10),
        model.values,
        masked=lambda changed, kept: model(changed, kept).unsqueeze(1),
    )
    with torch.no_grad():
        label = model(given).argmax(1)
    return ExplainedItem(model, OpenedInput("text", "", side, ["a"], label), replacements=replacements)


def shown(values: list[float]) -> ShownMap:
    return ShownMap("made", "", -1, np.array(values))


RIGHT, WRONG = shown([0.1, 0.2, 0.9, 0.15, 0.05]), shown([0.9, 0.2, 0.05, 0.15, 0.1])
EVEN = [0.0] * 5


@torch.no_grad()
def test_every_map_test_puts_a_right_map_above_a_wrong_one():
    one = item([1, 2, 5, 3, 4], EVEN)
    for test in TESTS:
        scores = [test.score(one, candidate) for candidate in (RIGHT, WRONG)]
        if test.group == "weights":
            assert np.isnan(scores).all(), test.name
        else:
            assert scores[0] > scores[1], test.name
    assert KNOWN["swap_most"].score(one, RIGHT) == 1.0
    assert KNOWN["comprehensiveness_removal"].score(one, RIGHT) == pytest.approx(1.0)


@torch.no_grad()
def test_agreement_is_that_of_scipy_and_counts_the_top_tenth():
    one = item([1, 2, 5, 3, 4], EVEN)
    effect = one.changes.mean(1)
    assert KNOWN["tau_effect"].score(one, WRONG) == pytest.approx(stats.kendalltau(WRONG.values, effect).statistic)
    assert KNOWN["top_effect"].score(one, RIGHT) == 1.0
    assert KNOWN["top_effect"].score(one, WRONG) == 0.0


@torch.no_grad()
def test_an_erasure_is_that_of_a_loop_over_sets():
    """Removal against masks by hand; replacement against every position replaced by its own draws, in a loop."""
    one = item([5, 2, 5, 3, 4], [1.0, 0.0, 2.0, 0.0, 0.0], replacements=3)
    eraser, model = one.eraser, one.model
    given = one.opened.source.input
    sets = np.array([[True, False, True, False, False], [False, True, False, False, True]])
    whole = model(given).softmax(1)[0, 0]
    for taken, removed, replaced in zip(sets, eraser.drops(sets, "removal"), eraser.drops(sets, "replacement")):
        expected = whole - model(given, torch.from_numpy(~taken).unsqueeze(0)).softmax(1)[0, 0]
        assert removed == pytest.approx(float(expected), abs=1e-6)
        others = [one.opened.source.replaced(place, 3) for place in range(5)]
        drops = []
        for draw in range(3):
            changed = given.clone()
            for place in np.flatnonzero(taken):
                changed[0, place] = others[place][draw, place]
            drops.append(float(whole - model(changed).softmax(1)[0, 0]))
        assert replaced == pytest.approx(np.mean(drops), abs=1e-6)


@torch.no_grad()
def test_no_order_is_better_than_the_best_of_all_orders():
    """Comprehensiveness of all 24 orders of four tokens: that of the effect is the largest for one deciding token."""
    one = item([1, 5, 2, 3], EVEN[:4])
    orders = [np.array(order, float) for order in itertools.permutations(range(4))]
    curves = curves_of(one.eraser, [*orders, one.changes.mean(1)], "removal")
    areas = [curve.comprehensiveness.mean() for curve in curves]
    assert areas[-1] == pytest.approx(max(areas), abs=1e-6)
    assert min(areas) < max(areas)


def test_the_top_share_has_at_least_one_position():
    sets = top_sets(np.array([0.1, 0.9, 0.5, 0.0]), SHARES)
    assert sets.sum(1).tolist() == [1, 1, 1, 1, 2]
    assert sets[0].tolist() == [False, True, False, False]
    assert sets[-1].tolist() == [False, True, True, False]


@torch.no_grad()
def test_other_weights_matter_where_attention_selects_and_not_where_it_is_idle():
    """Attention on the deciding token: a permutation that moves it changes the answer. Of equal tokens none does."""
    chosen = item([1, 2, 5, 3, 4], [0.0, 0.0, 20.0, 0.0, 0.0])
    idle = item([5, 5, 5, 5, 5], [0.0, 0.0, 20.0, 0.0, 0.0])
    for one, matters in ((chosen, True), (idle, False)):
        (own,) = (candidate for candidate in one.maps if candidate.method == "softmax")
        permuted_change, even = (KNOWN[f"{name}_weights"].score(one, own) for name in ("permuted", "uniform"))
        assert (permuted_change > 0.3) == matters
        assert (even > 0.1) == matters
        assert (KNOWN["adversarial_weights"].score(one, own) > 0.8) != matters


def test_a_permutation_moves_weights_among_visible_positions_alone():
    weights = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.9, 0.1, 0.0, 0.0]]).expand(50, 2, 4)
    found = permuted(weights, torch.Generator().manual_seed(0))
    assert torch.equal(found.sort(-1).values, weights.sort(-1).values)
    assert found[:, 0, 3].max() == 0.0
    assert found[:, 1, 2:].max() == 0.0
    assert len(found[:, 0].unique(dim=0)) == 6


@pytest.mark.parametrize("arch", ["bahdanau", "transformer"])
@torch.no_grad()
def test_other_weights_reach_decoders_by_steps_and_at_once(arch: str) -> None:
    """Weights that are the model's own change nothing, and even ones are those that the probe then gives."""
    task = pairs.untrained(arch)
    task.model.eval()
    one = ExplainedItem(task.model, task.open_input("9075"), 1)
    own = next(candidate for candidate in one.maps if candidate.method == "softmax")
    assert own.values.sum() == pytest.approx(1.0, abs=1e-5)
    assert KNOWN["uniform_weights"].score(one, own) > 0.0
    assert 0.0 < KNOWN["permuted_weights"].score(one, own) < 1.0
    assert all(candidate.path.startswith("decoder") for candidate in one.maps)


@torch.no_grad()
def test_other_weights_reach_channels_that_are_rows_of_their_own() -> None:
    """Of a window of two channels each has weights: the model's own change nothing, permuted ones do."""
    task, data = series.built(series.small("transformer"))
    (opened,) = task.open_items(data.test, 1)
    one = ExplainedItem(task.model.eval(), opened)
    own = next(candidate for candidate in one.maps if candidate.method == "softmax")
    layer = layer_weights(one, own)
    assert layer is not None
    assert len(layer.own) == 2
    assert _moved(one, layer, torch.cat([layer.own] * 3)).tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    assert KNOWN["permuted_weights"].score(one, own) > 0.0


def test_the_row_of_a_map_is_the_one_that_the_answer_is_read_at():
    weights = np.zeros((2, 3, 3))
    weights[0] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    weights[1] = [[0, 1, 0], [0, 1, 0], [0, 1, 0]]
    one = InfluenceMap("layer", 0, "softmax", "self", "source", "source", weights)
    side = OpenedSide(["<class>", "a", "b"], torch.zeros(1, 2), lambda x: x, lambda place, count: torch.zeros(1, 2))
    opened = OpenedInput("text", "", side, ["x"])
    assert as_explanation(one, opened, 0) == pytest.approx([1 / 6, 2 / 3, 1 / 6])  # all rows
    opened = opened._replace(source=side._replace(added=1), reads=[2])
    assert as_explanation(one, opened, 0) == pytest.approx([0.5, 0.5])  # the last row, without the class token


@pytest.mark.parametrize(("kind", "arch"), [("text", "transformer"), ("series", "lstm"), ("image", "transformer")])
@torch.no_grad()
def test_a_classifier_is_read_where_its_pooling_says(kind, arch: str) -> None:
    task = labels.untrained(kind, arch)
    task.model.eval()
    source = labels.part(kind, 1, 5).sources[0]
    one = ExplainedItem(task.model, task.open_input(source))
    assert one.maps
    assert all(len(candidate.values) == one.positions for candidate in one.maps)
    assert ("removal" in one.eraser.ways) == (kind == "text")


def test_hits_break_ties_against_the_map():
    causal = np.array([True, False, False])
    assert ranks_causal(np.ones(3), causal) == 0.0
    assert ranks_causal(np.array([1.0, 0.5, 0.5]), causal) == 1.0


def test_an_eraser_without_a_mask_has_replacement_alone():
    one = item([1, 5, 2], EVEN[:3])
    bare = Eraser(one.opened.source._replace(masked=None), one.opened.labels, 2)
    assert list(bare.ways) == ["replacement"]
