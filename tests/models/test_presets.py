"""Presets: every mechanism decoder-only and encoder-only, and each form keeps what it promises."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.mixers import MIXERS
from sightline.models import (
    ARCHITECTURES,
    ENCODERS,
    LANGUAGE_MODELS,
    NAMED_ENCODERS,
    EncoderConfig,
    LanguageModelConfig,
    count_parameters,
    match_parameters,
)

VOCABULARY = 11
SMALL = {"d_model": 8, "heads": 2, "convolution": 3}
READ_OTHERS = {"bidirectional", "additive", "cross"}  # wrap another mechanism, or read a memory


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(1))


def encoder(name: str, outputs: int | None = None, **options):
    torch.manual_seed(0)
    return replace(ENCODERS[name], **SMALL, **options).build(VOCABULARY, outputs).double().eval()


def test_every_mechanism_has_each_form():
    names = set(MIXERS) - READ_OTHERS - {"softmax"} | {"hybrid", "transformer"}
    assert set(LANGUAGE_MODELS) == set(ENCODERS) == names
    assert set(ARCHITECTURES) >= names


@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_a_step_of_training_lowers_the_loss_and_reaches_every_weight(name, activation):
    text = tokens(4, 12)
    torch.manual_seed(0)
    sizes = {"d_model": 8, "heads": 2, "activation": activation, "dropout": 0.0}
    config = LANGUAGE_MODELS[name]
    decoder = replace(config, **{key: value for key, value in sizes.items() if hasattr(config, key)}).build(VOCABULARY)
    both = replace(ENCODERS[name], **sizes).build(VOCABULARY)
    losses = {
        decoder: lambda: F.cross_entropy(
            decoder(text[:, :-1], decoder.initial_state(4))[0].flatten(0, 1), text[:, 1:].flatten()
        ),
        both: lambda: F.cross_entropy(both(text).flatten(0, 1), text.flip(1).flatten()),
    }
    for model, loss in losses.items():
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        before = loss()
        before.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        assert loss() < before


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_sees_both_sides_of_its_document_and_nothing_else(name):
    model = encoder(name)
    text, starts = tokens(1, 9), torch.zeros(1, 9, dtype=torch.bool)
    starts[0, 4] = True
    embedded = model.front_end.embedding(text).detach().requires_grad_()
    model.encoder(embedded, None, starts)[0, 6].square().sum().backward()
    assert (embedded.grad[0].abs().sum(1) > 0).tolist() == [False] * 4 + [True] * 5
    alone = torch.cat([model(text[:, :4]), model(text[:, 4:])], 1)
    torch.testing.assert_close(model(text, None, starts), alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pooling", ["none", "mean", "last", "cls", "additive"])
@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_nothing(name, pooling):
    model, text = encoder(name, outputs=3, pooling=pooling), tokens(3, 7)
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0]]).bool()
    result = model(text, mask)
    for row in range(2):
        real = result[row : row + 1, mask[row]] if pooling == "none" else result[row : row + 1]
        torch.testing.assert_close(real, model(text[row : row + 1, mask[row]]), rtol=1e-10, atol=1e-10)
    assert result.isfinite().all()


def test_the_pooled_head_reads_the_mean_of_the_tokens():
    each, pooled = (encoder("transformer", outputs=3, pooling=pooling) for pooling in ("none", "mean"))
    mask = torch.tensor([[True, True, False, True]])
    expected = each(tokens(1, 4), mask)[:, mask[0]].mean(1)  # the head is linear
    torch.testing.assert_close(pooled(tokens(1, 4), mask), expected)
    with pytest.raises(ValueError, match="a row of several documents has no vector of its own"):
        pooled(tokens(1, 4), None, mask)


def test_an_encoder_cannot_be_fed_token_by_token():
    model = encoder("gated_delta")
    assert not hasattr(model, "step")
    assert not hasattr(model, "initial_state")


@pytest.mark.parametrize(("kind", "causal"), [(EncoderConfig, True), (LanguageModelConfig, False)])
def test_a_form_cannot_be_turned_into_the_other(kind, causal):
    with pytest.raises(InputError) as error:
        kind(("window",), {"window": {"causal": causal}})
    assert str(error.value) == (
        "options.window.causal: follows from the model: a decoder's layers are causal, an encoder's see both sides"
    )


@pytest.mark.parametrize("given", [{"convolution": 1}, {"convolution": -3}])
def test_impossible_options_are_refused(given):
    with pytest.raises(InputError, match=next(iter(given))):
        EncoderConfig(**given)


def test_a_convolution_reaches_its_width_back_in_each_layer():
    config = LanguageModelConfig(("window",), {"window": {"window": 2}}, d_model=8, heads=2, convolution=3)
    torch.manual_seed(0)
    model = config.build(VOCABULARY).double().eval()
    embedded = model.embedding(tokens(1, 9)).detach().requires_grad_()
    model.mixer(embedded)[0][0, 8].sum().backward()
    seen = embedded.grad[0].abs().sum(1) > 0  # 2 layers of (3 - 1) + (2 - 1)
    assert seen.tolist() == [False] * 2 + [True] * 7


@pytest.mark.parametrize("table", [LANGUAGE_MODELS, ENCODERS], ids=["language models", "encoders"])
@pytest.mark.parametrize("name", ["lru", "hybrid"])
def test_sizes_can_be_matched_and_written_down(name, table):
    config = match_parameters(table[name], 200_000, 1000)
    assert count_parameters(config, 1000) == pytest.approx(200_000, rel=0.2)
    assert decode(type(config), encode(config)) == config


def test_a_causal_encoder_pooled_at_the_last_position_is_a_recurrence_in_one_direction():
    model = encoder("gru", outputs=3, pooling="none", causal=True)
    text = tokens(2, 7)
    changed = text.clone()
    changed[:, 5] = (changed[:, 5] + 1) % VOCABULARY
    before, after = model(text), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(2).all()
    pooled = encoder("gru", outputs=3, pooling="last", causal=True)
    torch.testing.assert_close(pooled(text), before[:, -1])


def test_a_class_token_wants_layers_that_see_both_sides():
    with pytest.raises(InputError, match="a class token comes first and sees nothing in causal layers"):
        EncoderConfig(pooling="cls", causal=True)


def test_the_bilstm_with_additive_attention_is_that_of_the_paper():
    config = NAMED_ENCODERS["bilstm_attention"]
    model = config.build(VOCABULARY, 2)
    recurrence = 2 * (4 * 128 * (300 + 128) + 2 * 4 * 128)  # torch.nn.LSTM's two biases are one here or two
    attention, output = 256 * 128 + 128 + 128, 256 * 2 + 2
    bias = sum(p.numel() for p in model.encoder.parameters() if p.dim() == 1)
    weights = sum(p.numel() for p in model.encoder.parameters() if p.dim() == 2)
    assert weights == 2 * 4 * 128 * (300 + 128)
    assert recurrence - weights in (bias, 2 * bias)
    assert sum(p.numel() for p in model.pooling.parameters()) == attention
    assert sum(p.numel() for p in model.head.parameters()) == output
    assert model.front_end.embedding.weight.shape == (VOCABULARY, 300)
    assert decode(type(config), encode(config)) == config
    assert count_parameters(match_parameters(config, 500_000, 1000, 2), 1000, 2) == pytest.approx(500_000, rel=0.2)


def test_options_of_its_mechanism_reach_both_directions_of_the_bilstm():
    preset = replace(NAMED_ENCODERS["bilstm_attention"], d_model=64)
    uniform = replace(preset, options={"lstm": {"initial": "uniform"}})
    for config, open_gates in ((preset, True), (uniform, False), (replace(uniform, mixer="gru"), False)):
        biases = [p for name, p in config.build(VOCABULARY, 2).encoder.named_parameters() if name.endswith(".bias")]
        assert len(biases) == 2
        assert [bool((bias == 1.0).any()) for bias in biases] == [open_gates] * 2
    with pytest.raises(InputError, match=r"options\.lstm: initials: unknown key, did you mean 'initial'"):
        replace(preset, options={"lstm": {"initials": "uniform"}}).build(VOCABULARY, 2)


def test_the_projection_with_additive_attention_is_that_of_the_paper():
    config = NAMED_ENCODERS["projection_attention"]
    model = config.build(VOCABULARY, 2)
    assert sum(p.numel() for p in model.encoder.parameters()) == 300 * 128 + 128
    assert sum(p.numel() for p in model.pooling.parameters()) == 128 * 64 + 64 + 64
    assert sum(p.numel() for p in model.head.parameters()) == 128 * 2 + 2
    assert model.front_end.embedding.weight.shape == (VOCABULARY, 300)
    assert decode(type(config), encode(config)) == config
    assert count_parameters(match_parameters(config, 500_000, 1000, 2), 1000, 2) == pytest.approx(500_000, rel=0.2)


def test_no_position_of_the_projection_sees_another_one():
    model = replace(NAMED_ENCODERS["projection_attention"], d_model=8, d_embedding=5, pooling="none").build(
        VOCABULARY, 3
    )
    text = tokens(2, 7)
    changed = text.clone()
    changed[:, 4] = (changed[:, 4] + 1) % VOCABULARY
    same = (model(text) == model(changed)).all(2)
    assert same.tolist() == [[place != 4 for place in range(7)]] * 2


@pytest.mark.parametrize("name", NAMED_ENCODERS)
@pytest.mark.parametrize("pooling", ["none", "mean", "additive"])
def test_padding_changes_nothing_to_encoders_of_papers(name, pooling):
    torch.manual_seed(0)
    config = replace(NAMED_ENCODERS[name], d_model=8, d_embedding=5, pooling=pooling)
    model, text = config.build(VOCABULARY, 3).double().eval(), tokens(2, 7)
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 1]]).bool()
    result = model(text, mask)
    for row in range(2):
        real = result[row : row + 1, mask[row]] if pooling == "none" else result[row : row + 1]
        torch.testing.assert_close(real, model(text[row : row + 1, mask[row]]), rtol=1e-10, atol=1e-10)
