"""The Transformer as published equals torch.nn.Transformer (post-norm) with copied weights, in float64 at 1e-10."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from sightline.models import ARCHITECTURES
from sightline.parts.positions import sinusoid

D, HEADS, LAYERS, WIDE, VOCABULARY = 12, 4, 2, 20, 17


def copy_attention(theirs: nn.MultiheadAttention, ours: nn.Module) -> None:
    parts = [ours.query, ours.key, ours.value]
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())


def copy_layer(theirs: nn.Module, attentions: list, feed_forward: nn.Module, norms: list) -> None:
    names = ["self_attn", "multihead_attn"][: len(attentions)]
    for name, ours in zip(names, attentions, strict=True):
        copy_attention(getattr(theirs, name), ours)
    theirs.linear1.load_state_dict(feed_forward.widen.state_dict())
    theirs.linear2.load_state_dict(feed_forward.narrow.state_dict())
    for number, norm in enumerate(norms, 1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())


@pytest.fixture
def models():
    torch.manual_seed(0)
    config = replace(ARCHITECTURES["transformer-2017"], d_model=D, heads=HEADS, layers=LAYERS, d_feed_forward=WIDE)
    assert (config.order, config.positions, config.activation) == ("post", "sinusoidal", "relu")
    assert config.scale_embedding
    ours = config.build(VOCABULARY, VOCABULARY).double().eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.4)
    theirs = nn.Transformer(D, HEADS, LAYERS, LAYERS, WIDE, 0.0, "relu", batch_first=True).double()
    theirs.encoder.norm = theirs.decoder.norm = None  # torch adds a norm that the paper has not
    of_encoder = list(ours.encoder.encoder.encoders)[2:]
    of_decoder = list(ours.decoder.mixer.mixers)[2:]
    with torch.no_grad():
        for n in range(LAYERS):
            attention, forward = of_encoder[2 * n : 2 * n + 2]
            copy_layer(
                theirs.encoder.layers[n],
                [attention.encoder.heads],
                forward.encoder.mixer.module,
                [attention.norm, forward.norm],
            )
            attention, cross, forward = of_decoder[3 * n : 3 * n + 3]
            copy_layer(
                theirs.decoder.layers[n],
                [attention.mixer.heads, cross.mixer.heads],
                forward.mixer.module,
                [attention.norm, cross.norm, forward.norm],
            )
    return ours, theirs


def test_the_published_transformer_equals_torch_s(models):
    ours, theirs = models
    source, target = torch.randint(3, VOCABULARY, (3, 7)), torch.randint(3, VOCABULARY, (3, 5))
    mask = torch.arange(7) < torch.tensor([7, 4, 5]).unsqueeze(1)
    table = ours.decoder.embedding.weight  # one matrix for source, target and output (§ 3.4)

    def embedded(tokens):
        return table[tokens] * math.sqrt(D) + sinusoid(torch.arange(tokens.shape[1]), D, torch.float64)

    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    states = theirs(
        embedded(source), embedded(target), tgt_mask=future, src_key_padding_mask=~mask, memory_key_padding_mask=~mask
    )
    torch.testing.assert_close(ours(source, mask, target), states @ table.T, rtol=1e-10, atol=1e-10)


def test_weights_are_tied_three_ways_and_nothing_follows_the_last_norm(models):
    ours, theirs = models
    assert ours.encoder.front_end.embedding.weight is ours.decoder.embedding.weight
    assert ours.decoder.head.linear.weight is ours.decoder.embedding.weight
    inside = sum(parameter.numel() for parameter in theirs.parameters())
    assert sum(parameter.numel() for parameter in ours.parameters()) == inside + VOCABULARY * D
