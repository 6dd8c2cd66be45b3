"""Words read letter by letter: convolutions, the maximum over the word, and a highway (Kim et al. 2016)."""

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

MOST_WIDTHS = 16


@final
class Highway(nn.Module):
    """z = t ⊙ ReLU(W_H y + b_H) + (1 - t) ⊙ y with t = σ(W_T y + b_T); Srivastava et al. 2015 (arXiv:1505.00387).

    b_T begins at -2, so that most of y is carried through at first.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.transform, self.gate = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, y: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(y))
        return gate * F.relu(self.transform(y)) + (1.0 - gate) * y


@final
class CharacterConvolutions(FrontEnd):
    """Words as letters (B, T, L), 0 after the end of each, to vectors (B, T, D): one for each word.

    Kim, Jernite, Sontag & Rush 2016 ("Character-Aware Neural Language Models", arXiv:1508.06615). With the letters'
    vectors C (d × l), filters H of each width w, and highway layers:

        f_i = tanh(<C[:, i:i+w], H> + b),   y_H = max over i of f_i,   x = highway(y)

    Words shorter than a filter are padded to its width. Unlike the paper's code, which pads all words to one length and
    takes the maximum over the padding too, only windows within the word count, so that a word has the same vector in
    any batch. A linear map from the filters to width D and a layer norm follow, which the paper, whose LSTM reads the
    filters themselves, does not have.
    """

    pointwise: ClassVar[bool] = True

    def __init__(
        self, letters: int, d_model: int, *, d_letter: int, widths: tuple[int, ...], filters: int, highways: int
    ) -> None:
        super().__init__()
        self.d_model, self.widths = d_model, widths
        self.embedding = nn.Embedding(letters, d_letter, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(d_letter, filters * width, width) for width in widths)
        features = filters * sum(widths)
        self.highways = nn.Sequential(*(Highway(features) for _ in range(highways)))
        self.project, self.norm = nn.Linear(features, d_model), nn.LayerNorm(d_model)

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        if mask is not None:
            inputs = inputs.masked_fill(~mask.unsqueeze(2), 0)
        words = inputs.flatten(0, 1).long()  # (B·T, L)
        place = torch.arange(words.shape[0], device=words.device)
        exporting = torch.compiler.is_exporting()  # nothing may then follow from the words
        if not exporting and len(words):
            words, place = torch.unique(words, dim=0, return_inverse=True)  # (N, L), each word once
        lengths = (words != 0).sum(1)
        longest = words.shape[1] if exporting else int(lengths.max()) if len(words) else 0
        longest = max(longest, *self.widths)
        words = F.pad(words, (0, max(0, longest - words.shape[1])))[:, :longest]
        letters = self.embedding(words).transpose(1, 2)  # (N, d, l)
        y = torch.cat([self._maximum(letters, lengths, convolution) for convolution in self.convolutions], 1)
        x = self.norm(self.project(self.highways(y.tanh())))[place]
        return keep(x.unflatten(0, inputs.shape[:2]), mask), mask

    def _maximum(self, letters: Tensor, lengths: Tensor, convolution: nn.Module) -> Tensor:
        """The largest output (N, F) of each filter over the windows of a word; tanh, which rises, comes after it."""
        y = convolution(letters)  # (N, F, l - w + 1)
        last = (lengths - (letters.shape[2] - y.shape[2] + 1)).clamp(min=0)  # the last window's beginning
        beyond = torch.arange(y.shape[2], device=y.device) > last.unsqueeze(1)
        return y.masked_fill(beyond.unsqueeze(1), -torch.inf).amax(2)


@final
@dataclass(frozen=True)
class CharacterCNN(CheckedConfig):
    """Words by their letters, so that rare and unknown words have vectors too; see `CharacterConvolutions`.

    The paper's small model has widths 1 to 6 with 25 filters for each letter of width, its large one 1 to 7 with
    min(200, 50 w) filters, and two highway layers.

    letters: letters of the alphabet, the padding 0 counted
    """

    accepts: ClassVar[InputKind] = "words"

    letters: int
    d_letter: int = key(15, "Width of the vectors of letters.", at_least=1)
    widths: tuple[int, ...] = key((1, 2, 3, 4, 5), "Letters that the filters of each kind see.", at_least=1)
    filters: int = key(10, "Filters for each letter of width: 10 of width 1, 20 of width 2.", at_least=1)
    highways: int = key(1, "Highway layers.", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.widths) <= MOST_WIDTHS:
            raise InputError(f"must be 1 to {MOST_WIDTHS} widths, found {len(self.widths)}", where="widths")

    @classmethod
    def examples(cls) -> tuple[CharacterCNN, ...]:
        return (cls(7, 3, (1, 2, 3), 2), cls(5, 4, (2, 4), 3, 0), cls(9, 2, (7,), 1, 2))

    def length_out(self, length: int) -> int:
        return length

    def build(self, d_model: int) -> CharacterConvolutions:
        sizes = {"d_letter": self.d_letter, "widths": self.widths, "filters": self.filters}
        return CharacterConvolutions(self.letters, d_model, **sizes, highways=self.highways)

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        words = torch.randint(1, self.letters, (rows, 6, 5), generator=generator)
        ends = torch.randint(1, 6, (rows, 6, 1), generator=generator)
        return words.masked_fill(torch.arange(5) >= ends, 0), sample_lengths(rows, 6)
