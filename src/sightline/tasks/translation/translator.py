"""A translator: an encoder-decoder that writes a text for each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.data.inputs import InputTable
from sightline.data.pairs.columns import UNKNOWN, PairColumns
from sightline.data.pairs.corpus import Pairs
from sightline.data.tokens.tokenizer import TokenizerPair
from sightline.models import SequenceModel
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.text_inputs import TEXT_KINDS, in_tokens, text_front_end, text_pieces, text_reader
from sightline.tasks.texts_out.task import TextsOutOptions
from sightline.tasks.texts_out.writer import TOKENIZERS, TextWriter, restored
from sightline.tasks.translation.config import TranslationConfig
from sightline.tasks.translation.sentences import Sentences


@final
@dataclass(frozen=True)
class TranslationOptions(TextsOutOptions):
    """Stored options: the longest output, and the columns of the training table."""

    columns: PairColumns = field(default=UNKNOWN, kw_only=True)  # models of version 0.1.0 have none


@final
class Translator(TextWriter[Pairs]):
    """A translation model with its tokenizers.

    columns: those of the training table, by which other tables are read
    """

    def __init__(
        self,
        config: TranslationConfig,
        model: SequenceModel,
        tokenizers: TokenizerPair,
        longest_output: int,
        columns: PairColumns = UNKNOWN,
    ) -> None:
        super().__init__(config, model, tokenizers, longest_output)
        self.columns = columns

    @classmethod
    def restore(
        cls, directory: Path, loaded: LoadedModel, config: TranslationConfig, options: TranslationOptions
    ) -> Translator:
        """The translator of a model directory; `InputError` where model, settings and vocabularies do not fit."""
        translator = cls(config, *restored(directory, loaded, options.longest_output), options.columns)
        if loaded.source.accepts not in TEXT_KINDS:
            raise InputError(f"a model of {loaded.source} does not translate text", where=directory / CONFIG)
        if (translator.source, translator.outputs) != (loaded.source, loaded.outputs):
            raise InputError(
                f"vocabularies of {in_tokens(translator.source)} and {translator.outputs} tokens, but the model has "
                f"{in_tokens(loaded.source)} and {loaded.outputs}",
                where=directory / TOKENIZERS,
            )
        return translator

    @property
    def source(self) -> FrontEndConfig:
        return text_front_end(self.config.front_end, self.tokenizers.source.size)

    @property
    def reader(self) -> Any:
        """The encoder of sources as inputs of the model."""
        return text_reader(self.config.front_end, self.tokenizers.source)

    def sources_of(self, part: Pairs) -> Sentences:
        return Sentences(self.reader.encode_batch(part.sources), self.source)

    def source_pieces(self, text: str) -> list[str]:
        """The label of each position of a source, for maps of attention."""
        return text_pieces(self.source, self.tokenizers.source, text)

    def part_of(self, inputs: Sequence[str]) -> Pairs:
        return Pairs(list(inputs), [""] * len(inputs))

    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[str]:
        return table.texts(reading.get("source_column"), self.columns)

    def facts(self) -> dict[str, str]:
        sizes = f"vocabulary {self.reader.size:,} source, {self.tokenizers.target.size:,} target"
        return {"tokens": f"{self.reader.kind}; {sizes}"}

    def card(self) -> Card:
        sizes = f"{self.reader.size:,} in the source and {self.tokenizers.target.size:,} in the target"
        return Card(
            "text to text",
            "translation",
            'model.predict("a text")',
            {"Tokens": f"{self.reader.kind}, {sizes}"},
            ", `tokenizer.json` the vocabularies",
        )
