"""An encoder-decoder that writes a text for each item of sounds, pictures and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.data.inputs import InputTable
from sightline.data.media.columns import MediaPart
from sightline.data.media.manifest import located
from sightline.data.tokens.tokenizer import TokenizerPair
from sightline.models import SequenceModel
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.media.batches import MediaInputs
from sightline.tasks.media.config import MediaTextConfig, parse_sources
from sightline.tasks.media.sources import SourceColumns
from sightline.tasks.texts_out.writer import TOKENIZERS, TextWriter, restored


@final
class MediaWriter(TextWriter[MediaPart]):
    """An encoder-decoder that reads sounds, pictures and texts, as `columns` names them.

    pipeline: the model hubs' name for the job
    """

    def __init__(
        self,
        config: MediaTextConfig,
        model: SequenceModel,
        tokenizers: TokenizerPair,
        longest_output: int,
        columns: SourceColumns,
        pipeline: str,
    ) -> None:
        super().__init__(config, model, tokenizers, longest_output)
        self.columns, self.pipeline = columns, pipeline

    @classmethod
    def restore(
        cls, directory: Path, loaded: LoadedModel, config: MediaTextConfig, options: Any, pipeline: str
    ) -> MediaWriter:
        """The writer of a model directory, whose `options` name the columns and the longest output.

        Raises:
            InputError: model, settings and vocabularies do not fit.
        """
        place = f"{directory / CONFIG}: options"
        with located(place):
            columns = SourceColumns(parse_sources(options.sources), config)
        writer = cls(config, *restored(directory, loaded, options.longest_output), columns, pipeline)
        try:
            expected = writer.source
        except ValueError as error:
            raise InputError(str(error), where=place) from None
        if loaded.source != expected:
            raise InputError(f"settings for {expected}, but the model reads {loaded.source}", where=place)
        if loaded.outputs != writer.outputs:
            raise InputError(
                f"a vocabulary of {writer.outputs} tokens, but the model has {loaded.outputs}",
                where=directory / TOKENIZERS,
            )
        return writer

    @property
    def source(self) -> FrontEndConfig:
        return self.columns.front_end(self.tokenizers.source.size)

    @property
    def masks_one(self) -> bool:
        kinds = [kind for _, kind in self.columns.columns]
        return kinds != ["text"] and any(kind != "image" for kind in kinds)

    def sources_of(self, part: MediaPart) -> MediaInputs:
        """The part's sources, after a check that they fit the model."""
        self.columns.check(part)
        return MediaInputs(part.columns, self.config, self.tokenizers.source)

    def part_of(self, inputs: Sequence[Any]) -> MediaPart:
        return self.columns.part_of(inputs)

    def is_one(self, inputs: Any) -> bool:
        return self.columns.is_one(inputs)

    def read_line(self, line: Any) -> Any:
        """Splits a line of several sources, paths and texts, at tabs; what is not a line is split already."""
        return line.split("\t") if isinstance(line, str) else line

    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[Any]:
        return self.columns.in_table(table)

    def facts(self) -> dict[str, str]:
        target = self.tokenizers.target
        kinds = ", ".join(f"{name} ({kind})" for name, kind in self.columns.columns)
        return {"sources": kinds, "tokens": f"{target.kind}; vocabulary {target.size:,}"}

    def card(self) -> Card:
        target = self.tokenizers.target
        return Card(
            f"{' and '.join(kind for _, kind in self.columns.columns)} to text",
            self.pipeline,
            f"model.predict({self.columns.example()})",
            {"Reads": self.columns.described(), "Tokens": f"{target.kind}, {target.size:,}"},
            ", `tokenizer.json` the vocabularies",
        )
