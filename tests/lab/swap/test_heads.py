"""Single heads of a layer by another mechanism: what the model then computes, carries, learns and saves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import sightline
from sightline.core.errors import InputError
from sightline.inspect import influence
from sightline.inspect.heads import Head
from sightline.inspect.pruning import prune
from sightline.lab.swap.costs import state_bytes
from sightline.lab.swap.distil import errors, held_out, match_layers
from sightline.lab.swap.operate import _alone, _part_of
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.prepare import PreparedSwap, SwapConfig
from sightline.lab.swap.results import SwapPlan, SwapResults
from sightline.lab.swap.run import run_swap
from sightline.lab.swap.target import find_target
from sightline.lab.swap.units import SwapUnit, parse_units
from tests.lab.swap import made
from tests.lab.swap.test_surgery import check_saved_and_stepped, logits, some_tokens

TARGETS = ("window", "block_sparse", "linear", "retention", "gated_linear", "gated_delta")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("text")


def language(folder, **changes):
    return made.language(folder, **{"heads": 4, **changes})


@pytest.mark.parametrize("heads", ["2.3", "2.1,2.3", "2.1+3", "1,2.4", "2.1,2.2,2.3,2.4"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"positions": "alibi"}, {"positions": "learned"}, {"options": {"softmax": {"d_head": 5, "bias": False}}}],
    ids=["rotary", "alibi", "learned", "no bias"],
)
def test_heads_with_a_window_as_long_as_the_text_compute_the_same(folder, changes, heads):
    task = language(folder, **changes)
    tokens = some_tokens(task)
    wide, narrow = (logits(made.swapped(task, "window", heads, window=size), tokens) for size in (40, 3))
    torch.testing.assert_close(wide, logits(task, tokens), rtol=1e-5, atol=1e-5)
    assert (narrow - wide).abs().max() > 1e-4


@pytest.mark.parametrize("heads", ["2.1+2", "2.1+3,2.2+4", "2.1+2,2.3+4"])
def test_heads_that_share_keys_are_replaced_together(folder, heads):
    task = language(folder, options={"softmax": {"key_heads": 2}})
    tokens = some_tokens(task)
    wide = made.swapped(task, "window", heads, window=40)
    torch.testing.assert_close(logits(wide, tokens), logits(task, tokens), rtol=1e-5, atol=1e-5)


def test_heads_that_share_keys_are_refused_alone(folder):
    with pytest.raises(InputError, match=r"--layer: keys of layer 2 are shared by 2 heads each: of every key"):
        made.swapped(language(folder, options={"softmax": {"key_heads": 2}}), "window", "2.1")


@pytest.mark.parametrize("side", ["decoder", "encoder"])
def test_heads_of_either_half_of_a_transformer(side):
    task = made.translation()
    source, target = torch.randint(4, 10, (2, 7)), torch.randint(4, 10, (2, 6))
    changed = made.swapped(task, "window", "2.2", side=side, window=7)
    with torch.no_grad():
        before, after = (one.model.eval()(source, None, target) for one in (task, changed))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    of_side, other = {"decoder": ("mixers", "encoder_mixers"), "encoder": ("encoder_mixers", "mixers")}[side]
    count = task.sizes.heads
    rest = ".".join(str(number) for number in range(1, count + 1) if number != 2)
    assert getattr(changed.sizes, of_side) == ("softmax", f"softmax:{rest}+window:2")
    assert getattr(changed.sizes, other) == ("softmax", "softmax")


@pytest.mark.parametrize("to", TARGETS)
def test_it_is_saved_loaded_and_steps_as_it_reads(folder, tmp_path, to):
    task = made.swapped(language(folder), to, "2.1,2.4")
    assert task.sizes.mixers == ("softmax", f"softmax:2.3+{to}:1+{to}:4")
    check_saved_and_stepped(task, tmp_path)


def test_a_head_begins_with_the_projections_of_that_head(folder):
    patient = Patient.of(language(folder), None, "run")
    old = patient.modules()[1].heads
    for to in ("linear", "gated_linear"):
        unit = SwapUnit(2, (3,))
        started = patient.start(unit, find_target(patient, [unit], to, {}).config, 0)
        assert started.copied == ["query", "key", "value", "out"]
        new = dict(started.module.named_parameters())
        at = "heads." if "heads.query.weight" in new else ""
        rows = slice(2 * old.d_head, 3 * old.d_head)
        for name in ("query", "key", "value"):
            assert torch.equal(new[f"{at}{name}.weight"], getattr(old, name).weight[rows])
        assert torch.equal(new[f"{at}out.weight"], old.out.weight[:, rows])
        assert not new.get(f"{at}out.bias", torch.zeros(1)).any()


def test_what_a_layer_carries_is_that_of_its_heads(folder):
    """Keys and values of 4 numbers: of 50 positions for three heads, of window - 1 for one, and two positions."""
    changed = made.swapped(language(folder), "window", "2.1", window=5)
    patient = Patient.of(changed, None, "run")
    assert state_bytes(patient.modules()[0], 50) == 4 * 2 * 4 * 4 * 50 + 8
    assert state_bytes(patient.modules()[1], 50) == 4 * 2 * 4 * (3 * 50 + 4) + 16


def test_matching_changes_the_new_head_alone_and_lowers_the_error(folder):
    task = language(folder)
    data = made.load_text(made.text_file(folder))
    patient = Patient.of(task, None, "run")
    unit = SwapUnit(1, (2,))
    target = find_target(patient, [unit], "linear", {})
    prepared = PreparedSwap(None, task, data, data.test, patient, [unit], target, "loss")
    old, new = patient.modules()[:1], [_alone(prepared, unit, patient.start(unit, target.config, 0).module)]
    plan = SwapPlan(layer_steps=30, layer_lr=1e-2)
    held = held_out(task, data.valid, 0)
    matched = match_layers(task, old, new, data.train, plan, print)
    (start,), (end,) = errors(task, old, new, held), errors(task, old, matched, held)
    assert end < 0.8 * start
    before, after = new[0].state_dict(), matched[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("groups.1.") for name in changed)
    assert _part_of(unit, matched[0]) is matched[0].groups[1]


@pytest.fixture(scope="module")
def run(folder):
    settings = {"model.d_model": 16, "model.heads": 2, "context": made.CONTEXT, "model.layers": 2, "batch_tokens": 192}
    data = made.text_file(folder)
    sightline.fit("language", data, "transformer", "6steps", out_dir=folder / "lm", settings=settings, quiet=True)
    return folder / "lm"


@pytest.mark.slow
def test_a_swap_of_heads_has_each_alone_and_all_together(run, tmp_path):
    plan = SwapPlan(layer_steps=2, tune_steps=2, length=50)
    config = SwapConfig("window", "1,2.1,2.2", settings={"window": "3"}, plan=plan)
    results = run_swap(run, tmp_path / "out", config, say=print)
    units = [SwapUnit(1), SwapUnit(2, (1,)), SwapUnit(2, (2,))]
    assert [row.units for row in results.rows] == [*([unit] for unit in units), units]
    whole = 4 * 2 * 2 * 8 * (50 - 2)
    # A layer of three groups has two positions more than one of one, one of two groups one.
    assert [row.saved_bytes for row in results.rows] == [whole, whole // 2 - 8, whole // 2 - 8, 2 * whole - 16]
    assert results.mechanisms == ["window", "softmax:none+window:1+window:2"]
    task = sightline.load(tmp_path / "out")
    assert task.sizes.mixers == tuple(results.mechanisms)
    measured = task.evaluate().metrics["bits_per_byte"]
    assert measured == pytest.approx(results.rows[-1].tuned.mean, rel=1e-6)
    assert SwapResults.load(tmp_path / "out" / "swap.json").to_dict() == results.to_dict()


REFUSED = {
    "head": ({"layers": "2.5"}, r"--layer: layer 2 has 4 heads, found 2\.5"),
    "zero": ({"layers": "2.0"}, r"--layer: layer 2 has 4 heads, found 2\.0"),
    "layer": ({"layers": "3.1"}, r"--layer: must be between 1 and 2, found 3"),
    "twice": ({"layers": "2.1,2.1+3"}, r"--layer: head 1 of layer 2 is named twice"),
    "same": ({"layers": "2.1+1"}, r"--layer: head 1 of layer 2 is named twice"),
    "whole too": ({"layers": "2,2.1"}, r"--layer: layer 2 is named twice, whole and by its heads"),
    "word": ({"layers": "2.first"}, r"--layer: expected all, a number, 1,3, or heads such as 2\.1, found '2\.first'"),
    "no heads": ({"layers": "2.1", "to": "lru"}, r"--to: lru has no heads: it can replace only whole layers"),
    "count": ({"layers": "2.1", "heads": 2}, r"--to\.heads: heads of a layer are counted with those that stay, of 4"),
}


@pytest.mark.parametrize(("how", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_said_in_one_line(folder, how, message):
    with pytest.raises(InputError, match=message):
        made.swapped(language(folder), **{"to": "window", **how})


def test_units_are_in_order_and_once():
    assert parse_units("2.3+1, 1,2.2,1") == [SwapUnit(1), SwapUnit(2, (1, 3)), SwapUnit(2, (2,))]
    assert [unit.text for unit in parse_units("2.3+1,1")] == ["1", "2.1+3"]


def test_other_layers_of_a_model_that_has_lost_heads_stay_as_they_are(folder):
    task = language(folder)
    path = next(name for name, part in task.model.named_modules() if part is Patient.of(task, None, "run").modules()[0])
    prune(task.model, [Head(f"{path}.weights", 1)])
    tokens = some_tokens(task)
    wide = made.swapped(task, "window", "2.1", window=40)
    torch.testing.assert_close(logits(wide, tokens), logits(task, tokens), rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="--layer: layer 1 has lost heads before: choose the whole layer"):
        made.swapped(task, "window", "1.1")


def test_a_layer_of_several_mechanisms_is_not_replaced_again(folder):
    half = made.swapped(language(folder), "linear", "1.1")
    with pytest.raises(
        InputError, match=r"--layer: layer 1 is softmax:2\.3\.4\+linear:1, not softmax attention: choose 2"
    ):
        made.swapped(half, "linear", "1.2")
    assert made.swapped(half, "linear", "2").sizes.mixers == ("softmax:2.3.4+linear:1", "linear")
    with pytest.raises(InputError, match="--to: another layer is linear already, with other settings"):
        made.swapped(half, "linear", "2.1", features="relu")
    assert replace(half.sizes, dropout=0.2).mixers == half.sizes.mixers


def test_maps_of_groups_are_those_of_the_layer(folder):
    """Heads in groups that compute the same have the same maps, and one rollout through both layers."""
    task = language(folder)
    wide = made.swapped(task, "window", "2.2", window=40)
    whole, groups = (influence(one, "abc defg", ["softmax", "rollout", "effect"]) for one in (task, wide))
    for method in ("rollout", "effect"):
        (before,), (after,) = ([one.weights for one in found.maps if one.method == method] for found in (whole, groups))
        np.testing.assert_allclose(after, before, atol=1e-4)
    of_layers, of_groups = ([one.weights for one in found.maps if one.method == "softmax"] for found in (whole, groups))
    assert [len(one) for one in of_groups] == [4, 3, 1]
    np.testing.assert_allclose(np.concatenate(of_groups[1:])[[0, 3, 1, 2]], of_layers[1], atol=1e-4)
