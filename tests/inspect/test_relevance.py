"""Relevance follows its rules: sums are conserved where they say so, and what is absorbed is named and complete."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.inspect.relevance import relevances
from sightline.mixers.cross import CrossConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.models import ARCHITECTURES, LANGUAGE_MODELS
from sightline.models.encoder_model import EncoderConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.feed_forward import FeedForward
from sightline.parts.norm import make_norm

WORDS, LABELS = 11, 3


def scattered(model: nn.Module) -> nn.Module:
    """The model in float64, with no zero among its biases and gains."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double().train()


def of_classifier(config: EncoderConfig, **options):
    model = scattered(config.build(WORDS, LABELS))
    tokens = torch.randint(WORDS, (1, 7))
    front_end = next(part for part in model.modules() if isinstance(part, FrontEnd))
    found = relevances(model, lambda: model(tokens)[0], {"source": front_end}, **options)
    return model, tokens, found


SETTINGS = {
    "gelu": EncoderConfig(d_model=8, heads=2, layers=2, dropout=0.3, pooling="mean"),
    "swiglu": EncoderConfig(d_model=8, heads=2, layers=2, activation="swiglu", norm="layer", pooling="cls"),
    "relu, post": EncoderConfig(d_model=8, heads=2, activation="relu", order="post", norm="layer", pooling="last"),
    "pooled by attention": EncoderConfig(d_model=8, heads=2, pooling="additive", input_positions="sinusoidal"),
    "learned positions, causal": EncoderConfig(
        d_model=8, heads=2, pooling="last", causal=True, input_positions="learned", positions="none"
    ),
    "windows": EncoderConfig(("window",), {"window": {"window": 2}}, d_model=8, heads=2, pooling="mean"),
    "norms of queries": EncoderConfig(
        options={"softmax": {"qk_norm": "layer", "key_heads": 1}}, d_model=8, heads=2, pooling="mean"
    ),
}


@pytest.mark.parametrize("attention", ["attnlrp", "constant"])
@pytest.mark.parametrize("name", SETTINGS)
def test_what_reaches_the_inputs_and_what_is_absorbed_sum_to_the_output(name: str, attention) -> None:
    model, tokens, found = of_classifier(SETTINGS[name], attention=attention)
    assert model.training
    assert torch.allclose(found.outputs, model.eval()(tokens)[0], rtol=0, atol=1e-12)
    assert (found.gap <= 1e-6 * found.outputs.abs().clamp(min=1.0)).all()
    assert found.absorbed["biases"].abs().max() > 1e-3  # the model has some, and they are not forgotten
    assert bool(found.absorbed["softmax"].abs().max() > 1e-9) == (attention == "attnlrp")


def test_without_biases_and_with_constant_attention_all_relevance_reaches_the_inputs():
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(WORDS, 8),
            "norm": make_norm("rms", 8),
            "first": SoftmaxConfig(heads=2, bias=False, positions="rotary").build(8),
            "feed": FeedForward(8, 16, "swiglu", bias=False),
            "second": SoftmaxConfig(heads=2, bias=False).build(8),
            "head": nn.Linear(8, LABELS, bias=False),
        }
    )
    scattered(model)
    tokens = torch.randint(WORDS, (1, 6))

    def run() -> Tensor:
        x = model["embedding"](tokens)
        x = x + model["first"](model["norm"](x))[0]
        x = x + model["feed"](x)
        return model["head"](model["second"](x)[0][0, -1])

    found = relevances(model, run, {"source": model["embedding"]}, attention="constant")
    assert torch.allclose(found.inputs["source"].sum(1), found.outputs, rtol=1e-6, atol=0)
    with_softmax = relevances(model, run, {"source": model["embedding"]})
    missing = with_softmax.outputs - with_softmax.inputs["source"].sum(1)
    assert torch.allclose(missing, with_softmax.absorbed["softmax"], rtol=1e-6, atol=1e-9)


def test_each_rule_alone():
    """Against the formulas of the paper, written down for one operation at a time."""
    layer = CrossConfig(heads=1, bias=False).build(4).double()
    x, memory = torch.randn(1, 3, 4, dtype=torch.float64), torch.randn(1, 5, 4, dtype=torch.float64)
    ends = nn.ModuleDict({"x": nn.Identity(), "memory": nn.Identity(), "layer": layer})

    def run() -> Tensor:
        from sightline.core.mixer import Memory

        y, _ = layer(ends["x"](x), layer.initial_state(1, Memory(ends["memory"](memory))))
        return y[0, 1, :1]

    found = relevances(ends, run, {"x": ends["x"], "memory": ends["memory"]})
    q, k, v = layer.heads.query(x)[0, 1], layer.heads.key(memory)[0], layer.heads.value(memory)[0]
    logits = (k @ q) / 2.0
    s = logits.softmax(0)
    out = layer.heads.out.weight[0]
    of_weights = 0.5 * s * (v @ out)  # the uniform rule: half of s_j v_j · w to s_j
    of_logits = logits * (of_weights - s * of_weights.sum())
    of_query = 0.5 * (of_logits / logits) @ k / 2.0 * q  # the other half of each logit to its key
    of_key = 0.5 * (of_logits / logits).unsqueeze(1) * q / 2.0 * k
    of_value = 0.5 * s.unsqueeze(1) * out * v
    weights = [layer.heads.query.weight, layer.heads.key.weight, layer.heads.value.weight]

    def back(relevance: Tensor, outputs: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """The ε-rule with ε = 0: R_i = Σ_j x_i w_ji R_j / z_j."""
        return inputs * ((relevance / outputs) @ weight)

    to_memory = back(of_key, k, weights[1], memory[0]) + back(of_value, v, weights[2], memory[0])
    to_x = torch.zeros(3, dtype=torch.float64)
    to_x[1] = back(of_query, q, weights[0], x[0, 1]).sum()
    assert torch.allclose(found.inputs["memory"][0], to_memory.sum(1), atol=1e-12)
    assert torch.allclose(found.inputs["x"][0], to_x, atol=1e-12)


@pytest.mark.parametrize("order", ["pre", "post"])
def test_an_encoder_decoder_divides_relevance_between_source_and_output(order) -> None:
    config = TransformerConfig(d_model=8, heads=2, order=order, positions="sinusoidal")
    model = scattered(config.build(WORDS, 12))
    source, target = torch.randint(WORDS, (1, 5)), torch.randint(12, (1, 4))
    vectors = {"source": model.encoder.front_end, "output": model.decoder.embedding}
    found = relevances(model, lambda: model(source, None, target)[0, :, 2], vectors)
    assert found.inputs["source"].shape == (4, 5)
    assert found.inputs["output"].shape == (4, 4)
    assert (found.gap <= 1e-6 * found.outputs.abs().clamp(min=1.0)).all()
    assert found.inputs["output"].triu(1).abs().max() == 0.0  # nothing later counts


def test_a_language_model_of_windows_and_softmax():
    config = LanguageModelConfig(("window", "softmax"), d_model=8, heads=2)
    model = scattered(config.build(WORDS))
    tokens = torch.randint(WORDS, (1, 6))
    found = relevances(model, lambda: model(tokens, None)[0][0, :, 1], {"source": model.embedding})
    assert (found.gap <= 1e-6 * found.outputs.abs().clamp(min=1.0)).all()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (LANGUAGE_MODELS["lstm"], r"LSTM \(mixer"),
        (LANGUAGE_MODELS["linear"], r"LinearAttention \(mixer"),
        (LANGUAGE_MODELS["gated_delta"], r"(ShortConvolution|GatedDelta)"),
        (replace(LANGUAGE_MODELS["transformer"], positions="sinusoidal"), "SoftmaxAttention"),
        (replace(LANGUAGE_MODELS["transformer"], options={"softmax": {"softcap": 2.0}}), "SoftmaxAttention"),
    ],
    ids=["lstm", "linear", "delta", "positions in layers", "soft cap"],
)
def test_what_has_no_rule_is_refused_by_name(model, name: str) -> None:
    built = model.resized(16).build(WORDS)
    with pytest.raises(InputError, match=f"and none for {name}"):
        relevances(built, lambda: built(torch.zeros(1, 2, dtype=torch.long), None)[0][0, :, 0], {"x": built.embedding})


def test_bahdanau_is_refused():
    model = ARCHITECTURES["bahdanau"].resized(8).build(WORDS, 12)
    with pytest.raises(InputError, match="none for GRU"):
        relevances(model, lambda: torch.zeros(1), {"source": model.encoder.front_end})
