"""Calibration: known maps of a planted problem, and the worth of tests that are right, wrong or say nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.probe import Probe
from sightline.inspect.battery import faithfulness
from sightline.inspect.calibration import KnownMap, known_maps, worth_of
from sightline.inspect.explained import ExplainedItem, ShownMap
from sightline.inspect.faithfulness_results import CalibratedTest, CallRate, Faithfulness, PlantedResult
from sightline.inspect.faithfulness_tests import TESTS, FaithfulnessTest
from sightline.inspect.faithfulness_verdict import judged, overall
from sightline.tasks.opened import OpenedInput, OpenedSide, replaced_tokens
from sightline.tasks.planted import Planted, PlantedItem, PlantedSizes
from tests.tasks.classification import small as labels

KNOWN = {test.name: test for test in TESTS}
FEW = tuple(KNOWN[name] for name in ("tau_gradient", "top_effect", "comprehensiveness_replacement", "uniform_weights"))


def oracle(item: ExplainedItem, shown: ShownMap) -> float:
    """1 for a map whose largest value is planted."""
    assert item.causal is not None
    return float(item.causal[int(shown.values.argmax())])


def named(name: str, score: Callable[[ExplainedItem, ShownMap], float]) -> FaithfulnessTest:
    return FaithfulnessTest(name, "erasure", "", "", score)


class Reader(nn.Module):
    """Four marks, of which the one that occurs is the answer, and attention that looks at it, or at the first token."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        self.front = nn.Embedding(20, 4)
        with torch.no_grad():
            self.front.weight.zero_()
            self.front.weight[:4] = 9.0 * torch.eye(4)
        self.right, self.weights = right, Probe("B T")

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
        seen = torch.where(mask, tokens, 19)
        scores = 4.0 * (seen < 4) if self.right else 4.0 * (torch.arange(tokens.shape[1]) == 0).expand_as(seen)
        weights = self.weights(torch.softmax(scores, 1))
        x = self.front(seen)
        return x.sum(1) if not self.right else torch.einsum("bt,btd->bd", weights, x)


def planted_by_hand(right: bool) -> Planted:
    """A problem with a model that has learned it: one mark among fillers is the answer."""
    random = np.random.default_rng(0)
    model = Reader(right).eval()
    items = []
    for number in range(16):
        tokens = random.integers(4, 19, 8)
        place, answer = 1 + number % 7, number % 4
        tokens[place] = answer
        changed = tokens.copy()
        changed[place] = (answer + 1) % 4
        items.append(PlantedItem(torch.from_numpy(tokens)[None], [torch.from_numpy(changed)[None]], answer))

    def opened(given: Tensor) -> OpenedInput:
        side = OpenedSide(
            [str(token) for token in given[0].tolist()],
            given,
            lambda changed: model(changed).unsqueeze(1),
            replaced_tokens(given, 4, 19),
            model.front,
            masked=lambda changed, kept: model(changed, kept).unsqueeze(1),
        )
        label = model(given).argmax(1)
        return OpenedInput("text", "", side, [str(int(label))], label)

    def correct(one: OpenedInput, item: PlantedItem) -> bool:
        return one.outputs[0] == str(item.answer)

    task = SimpleNamespace(model=model, parameters=80)
    sizes = PlantedSizes(0, 4, 12)
    return Planted("by hand", "", False, task, iter(()), lambda *_: None, items, opened, correct, sizes)  # type: ignore[arg-type]


TRUTHFUL = {
    "oracle": named("oracle", oracle),
    "chance": named("chance", lambda item, shown: float(np.sin(1e4 * shown.values[0]))),
    "silent": named("silent", lambda item, shown: math.nan),
    "reversed": named("reversed", lambda item, shown: -oracle(item, shown))._replace(faithful="low"),
}


@pytest.fixture(scope="module", params=[True, False], ids=["attention looks there", "attention looks elsewhere"])
def planted(request: pytest.FixtureRequest) -> tuple[bool, list[KnownMap], PlantedResult]:
    """Tests that know the truth, do not, or say the reverse, on a model that is right."""
    known, facts = known_maps(planted_by_hand(request.param), [*TRUTHFUL.values(), *FEW], 0, rounds=0, replacements=6)
    return request.param, known, facts


def test_a_model_that_uses_the_planted_positions_is_seen_to(planted) -> None:
    right, known, facts = planted
    assert facts.used, facts.reason
    assert (facts.accuracy, facts.effect_hit, facts.leave_one_out_hit) == (1.0, 1.0, 1.0)
    assert facts.map_hits == {"softmax weights": float(right)}
    own = "own map that points there" if right else "own map elsewhere"
    assert {one.kind for one in known} == {"made map", "shuffled map", "map of another item", own}
    assert sum(one.kind == "made map" for one in known) == 12
    assert {one.item for one in known if one.rates} == set(range(1, 12, 2))


def test_a_problem_whose_variants_are_longer_is_not_used() -> None:
    """As one is where tokens join the mark of an item with its neighbours, but not that of its variant."""
    whole = planted_by_hand(True)
    longer = [item._replace(variants=[torch.cat([item.input, item.input], 1)]) for item in whole.items]
    known, facts = known_maps(whole._replace(items=longer), FEW, 0, rounds=1)
    assert not known
    assert not facts.used
    assert facts.reason == "not used: with another mark an input has another number of tokens"
    assert facts.steps == 0


def test_the_rates_of_a_test_are_those_of_its_truth(planted) -> None:
    _, known, _ = planted
    right = worth_of(TRUTHFUL["oracle"], known)
    assert (right.hit.share, right.false_alarm.share) == (1.0, 0.0)
    assert right.hit.n == right.false_alarm.n == 6
    assert right.threshold == 0.5
    assert worth_of(TRUTHFUL["reversed"], known).hit.share == 1.0
    silent = worth_of(TRUTHFUL["silent"], known)
    assert (silent.threshold, silent.hit.n) == (None, 0)


def test_erasure_and_overlap_tell_maps_apart_where_one_position_decides(planted) -> None:
    _, known, _ = planted
    for name in ("top_effect", "comprehensiveness_replacement"):
        worth = worth_of(KNOWN[name], known)
        assert worth.hit.share == 1.0
        assert worth.false_alarm.share is not None
        assert worth.false_alarm.share < 0.2


def calibrated(name: str, hit: float, false_alarm: float, counts: bool = True) -> CalibratedTest:
    def rate(share: float) -> CallRate:
        return CallRate("rate", share, share, share, 200)

    rates = rate(hit), rate(false_alarm), [], rate(1.0), rate(0.0)
    return CalibratedTest(name, "erasure", "", "", "high", 0.5, *rates, counts, "" if counts else "no")


SHOWN = ShownMap("softmax", "pooling.weights", 0, np.ones(3))


@pytest.mark.parametrize(
    ("passed", "counts", "outcome", "words"),
    [
        (0.95, True, "may", "Attention may be shown as an explanation for this model and data"),
        (0.12, True, "may not", "Attention must not be shown as an explanation for this model and data"),
        (0.52, True, "cannot be told", "cannot be told: the 3 tests that tell maps apart do not agree"),
        (0.95, False, "cannot be told", "cannot be told: none of the tests tells a right map from a wrong one"),
    ],
)
def test_the_verdict_follows_from_the_tests_that_count(passed, counts, outcome, words) -> None:
    tests = [calibrated(f"test {number}", 0.95, 0.1, counts) for number in range(3)]
    values = [1.0] * round(100 * passed) + [0.0] * (100 - round(100 * passed))
    one = judged(SHOWN, tests, {test.name: values for test in tests})
    assert one.outcome == outcome
    problem = PlantedResult("lookup", "", False, True, "", 1.0, 1.0, 1.0, {}, 300, 80, 60)
    found = overall([one], tests, [problem], 100, "items")
    assert found[0] == outcome
    assert words in found[1]
    assert found[1].endswith(".")


def test_two_tests_against_each_other_decide_nothing():
    tests = [calibrated("one", 0.95, 0.1), calibrated("other", 0.95, 0.1)]
    one = judged(SHOWN, tests, {"one": [1.0] * 60, "other": [0.0] * 60})
    assert one.outcome == "cannot be told"
    alone = judged(SHOWN, tests[:1], {"one": [1.0] * 60})
    assert alone.outcome == "cannot be told"  # one test is too few


@pytest.mark.slow
@torch.no_grad()
def test_the_battery_of_a_small_classifier(tmp_path) -> None:
    data = labels.data("text", 60)
    task = labels.ClassificationTask.build(data, labels.run("bilstm_attention"))
    task.corpus = data
    said: list[str] = []
    sizes = PlantedSizes(50, 3, 2)
    found = faithfulness(task, items=3, replacements=2, tests=FEW, sizes=sizes, rounds=0, say=said.append)
    assert found.outcome == "cannot be told"  # nothing is learned without training
    assert [one.method for one in found.maps] == ["softmax", "jacobian"]
    assert {test.name for test in found.tests} == {test.name for test in FEW}
    assert [one.name for one in found.planted] == [
        "token lookup",
        "first occurrence",
        "key-value recall",
        "trigger in this data",
    ]
    assert {curve.order for curve in found.curves} >= {"random", "effect"}
    assert any("planted problem: token lookup" in line for line in said)
    found.save(tmp_path / "a.json")
    assert Faithfulness.load(tmp_path / "a.json").to_dict() == found.to_dict()


def test_data_that_is_not_known_is_asked_for():
    with pytest.raises(InputError, match="nothing is known of the data of its training: name some with --data"):
        faithfulness(labels.untrained("text"))
