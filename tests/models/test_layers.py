"""Models that are a stack of layers: any mechanism, the laws of decoders, wrong names."""

from __future__ import annotations

import pytest
import torch

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.models import ARCHITECTURES, EncoderDecoderConfig, LanguageModelConfig
from sightline.models.layers import SELF_MIXERS, LayersConfig

VOCABULARY = 11
PILES = [(name,) for name in SELF_MIXERS] + [
    ("window", "gated_delta", "softmax"),
    ("softmax:1+gated_linear:2",),
    ("linear:2+retention:1", "softmax:none+window:1.2"),
]


def language_model(mixers, **options):
    torch.manual_seed(0)
    config = LanguageModelConfig(mixers, d_model=8, heads=2, layers=max(2, len(mixers)), **options)
    return config.build(VOCABULARY).double().eval()


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mixers", PILES, ids="+".join)
def test_a_language_model_steps_as_it_reads_and_never_looks_ahead(mixers):
    model, text = language_model(mixers), tokens(3, 9)
    with torch.no_grad():
        logits, _ = model(text, model.initial_state(3))
        state, stepped = model.initial_state(3), []
        for token in text.unbind(1):
            step, state = model.step(token, state)
            stepped.append(step)
        torch.testing.assert_close(torch.stack(stepped, 1), logits, rtol=1e-10, atol=1e-10)
        changed = torch.cat([text[:, :5], (text[:, 5:] + 1) % VOCABULARY], 1)
        assert torch.equal(model(changed, model.initial_state(3))[0][:, :5], logits[:, :5])


@pytest.mark.parametrize("mixers", PILES, ids="+".join)
def test_an_encoder_sees_both_sides(mixers):
    torch.manual_seed(0)
    layers = LayersConfig(mixers, d_model=8, heads=2, layers=len(mixers)).full_layers().double().eval()
    x = torch.randn(1, 7, 8, dtype=torch.double, requires_grad=True)
    layers(x)[0, 3].square().sum().backward()
    assert (x.grad[0].abs().sum(1) > 0).all()


def test_mixers_take_turns_and_options_go_to_their_own():
    config = LanguageModelConfig(
        ("window", "softmax"), {"window": {"window": 3, "heads": 1}}, d_model=8, heads=4, layers=5, d_feed_forward=0
    )
    names = [type(layer.mixer).__name__ for layer in config.build(VOCABULARY).mixer.mixers[1:-1]]
    assert names == ["WindowAttention", "SoftmaxAttention"] * 2 + ["WindowAttention"]
    assert (config.mixer_config("window").window, config.mixer_config("window").heads) == (3, 1)
    assert (config.mixer_config("softmax").heads, config.mixer_config("softmax").positions) == (4, "rotary")


def test_a_window_limits_what_a_pile_reaches():
    """n layers of window w reach n (w - 1) back, and no further."""
    model = language_model(("window",), options={"window": {"window": 3}})
    embedded = model.embedding(tokens(1, 9)).detach().requires_grad_()
    y, _ = model.mixer(embedded)
    y[0, 8].sum().backward()
    seen = embedded.grad[0].abs().sum(1) > 0
    assert seen.tolist() == [False] * 4 + [True] * 5


def test_tied_weights_are_one_parameter():
    tied, free = language_model(("gru",)), language_model(("gru",), tie=False)
    count = [sum(p.numel() for p in model.parameters()) for model in (tied, free)]
    assert count[1] - count[0] == VOCABULARY * 8 + VOCABULARY


@pytest.mark.parametrize(
    "config", [ARCHITECTURES["hybrid"], LanguageModelConfig(("lstm",), {"lstm": {"d_hidden": 64}})]
)
def test_the_config_survives_json(config):
    assert decode(type(config), encode(config)) == config


def test_gated_feed_forward_has_about_as_many_weights():
    sizes = [
        sum(p.numel() for p in EncoderDecoderConfig(activation=kind).build(50, 50).parameters())
        for kind in ("gelu", "swiglu")
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mixers": ("windw",)}, "mixers: unknown mixer 'windw', did you mean 'window'?"),
        ({"mixers": ("cross",)}, "mixers: unknown mixer 'cross'"),
        ({"mixers": ()}, "mixers: needs at least one mixer"),
        ({"mixers": ("softmax:1",)}, "mixers: expected a mechanism, or groups of heads such as softmax:1.3+window:2.4"),
        ({"mixers": ("softmax:1+",)}, "mixers: expected a mechanism, or groups of heads"),
        ({"mixers": ("softmax:1+window:" + "9" * 5000,)}, "mixers: expected a mechanism, or groups of heads"),
        ({"mixers": ("softmax:1.2+windw:3.4",)}, "mixers: unknown mixer 'windw', did you mean 'window'?"),
        ({"mixers": ("softmax:1.2+window:3",)}, "mixers: softmax:1.2+window:3: each head from 1 to 4 belongs to one"),
        ({"mixers": ("softmax:1.2+window:2.3.4",)}, "mixers: softmax:1.2+window:2.3.4: each head from 1 to 4 belongs"),
        ({"mixers": ("softmax:1.2+gru:3.4",)}, "mixers: gru has no heads, of which some could be of another mechanism"),
        (
            {"mixers": ("softmax:1.2+window:3.4",), "options": {"window": {"heads": 8}}},
            "mixers: softmax:1.2+window:3.4: the groups are of layers with 4 and 8 heads",
        ),
        ({"layers": 0}, "layers: must be at least 1, found 0"),
        (
            {"mixers": ("window",), "options": {"window": {"windw": 3}}},
            "options.window: windw: unknown key, did you mean 'window'?",
        ),
        (
            {"mixers": ("window",), "options": {"window": {"window": "x"}}},
            "options.window: window: expected an integer",
        ),
    ],
)
def test_wrong_layers_are_refused(given, message):
    with pytest.raises(InputError) as error:
        LayersConfig(**given)
    assert str(error.value).startswith(message)


def test_a_model_counted_without_memory_leaves_nothing_behind():
    """A pattern of blocks that is remembered must not be remembered from the meta device."""
    config = LanguageModelConfig(("block_sparse",), {"block_sparse": {"seed": 41}}, d_model=8, heads=2)
    with torch.device("meta"):
        config.build(VOCABULARY)
    model = config.build(VOCABULARY)
    assert model(tokens(1, 5), model.initial_state(1))[0].isfinite().all()
