"""Transformers that lack a part: the same modules, put together without it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.mixers.cross import CrossAttention
from sightline.mixers.softmax import FullSoftmaxAttention, SoftmaxAttention
from sightline.models.decoder import Decoder
from sightline.models.encoder import FullEncoder
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import AsEncoder, EncoderStack, Pointwise, Residual, ResidualEncoder, Stack
from sightline.parts.feed_forward import FeedForward
from sightline.parts.front_ends import build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.norm import make_norm
from sightline.parts.positions import AddPositions
from sightline.parts.token_embedding import TokenEmbedding

LAYERS, HEADS, WIDTH = 2, 4, 64


def language_model(
    vocabulary: int, *, attention: bool = True, feed_forward: bool = True, norm: bool = True, residual: bool = True
) -> Decoder:
    """A causal Transformer with pre-norm layers and rotary positions, from which parts are left out."""
    layers: list[SequenceMixer] = []
    for _ in range(LAYERS):
        inner: list[SequenceMixer] = []
        if attention:
            inner.append(SoftmaxAttention(WIDTH, HEADS, positions="rotary"))
        if feed_forward:
            inner.append(_feed_forward())
        for part in inner:
            before = make_norm("rms", WIDTH) if norm else nn.Identity()
            layers.append(Residual(part, before) if residual else Stack([Pointwise(before, WIDTH), part]))
    layers.append(Pointwise(make_norm("rms", WIDTH) if norm else nn.Identity(), WIDTH))
    return Decoder(TokenEmbedding(vocabulary, WIDTH, padding=None), Stack(layers), TokenHead(WIDTH, vocabulary))


def encoder_decoder(
    tokens: int, outputs: int, *, cross: bool = True, own_of_encoder: bool = True, own_of_decoder: bool = True
) -> SequenceModel:
    """A Transformer encoder-decoder (pre-norm) without cross-attention, or without self-attention on either side.

    Positions are added to the embeddings (sinusoids), so that they do not go with the self-attention.
    """
    below: list[SequenceEncoder] = [AsEncoder(AddPositions(WIDTH))]
    for _ in range(LAYERS):
        if own_of_encoder:
            own = FullSoftmaxAttention(WIDTH, HEADS)
            below.append(ResidualEncoder(own, make_norm("rms", WIDTH)))
        below.append(ResidualEncoder(AsEncoder(_feed_forward()), make_norm("rms", WIDTH)))
    below.append(AsEncoder(Pointwise(make_norm("rms", WIDTH), WIDTH)))
    layers: list[SequenceMixer] = [AddPositions(WIDTH)]
    for _ in range(LAYERS):
        parts: list[SequenceMixer] = []
        if own_of_decoder:
            parts.append(SoftmaxAttention(WIDTH, HEADS))
        if cross:
            parts.append(CrossAttention(WIDTH, HEADS))
        layers += [Residual(part, make_norm("rms", WIDTH)) for part in [*parts, _feed_forward()]]
    layers.append(Pointwise(make_norm("rms", WIDTH), WIDTH))
    encoder = FullEncoder(build_front_end(tokens, WIDTH), EncoderStack(below))
    return SequenceModel(encoder, Decoder(TokenEmbedding(outputs, WIDTH), Stack(layers), TokenHead(WIDTH, outputs)))


def _feed_forward() -> Pointwise:
    return Pointwise(FeedForward(WIDTH, 4 * WIDTH, "gelu"), WIDTH)


@final
class DecoderOnly(nn.Module):
    """A causal Transformer that reads source and target as one sequence: self-attention without cross-attention.

    Called as an encoder-decoder is, with the source (B, M), its mask and the target so far (B, T). Ids of the target
    are put after those of the source; padding between the two is masked.
    """

    def __init__(self, tokens: int, outputs: int) -> None:
        super().__init__()
        self.tokens, self.outputs = tokens, outputs
        self.decoder = language_model(tokens + outputs)

    def forward(self, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        joined = torch.cat([source, target + self.tokens], 1)
        real = torch.cat([mask, torch.ones_like(target, dtype=torch.bool)], 1)
        logits, _ = self.decoder(joined, None, real)
        return logits[:, source.shape[1] :, : self.outputs]
