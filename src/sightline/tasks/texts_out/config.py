"""Settings of any model that writes text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from sightline.core.settings import CheckedConfig, key
from sightline.data.spaced import spaced
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair, byte_pairs_for
from sightline.models import ARCHITECTURES, ModelConfig
from sightline.tasks.run import TaskConfig
from sightline.training.loss import Smoothing

SHORTER = 0.95  # tokens of byte pairs for each character: with more, characters are the tokens
_SAMPLED = 1000  # texts on which that is measured
PER_TOKEN = 500  # characters of the longer side for each token of a vocabulary by default (docs/defaults.md)
FEWEST_PER_TOKEN = 200  # characters of a side's own texts


@final
@dataclass(frozen=True)
class TokenizerConfig(CheckedConfig):
    """Tokenizer of texts."""

    kind: Literal["auto", "char", "bpe", "unigram"] = key(
        "auto",
        f"Tokenizer; auto: bpe with a token for each {PER_TOKEN} characters of the longer side's training texts, or "
        "char for a side that is short or where bpe is hardly shorter.",
    )
    size: int = key(8000, "Maximum size of a vocabulary, for bpe and unigram.", at_least=1)
    shared: bool = key(False, "Use one vocabulary for sources and targets.")
    lowercase: bool = key(False, "Lower-case texts before they are split into tokens.")

    def learn(self, sources: Sequence[str], targets: Sequence[str], *, lowercase: bool) -> TokenizerPair:
        """Tokenizers of sources and targets; one alone where no source is a text.

        lowercase: whether the texts were lower-cased when they were read, which the tokenizers then do to new ones
        """
        config = replace(self, lowercase=self.lowercase or lowercase)
        if self.shared or not sources:
            one = config.of_side([*sources, *targets])
            return TokenizerPair(one, one)
        longer = max(_characters(sources), _characters(targets))
        return TokenizerPair(config.of_side(sources, longer), config.of_side(targets, longer))

    def of_side(self, texts: Sequence[str], longer: int = 0) -> Tokenizer:
        """The tokenizer of these training texts; where the kind is "auto", of the kind and the size that suit them.

        longer: the characters of the longer side, where that is another one. A vocabulary of one side follows from
        that: short targets of long sources, such as dates in ISO 8601, learn with as many pairs of bytes.

        Byte pairs are learned from bytes. Few of them for texts of a script whose characters have two or three bytes
        are longer than characters, which are then the tokens.
        """
        if self.kind != "auto":
            return Tokenizer.train(texts, self.kind, self.size, self.lowercase)
        own = _characters(texts)
        if size := min(byte_pairs_for(max(own, longer), PER_TOKEN), byte_pairs_for(own, FEWEST_PER_TOKEN)):
            pairs = Tokenizer.train(texts, "bpe", min(self.size, size), self.lowercase)
            sample = [texts[row] for row in spaced(len(texts), _SAMPLED)]
            if sum(map(len, pairs.encode_batch(sample))) < SHORTER * _characters(sample):
                return pairs
        return Tokenizer.train(texts, "char", self.size, self.lowercase)


def _characters(texts: Sequence[str]) -> int:
    return sum(map(len, texts))


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
