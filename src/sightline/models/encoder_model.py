"""Encoder-only models, of any mechanisms of the table: to label positions, fill gaps or classify what was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.core.mixer import SequenceEncoder, keep
from sightline.core.settings import key
from sightline.models.layers import LayersConfig, ModelHalf
from sightline.models.stack import AsEncoder
from sightline.parts.front_ends import Source, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.pooling import POOLINGS, Pooling
from sightline.parts.token_embedding import EmbeddedTokens

Pool = Literal["none", "mean", "last", "cls", "additive"]


@final
class EncoderModel(nn.Module):
    """Front end, an encoder whose positions see their whole document, and a head over each position or a pooled one.

    It has no state and no step: an encoder that sees both sides cannot be fed token by token.
    """

    def __init__(
        self, front_end: FrontEnd, encoder: SequenceEncoder, head: nn.Module, pooling: Pooling | None = None
    ) -> None:
        super().__init__()
        self.front_end, self.encoder, self.head, self.pooling = front_end, encoder, head, pooling

    def forward(self, source: Any, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        """Outputs (B, T, C) of the source's T positions, those of masked ones without meaning; pooled, (B, C).

        Of tokens (B, T) the mask and `starts` (B, T) are those of `SequenceEncoder`; a front end that joins positions
        takes no `starts`.

        Raises:
            ValueError: "a row of several documents has no vector of its own: starts are for pooling='none'".
        """
        if self.pooling is not None and starts is not None:
            raise ValueError("a row of several documents has no vector of its own: starts are for pooling='none'")
        x, mask = self.front_end(source, mask)
        if self.pooling is None:
            return self.head(keep(self.encoder(x, mask, starts), mask))
        x, mask = self.pooling.prepare(x, mask)
        return self.head(self.pooling(self.encoder(x, mask), mask))


@final
@dataclass(frozen=True)
class EncoderConfig(LayersConfig):
    """A front end, layers that see both sides, and a head over each position or, by `pooling`, over one vector.

    Windows, patterns of blocks, softmax and linear attention are used without their causal limit; recurrences and
    linear attention with decay run once in each direction. Token embeddings are multiplied by √d_model (Vaswani et al.
    2017, § 3.4).

    pooling: none; the mean; the last position; a class token; additive attention (see `parts.pooling`)
    causal: every position sees only earlier ones, and recurrences run in one direction; with pooling="last" this is
        the classical recurrent classifier
    """

    pooling: Pool = key("none", "How positions become one vector.")
    causal: bool = key(False, "Let every position see only earlier ones.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.causal and self.pooling == "cls":
            raise InputError(
                "a class token comes first and sees nothing in causal layers: choose pooling=last", where="pooling"
            )

    @property
    def halves(self) -> dict[str, ModelHalf]:
        return {"encoder": ModelHalf("encoder.mixer" if self.causal else "encoder", self)}

    def build(self, source: Source, outputs: int | None = None) -> EncoderModel:
        """A model of `outputs` numbers; None = logits of the vocabulary, by the embeddings (masked language models).

        Raises:
            ValueError: "a head by the embeddings needs tokens, got ImagePatches(…)".
        """
        front_end = build_front_end(source, self.d_model, scale=True, padding=None)
        if outputs is not None:
            head = TokenHead(self.d_model, outputs)
        elif isinstance(front_end, EmbeddedTokens):
            embedded = front_end.embedding.weight  # (V, D)
            head = TokenHead(self.d_model, len(embedded), tied=embedded, bias=False)
        else:
            raise ValueError(f"a head by the embeddings needs tokens, got {source}")
        layers = AsEncoder(self.causal_layers()) if self.causal else self.full_layers()
        pooling = None if self.pooling == "none" else POOLINGS[self.pooling](self.d_model)
        return EncoderModel(front_end, layers, head, pooling)
