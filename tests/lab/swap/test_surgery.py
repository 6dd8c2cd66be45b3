"""Which layers can be replaced by what, what a new layer begins with, and what the model with it computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.target import find_target
from sightline.lab.swap.units import SwapUnit
from sightline.models import FORMS
from sightline.models.layers import LayersConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.attention_heads import AttentionHeads
from sightline.parts.self_attention import SelfAttention
from sightline.parts.token_embedding import Tokens
from tests.lab.swap import made

TARGETS = ("window", "linear", "retention", "gated_linear", "gated_delta", "lru")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("text")


def logits(task, tokens):
    with torch.no_grad(), evaluating(task.model):
        return task.model(tokens, None)[0]


def check_saved_and_stepped(task, folder):
    """A task that is saved and loaded gives the same, and steps as it reads."""
    task.save(folder / "model")
    loaded = type(task).load(folder / "model")
    tokens = some_tokens(task, 12)
    whole = logits(loaded, tokens)
    assert torch.equal(whole, logits(task, tokens))
    state, steps = loaded.model.initial_state(3), []
    with torch.no_grad():
        for column in tokens.unbind(1):
            step, state = loaded.model.step(column, state)
            steps.append(step)
    torch.testing.assert_close(torch.stack(steps, 1), whole, rtol=1e-5, atol=1e-5)


def some_tokens(task, length=40):
    return torch.randint(4, task.tokenizer.size, (3, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positions": "alibi"},
        {"positions": "learned"},
        {"options": {"softmax": {"key_heads": 1, "d_head": 5}}},
        {"convolution": 3, "input_positions": "sinusoidal", "positions": "none"},
        {"order": "post", "d_feed_forward": 0},
    ],
    ids=["rotary", "alibi", "learned", "shared keys", "convolution", "post"],
)
def test_a_window_as_long_as_the_text_computes_the_same(folder, changes):
    task = made.language(folder, **changes)
    tokens = some_tokens(task)
    wide, narrow = (logits(made.swapped(task, "window", window=size), tokens) for size in (40, 3))
    torch.testing.assert_close(wide, logits(task, tokens), rtol=1e-5, atol=1e-5)
    assert (narrow - wide).abs().max() > 1e-3


@pytest.mark.parametrize("side", ["decoder", "encoder"])
@pytest.mark.parametrize("positions", ["rotary", "sinusoidal"])
def test_either_half_of_a_transformer_can_be_replaced(side, positions):
    task = made.translation(positions=positions)
    source, target = torch.randint(4, 10, (2, 7)), torch.randint(4, 10, (2, 6))
    changed = made.swapped(task, "window", side=side, window=7)
    narrow = made.swapped(task, "window", side=side, window=1)
    with torch.no_grad():
        before, after, cut = (one.model.eval()(source, None, target) for one in (task, changed, narrow))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    assert (cut - before).abs().max() > 1e-3
    of_side, other = {"decoder": ("mixers", "encoder_mixers"), "encoder": ("encoder_mixers", "mixers")}[side]
    assert getattr(changed.sizes, of_side) == ("window", "window")
    assert getattr(changed.sizes, other) == ("softmax", "softmax")


def test_an_encoder_has_windows_of_both_sides():
    task = made.classification()
    source = torch.randint(1, 6, (3, 9))
    wide, cut = (made.swapped(task, "window", window=size) for size in (9, 2))
    before, same, narrow = (one.model.eval()(source) for one in (task, wide, cut))
    torch.testing.assert_close(same, before, rtol=1e-5, atol=1e-5)
    assert (narrow - before).abs().max() > 1e-4
    assert made.swapped(task, "linear").sizes.mixers == ("linear", "linear")


@pytest.mark.parametrize(("subject", "metric"), [(made.forecasting, "mse"), (made.captioning, "loss")])
def test_forecasts_and_captions_by_windows_as_long_as_the_input_are_the_same(tmp_path, subject, metric):
    """All that the task measures stays as it is; of a window of one position it does not."""
    built = (one := subject(tmp_path)).built()
    before = built.measure(one.corpus.test).metrics[metric]
    wide, narrow = (made.swapped(built, "window", window=size).measure(one.corpus.test) for size in (64, 1))
    assert wide.metrics[metric] == pytest.approx(before, rel=1e-5)
    assert abs(narrow.metrics[metric] - before) > 1e-4


@pytest.mark.parametrize("to", TARGETS)
def test_a_swapped_model_is_saved_loaded_and_steps_as_it_reads(folder, tmp_path, to):
    task = made.swapped(made.language(folder), to, "2")
    assert task.arch == "hybrid"
    assert task.sizes.mixers == ("softmax", to)
    check_saved_and_stepped(task, tmp_path)


@pytest.mark.parametrize(
    ("to", "copied"),
    [
        ("window", ["query", "key", "value", "out"]),
        ("linear", ["query", "key", "value", "out"]),
        ("retention", ["query", "key", "value", "out"]),
        ("gated_linear", ["query", "key", "value", "out"]),
        ("gated_delta", ["query", "key", "value", "out"]),
        ("lru", []),
    ],
)
def test_a_new_layer_begins_with_the_projections_that_fit(folder, to, copied):
    task = made.language(folder)
    patient = Patient.of(task, None, "run")
    started = patient.start(SwapUnit(1), find_target(patient, [SwapUnit(1)], to, {}).config, 0)
    assert started.copied == copied
    old = patient.modules()[0].heads
    named = dict(started.module.named_parameters())
    if "read.weight" in named:
        query, key, value = named["read.weight"].chunk(3)
    elif copied:
        at = "heads." if "heads.query.weight" in named else ""
        query, key, value = (named[f"{at}{name}.weight"] for name in ("query", "key", "value"))
    if copied:
        for own, trained in ((query, old.query), (key, old.key), (value, old.value)):
            assert torch.equal(own, trained.weight)


def test_sizes_that_are_asked_for_are_kept_though_less_can_be_copied(folder):
    patient = Patient.of(made.language(folder), None, "run")
    target = find_target(patient, [SwapUnit(1)], "retention", {"d_value": "12"})
    assert target.config.d_value == 12
    assert patient.start(SwapUnit(1), target.config, 0).copied == ["query", "key"]


def test_heads_that_share_a_key_give_it_to_each_and_begin_with_the_mean():
    shared, alone = AttentionHeads(12, 6, key_heads=2), AttentionHeads(12, 6)
    torch.nn.init.normal_(shared.key.bias)
    x = torch.randn(2, 5, 12)
    assert alone.start_from(shared.projections()) == ["query", "key", "value", "out"]
    keys, values = shared.keys_values(x)
    own_keys, own_values = alone.keys_values(x)
    torch.testing.assert_close(own_keys, keys.repeat_interleave(3, 1))
    torch.testing.assert_close(own_values, values.repeat_interleave(3, 1))
    again = AttentionHeads(12, 6, key_heads=3)
    again.start_from(alone.projections())
    torch.testing.assert_close(again.keys_values(x)[0], own_keys.unflatten(1, (3, 2)).mean(2))


def test_everything_but_the_new_layer_stays_bit_for_bit(folder):
    task = made.language(folder, layers=3)
    before, after = task.model.state_dict(), made.swapped(task, "gated_delta", "2").model.state_dict()
    inside = {name for name in (*before, *after) if name.startswith("mixer.mixers.3.mixer.")}
    assert inside
    assert set(before) - inside == set(after) - inside
    assert all(torch.equal(before[name], after[name]) for name in set(before) - inside)


def residual_configs():
    for form, table in FORMS.items():
        for name, config in table.items():
            if isinstance(config, LayersConfig) and name in ("transformer", "hybrid", "window"):
                yield pytest.param(form, config, id=f"{form} {name}")
    yield pytest.param("encoder-decoder", TransformerConfig(positions="learned").as_layers(), id="learned transformer")


@pytest.mark.parametrize(("form", "config"), [*residual_configs()])
def test_the_places_of_layers_are_where_the_mechanisms_are(form, config):
    config = replace(config, layers=4)
    for changes in ({}, {"convolution": 3}, {"d_feed_forward": 0, "input_positions": "learned"}):
        one = replace(config, **changes)
        for stack, inner, reads in (
            (one.causal_layers().mixers, "mixer", False),
            (one.causal_layers(reads_memory=True).mixers, "mixer", True),
            (one.full_layers().encoders, "encoder", False),
        ):
            found = [getattr(stack[at], inner) for at in one.layer_places(reads_memory=reads)]
            softmax = [isinstance(module, SelfAttention) for module in found]
            assert softmax == [name in ("softmax", "window") for name in one.layer_mixers]


def test_a_transformer_of_layers_is_the_same_model():
    for positions in ("sinusoidal", "alibi"):
        config = TransformerConfig(d_model=16, heads=2, positions=positions, dropout=0.0)
        own, layers = config.build(Tokens(9), 8).eval(), config.as_layers().build(Tokens(9), 8).eval()
        layers.load_state_dict(own.state_dict())
        source, target = torch.randint(4, 8, (2, 5)), torch.randint(4, 8, (2, 4))
        assert torch.equal(own(source, None, target), layers(source, None, target))


REFUSED = {
    "unknown": ({"to": "windw"}, r"--to: unknown mechanism 'windw', did you mean 'window'\?"),
    "setting": ({"to": "window", "windw": 3}, r"--to\.windw: unknown key, did you mean 'window'\?"),
    "value": ({"to": "window", "window": "wide"}, r"--to\.window: expected an integer, written in full, found 'wide'"),
    "size": ({"to": "window", "window": 0}, r"--to: window: window must be at least 1, got 0"),
    "range": ({"to": "window", "layers": "3"}, r"--layer: must be between 1 and 2, found 3"),
    "word": (
        {"to": "window", "layers": "second"},
        r"--layer: expected all, a number, 1,3, or heads such as 2\.1, found 'second'",
    ),
    "side": ({"to": "window", "side": "encoder"}, r"--side: this model has no encoder: choose decoder"),
}


@pytest.mark.parametrize(("how", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_said_in_one_line(folder, how, message):
    with pytest.raises(InputError, match=message):
        made.swapped(made.language(folder), **how)


def test_models_without_layers_of_softmax_are_refused(folder):
    with pytest.raises(InputError, match="run: gru is not made of residual layers"):
        made.swapped(made.pairs.untrained("gru"), "window")
    linear = made.swapped(made.language(folder), "linear")
    with pytest.raises(
        InputError, match="run: no layer of its decoder is softmax attention: its layers are linear, linear"
    ):
        made.swapped(linear, "window")
    half = made.swapped(made.language(folder), "linear", "1")
    with pytest.raises(InputError, match="--layer: layer 1 is linear, not softmax attention: choose 2"):
        made.swapped(half, "window", "1,2")
    assert made.swapped(half, "window").sizes.mixers == ("linear", "window")


def test_an_encoder_refuses_what_reads_in_one_direction():
    message = "--to: gated_delta reads in one direction, and this encoder's layers see both sides: choose .*window"
    with pytest.raises(InputError, match=message):
        made.swapped(made.classification(), "gated_delta")
    with pytest.raises(InputError, match=message):
        made.swapped(made.translation(), "gated_delta", side="encoder")
    assert made.swapped(made.classification(causal=True, pooling="last"), "gated_delta").sizes.causal


def test_a_model_has_one_setting_of_each_mechanism(folder):
    half = made.swapped(made.language(folder), "window", "1", window=5)
    with pytest.raises(InputError, match="--to: another layer is window already, with other settings"):
        made.swapped(half, "window", "2", window=4)
    assert made.swapped(half, "window", "2").sizes.options["window"] == half.sizes.options["window"]


def test_a_transformer_with_one_vocabulary_for_both_sides_is_refused():
    with pytest.raises(InputError, match=r"model\.tie: 'all' has no counterpart in a model of several mechanisms"):
        TransformerConfig(tie="all").as_layers()
