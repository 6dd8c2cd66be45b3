"""Settings of any model that writes text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from sightline.core.config import encode
from sightline.core.settings import CheckedConfig, key
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair, byte_pairs_for
from sightline.models import ARCHITECTURES, ModelConfig
from sightline.tasks.run import TaskConfig
from sightline.training.loss import Smoothing

PER_TOKEN = 500  # characters of training texts for each token of a vocabulary by default (docs/defaults.md)


@final
@dataclass(frozen=True)
class TokenizerConfig(CheckedConfig):
    """Tokenizer of texts."""

    kind: Literal["auto", "char", "bpe", "unigram"] = key(
        "auto",
        f"Tokenizer; auto: bpe with a token for each {PER_TOKEN} characters of training texts, char for few of them.",
    )
    size: int = key(8000, "Maximum size of a vocabulary, for bpe and unigram.", at_least=1)
    shared: bool = key(False, "Use one vocabulary for sources and targets.")
    lowercase: bool = key(False, "Lower-case texts before they are split into tokens.")

    def settled(self, *sides: Sequence[str]) -> TokenizerConfig:
        """The kind and the size for these training texts, one side or two, where the kind is "auto"."""
        if self.kind != "auto":
            return self
        size = byte_pairs_for(max(sum(map(len, side)) for side in sides), PER_TOKEN)
        return replace(self, kind="bpe", size=min(self.size, size)) if size else replace(self, kind="char")

    def learn(self, sources: Sequence[str], targets: Sequence[str], *, lowercase: bool) -> TokenizerPair:
        """Tokenizers of sources and targets; one alone where no source is a text.

        lowercase: whether the texts were lower-cased when they were read, which the tokenizers then do to new ones
        """
        config = replace(self.settled(sources, targets), lowercase=self.lowercase or lowercase)
        if sources:
            return TokenizerPair.train(sources, targets, **encode(config))
        one = Tokenizer.train(targets, config.kind, config.size, config.lowercase)
        return TokenizerPair(one, one)


@dataclass(frozen=True)
class TextsOutConfig(TaskConfig):
    """Architecture and sizes, tokenizers, loss and batches of an encoder-decoder that writes text."""

    form = "encoder-decoder"

    arch: str = key("transformer", "Architecture.")
    model: ModelConfig = key(ARCHITECTURES["transformer"], "Sizes of the model.")
    tokenizer: TokenizerConfig = key(TokenizerConfig(), "Tokenizers of targets, and of sources that are texts.")
    label_smoothing: float = key(
        0.0, "Share of each label's probability that is spread over the vocabulary.", at_least=0, below=1
    )
    smoothing: Smoothing = key("uniform", "How label_smoothing is spread.")
    # Within a minute of a CPU many small steps teach more than few large ones (LOG.md); a longer training wants more.
    batch_tokens: int = key(
        1024, "Maximum number of padded tokens or positions of a training batch, by its longer side.", at_least=1
    )
    validation_outputs: int = key(100, "Items that a validation decodes.", at_least=1)
