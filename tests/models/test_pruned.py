"""Pruned layers and models compute what the masked ones do, with fewer weights, and survive their files."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.mixer import Memory
from sightline.core.state import nbytes
from sightline.mixers.block_sparse import BlockSparseConfig
from sightline.mixers.cross import CrossConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.mixers.window import WindowConfig
from sightline.models import LanguageModelConfig
from sightline.models.pruned import keep_heads, kept_heads, prunable_layers
from sightline.models.store import load_model, save_model
from sightline.parts.token_embedding import Tokens
from sightline.tasks.load import load
from sightline.testing import Subject
from sightline.testing.subject import packed, ragged, steps
from tests.tasks.translation.small import untrained

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-6}
CASES = {
    "causal": (SoftmaxConfig(heads=4, positions="rotary", qk_norm="rms"), (0, 3)),
    "full": (SoftmaxConfig(heads=4, causal=False, softcap=1.5), (1, 2, 3)),
    "slopes": (SoftmaxConfig(heads=3, d_head=4, positions="alibi"), (0, 2)),
    "one of each key head": (SoftmaxConfig(heads=4, key_heads=2, positions="rotary"), (1, 2)),
    "a key head less": (SoftmaxConfig(heads=4, key_heads=2), (2, 3)),
    "one key head": (SoftmaxConfig(heads=4, key_heads=1, causal=False), (0, 1, 3)),
    "no bias": (SoftmaxConfig(heads=4, bias=False), (2,)),
    "window": (WindowConfig(window=4, heads=4, sinks=1), (0, 1)),
    "blocks": (BlockSparseConfig(block=2, local=1, globals=1, random=1, heads=4), (3,)),
    "memory": (CrossConfig(heads=4, key_heads=2, d_memory=5), (0, 1)),
    "no head": (SoftmaxConfig(heads=4, positions="alibi"), ()),
    "no head, both sides": (SoftmaxConfig(heads=4, causal=False), ()),
    "no head over a memory": (CrossConfig(heads=4), ()),
}


def masked(module, kept):
    """The module whose output projection reads nothing of the other heads."""
    module = copy.deepcopy(module)
    by_head = module.heads.out.weight.data.unflatten(1, (module.heads.heads, -1))
    by_head[:, [head for head in range(module.heads.heads) if head not in kept]] = 0.0
    return module


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_a_pruned_layer_computes_what_the_masked_one_does(name, dtype):
    config, kept = CASES[name]
    subject = Subject(config)
    whole, pruned = masked(subject.module(dtype), kept), copy.deepcopy(subject.module(dtype))
    pruned.keep_heads(kept)
    x, memory, mask, starts = subject.x(dtype=dtype), subject.memory(dtype=dtype), ragged(), packed()
    for options in ((None, None), (mask, None), (mask, starts)):
        expected, actual = (subject.whole(each, x, memory, *options)[0] for each in (whole, pruned))
        torch.testing.assert_close(actual, expected, rtol=0.0, atol=TOLERANCES[dtype])
    if subject.is_mixer:  # step by step, with a state that is no larger
        states = [each.initial_state(len(x), memory) for each in (whole, pruned)]
        outputs, after = zip(*(steps(each, x, state) for each, state in zip((whole, pruned), states)))
        torch.testing.assert_close(outputs[1], outputs[0], rtol=0.0, atol=TOLERANCES[dtype])
        assert nbytes(after[1]) <= nbytes(after[0])
    sizes = [sum(parameter.numel() for parameter in each.parameters()) for each in (whole, pruned)]
    assert sizes[1] < sizes[0]


def test_states_and_weights_shrink_with_the_heads():
    subject = Subject(SoftmaxConfig(heads=4, bias=False))
    pruned = subject.scattered()
    pruned.keep_heads([1])
    assert sum(parameter.numel() for parameter in pruned.parameters()) * 4 == 4 * subject.d_model**2
    sizes = []
    for module in (subject.module(), pruned):
        _, state = module(subject.x(), module.initial_state(3))
        sizes.append(state.keys.tensor.numel())
    assert sizes[1] * 4 == sizes[0]


def test_a_layer_that_is_pruned_again_knows_the_first_numbers_of_its_heads():
    subject = Subject(SoftmaxConfig(heads=4, positions="alibi"))
    once, twice = subject.scattered(), subject.scattered()
    once.keep_heads([0, 3])
    twice.keep_heads([0, 2, 3])
    twice.keep_heads([0, 2])
    assert twice.heads.kept == once.heads.kept == (0, 3)
    assert torch.equal(twice.positions.slopes, once.positions.slopes)
    x = subject.x(dtype=torch.float64)
    assert torch.equal(twice(x)[0], once(x)[0])


@pytest.mark.parametrize(
    ("config", "kept", "problem"),
    [
        (SoftmaxConfig(heads=4), [2, 9], r"different numbers from 0 to 3 in ascending order, got \[2, 9\]"),
        (SoftmaxConfig(heads=4), [2, 1], r"different numbers from 0 to 3 in ascending order, got \[2, 1\]"),
        (SoftmaxConfig(heads=4, key_heads=2), [0, 1, 2], r"different numbers of query heads \(2, 1\): keep as many"),
        (
            BlockSparseConfig("longformer", block=2, heads=2, causal=False, global_projections="separate"),
            [0],
            "global projections of their own cannot be removed",
        ),
    ],
)
def test_heads_that_cannot_be_removed_are_refused(config, kept, problem):
    module = Subject(config).scattered()
    with pytest.raises(ValueError, match=problem):
        module.keep_heads(kept)


@pytest.fixture(scope="module")
def pruned_task():
    """A Transformer whose encoder has lost all heads of its layer, and its decoder some."""
    task = untrained("transformer")
    encoder, own, cross = prunable_layers(task.model)
    keep_heads(task.model, {encoder: [], own: [1], cross: [0]})
    return task


def test_a_pruned_model_survives_its_files(pruned_task, tmp_path):
    pruned_task.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert kept_heads(again.model) == kept_heads(pruned_task.model)
    assert list(kept_heads(again.model).values()) == [(), (1,), (0,)]
    assert again.parameters == pruned_task.parameters < untrained("transformer").parameters
    sources = ["12", "345", "7"]
    assert again.predict(sources) == pruned_task.predict(sources)
    again.save(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    untrained("transformer").save(tmp_path / "whole")
    assert "kept_heads" not in json.loads((tmp_path / "whole" / "config.json").read_text())


def test_a_pruned_decoder_decodes_step_by_step(pruned_task):
    model = pruned_task.model.eval()
    source, target = torch.tensor([[5, 6, 7]]), torch.tensor([[1, 5, 6, 7]])
    with torch.no_grad():
        whole = model(source, None, target)
        state = model.initial_state(model.encode(source))
        logits = []
        for token in target.unbind(1):
            step, state = model.step(token, state)
            logits.append(step)
    torch.testing.assert_close(torch.stack(logits, 1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda kept: {name.replace("encoder", "encodr", 1): heads for name, heads in kept.items()},
         r"config\.json: kept_heads: unknown layer 'encodr.*', did you mean 'encoder"),
        (lambda kept: {name: [7] for name in kept}, r"kept_heads: .*different numbers from 0 to 1"),
        (lambda kept: dict.fromkeys(kept, "x"), r"config\.json: kept_heads: expected a list"),
        (lambda kept: {}, r"has shape .* the config asks for"),
    ],
)  # fmt: skip
def test_kept_heads_that_do_not_fit_are_refused(pruned_task, tmp_path, change, problem):
    pruned_task.save(tmp_path / "model")
    place = tmp_path / "model" / "config.json"
    content = json.loads(place.read_text())
    place.write_text(json.dumps({**content, "kept_heads": change(content["kept_heads"])}))
    with pytest.raises(InputError, match=problem):
        load(tmp_path / "model")


def test_a_config_with_kept_heads_is_a_config_like_others():
    config = replace(SoftmaxConfig(heads=4), kept=(0, 2))
    assert config.build(16).heads.kept == (0, 2)
    memory = Memory(torch.zeros(1, 2, 16))
    assert CrossConfig(heads=4, kept=(1,)).build(16).initial_state(1, memory).keys.tensor.shape == (1, 1, 2, 4)


def test_a_model_that_its_config_builds_with_fewer_heads_survives_its_file(tmp_path):
    """Numbers of heads in the file are those of all heads, also where more are removed later."""
    config = LanguageModelConfig(("softmax", "softmax:2.4+window:1.3"), d_model=8, heads=4, layers=2)
    config = replace(config, options={"softmax": {"kept": [1, 3]}, "window": {"window": 4}})
    with pytest.raises(ValueError, match="kept heads must be different numbers from 0 to 1"):
        config.build(11)
    config = replace(config, options={"window": {"window": 4}})
    alone = replace(config, mixers=("softmax",), options={"softmax": {"kept": [1, 3]}})
    for number, one in enumerate((config, alone)):
        model = one.build(11).eval()
        path = list(prunable_layers(model))[-1]
        for removed in (False, True):
            if removed:
                keep_heads(model, {path: (1,)})
                assert kept_heads(model)[path] == ((2,) if number == 0 else (3,))
            place = tmp_path / f"{number}{removed}"
            place.mkdir()
            about = {"form": "decoder", "arch": "hybrid", "task": "language", "options": {}, "card": ""}
            save_model(place, model, one, Tokens(11), 11, **about)
            loaded = load_model(place).model
            assert kept_heads(loaded) == kept_heads(model)
            tokens = torch.arange(10).view(2, 5)
            assert torch.equal(loaded(tokens, None)[0], model(tokens, None)[0])
    stored = json.loads((place / "config.json").read_text())
    stored["kept_heads"] = {path: [0]}
    (place / "config.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"kept_heads: .*: kept heads \[0\] are not all among those that it is built"):
        load_model(place)
