"""Words as the sum of vectors of their n-grams, which a hash chooses from one table (Bojanowski et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, InputKind, sample_lengths
from sightline.core.mixer import keep
from sightline.core.settings import CheckedConfig, key
from sightline.core.shapes import Mask, MemoryMask, MemoryValues

OFFSET, PRIME, BITS = 2166136261, 16777619, 0xFFFFFFFF  # of FNV-1a with 32 bits
OF_WORDS = OFFSET ^ BITS  # where the hash of a whole word begins, so that it shares no row with the n-gram by design


@final
class NGramEmbedding(FrontEnd):
    """Words as letters (B, T, L), 0 after the end of each, to vectors (B, T, D): x = Σ z_g / √G over G n-grams g.

    Bojanowski, Grave, Joulin & Mikolov 2017 ("Enriching Word Vectors with Subword Information", arXiv:1607.04606): the
    n-grams of `shortest` to `longest` letters, the marks at both ends counted, and the word itself, by the hash
    FNV-1a. Deviations: letters are bytes of UTF-8; the word itself is hashed too, where the paper has a vocabulary of
    words; the sum is divided by √G, so that long and short words begin with variance 1; the paper has 2 million rows.
    """

    pointwise: ClassVar[bool] = True

    def __init__(self, buckets: int, d_model: int, shortest: int, longest: int) -> None:
        super().__init__()
        self.d_model, self.buckets, self.shortest, self.longest = d_model, buckets, shortest, longest
        self.table = nn.Embedding(buckets, d_model)

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        if mask is not None:
            inputs = inputs.masked_fill(~mask.unsqueeze(2), 0)
        words = inputs.flatten(0, 1).long()  # (B·T, L)
        rows, real = self.rows_of(words)
        weight = self.table.weight
        shares = real.to(weight.dtype) / real.sum(1, keepdim=True).clamp(min=1).to(weight.dtype).sqrt()
        x = F.embedding_bag(rows, weight, mode="sum", per_sample_weights=shares)
        return keep(x.unflatten(0, inputs.shape[:2]), mask), mask

    def rows_of(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """The rows (N, G) of the table for words (N, L), and which of them are of the word; the last is the word's."""
        lengths = (words != 0).sum(1)
        if not torch.compiler.is_exporting():  # zeros behind all words change nothing
            words = words[:, : int(lengths.max()) if len(words) else 0]
        steps = words.shape[1]
        whole = torch.full_like(lengths, OF_WORDS)
        for place in range(steps):
            whole = torch.where(place < lengths, _next(whole, words[:, place]), whole)
        rows, real = [], []
        hashes = torch.full_like(words, OFFSET)  # of the n-gram that begins at each letter
        for size in range(1, min(self.longest, steps) + 1):
            starts = steps - size + 1
            hashes = _next(hashes[:, :starts], words[:, size - 1 :])
            if size >= self.shortest:
                rows.append(hashes)
                real.append(torch.arange(starts, device=words.device) + size <= lengths.unsqueeze(1))
        rows, real = [*rows, whole.unsqueeze(1)], [*real, lengths.unsqueeze(1) > 0]
        return torch.cat(rows, 1) % self.buckets, torch.cat(real, 1)


def _next(hashes: Tensor, letters: Tensor) -> Tensor:
    """FNV-1a with one more letter; 32 bits of it times the prime fit into 64."""
    return (hashes ^ letters) * PRIME & BITS


@final
@dataclass(frozen=True)
class HashedNGrams(CheckedConfig):
    """Words by their n-grams, so that rare and unknown words have vectors too; see `NGramEmbedding`."""

    accepts: ClassVar[InputKind] = "words"

    buckets: int = key(16_384, "Rows of the table, which n-grams share.", at_least=1)
    shortest: int = key(3, "Letters of the shortest n-grams, the marks at the ends of a word counted.", at_least=1)
    longest: int = key(6, "Letters of the longest n-grams.", at_least=1, at_most=32)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise InputError(f"must be at least shortest = {self.shortest}, found {self.longest}", where="longest")

    @classmethod
    def examples(cls) -> tuple[HashedNGrams, ...]:
        return (cls(50), cls(7, 1, 2), cls(100, 4, 9))

    def length_out(self, length: int) -> int:
        return length

    def build(self, d_model: int) -> NGramEmbedding:
        return NGramEmbedding(self.buckets, d_model, self.shortest, self.longest)

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        words = torch.randint(1, 200, (rows, 6, 8), generator=generator)
        ends = torch.randint(1, 9, (rows, 6, 1), generator=generator)
        return words.masked_fill(torch.arange(8) >= ends, 0), sample_lengths(rows, 6)
