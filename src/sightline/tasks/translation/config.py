"""Settings of a translation model and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from sightline.core.settings import flat, key
from sightline.data.pairs.columns import UNKNOWN, PairColumns
from sightline.data.pairs.corpus import PairCorpus, PairReading, Pairs, load_corpus
from sightline.tasks.run import FilesConfig, RunConfig, log_notes
from sightline.tasks.text_inputs import TEXT_KINDS
from sightline.tasks.texts_out.config import TextsOutConfig, TokenizerConfig


@final
@dataclass(frozen=True)
class PairsConfig(FilesConfig):
    """The pairs to train on; see `load_corpus`."""

    source_column: str | None = key(None, "Column of the sources; null: `source`, or the first.")
    target_column: str | None = key(None, "Column of the targets; null: `target`, or the second.")
    header: bool | None = key(None, "Whether the first row of a table names its columns; null: detected.")
    lowercase: bool = key(False, "Lower-case sources and targets when they are read.")

    @property
    def reading(self) -> dict[str, Any]:
        """The options for reading files, see `PairReading`."""
        names = ("source_column", "target_column", "header", "lowercase", "skip_bad")
        return {name: getattr(self, name) for name in names}

    def load(self) -> PairCorpus:
        """The corpus; raises what `load_corpus` raises, and `InputError` where no data is named."""
        data = self.named("a file, two parallel files a,b, or builtin:dates")
        return load_corpus(data, **self.division, **self.reading)

    def read(self, trained: PairColumns = UNKNOWN) -> Pairs:
        """All pairs of the data as one part; raises what `PairReading.table` raises; logs notes.

        trained: the columns of the training table
        """
        table = PairReading(**self.reading).table(self.data, trained)
        log_notes(self.data, table.notes())
        lower = str.lower if self.lowercase else str
        return Pairs(*([lower(text) for text in texts[: self.limit]] for texts in table.pairs.sides))


@final
@dataclass(frozen=True)
class TranslationConfig(TextsOutConfig):
    """Settings of a model of pairs of texts: architecture and sizes, tokenizers, loss and batches.

    `preset(arch)` gives the table's sizes and, for a preset with a paper's name, the paper's loss and vocabulary.
    """

    max_length: int | None = key(None, "Maximum number of tokens of an example; null: any number.", at_least=1)
    too_long: Literal["error", "skip", "truncate"] = key("error", "How to treat an example longer than max_length.")
    validation_pairs: int = key(1000, "Pairs that a validation scores.", at_least=1)

    reads = TEXT_KINDS

    @classmethod
    def own(cls, arch: str) -> dict[str, Any]:
        if arch == "transformer":
            return {"batch_tokens": 768}  # wants more steps than the recurrences do (LOG.md)
        if arch == "transformer-2017":  # Vaswani et al. 2017, sections 5.1 and 5.4
            return {"label_smoothing": 0.1, "tokenizer": TokenizerConfig("bpe", shared=True)}
        return {}


@final
@dataclass(frozen=True)
class TranslationRun(RunConfig):
    """The configuration of a translation model's training."""

    corpus: PairsConfig = flat(PairsConfig())
    settings: TranslationConfig = flat(TranslationConfig())

    def read(self, trained: PairColumns = UNKNOWN) -> Pairs:
        """All items of the data as one part; raises as `PairsConfig.read`."""
        return self.corpus.read(trained)
