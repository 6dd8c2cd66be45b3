"""Tasks from sounds and pictures to text: readers, tokenizers and an encoder-decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline
from sightline.data.media.columns import MediaKind, MediaPart
from sightline.data.media.corpus import MediaCorpus
from sightline.data.media.manifest import located
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.media.baselines import media_baselines
from sightline.tasks.media.batches import MediaBatches, MediaInputs
from sightline.tasks.media.config import MediaTextConfig, MediaTextRun, parse_sources
from sightline.tasks.media.sources import SourceColumns
from sightline.tasks.texts_out.task import TextsOutOptions, TextsOutTask
from sightline.tasks.texts_out.writer import TOKENIZERS, TextWriter

T = TypeVar("T", bound="MediaTextTask")


@final
@dataclass(frozen=True)
class MediaOptions(TextsOutOptions):
    """Stored options: the source columns and their kinds, as the setting `sources` names them."""

    sources: tuple[str, ...]


class MediaTextTask(TextsOutTask[MediaCorpus, MediaPart, MediaTextRun]):
    """An encoder-decoder that reads sounds, pictures and texts, as `source_columns` names them."""

    unit = "items"
    Run: ClassVar[type[MediaTextRun]] = MediaTextRun
    Options = MediaOptions
    scored_as = ("texts", "transcripts")
    default_sources: ClassVar[tuple[str, ...]]
    pipeline: ClassVar[str]  # the model hubs' name for the job

    def __init__(self, config: MediaTextConfig, writer: TextWriter, columns: SourceColumns, *, data: str = "") -> None:
        super().__init__(config, writer, data=data)
        self.source_columns = columns

    @property
    def columns(self) -> tuple[tuple[str, MediaKind], ...]:
        """The columns of the sources with their kinds, in order."""
        return self.source_columns.columns

    @classmethod
    def preset(cls, arch: str) -> MediaTextRun:
        return super().preset(arch).changed(sources=cls.default_sources)

    @classmethod
    def build(cls: type[T], data: MediaCorpus, run: MediaTextRun) -> T:
        if not len(data.train):
            raise InputError(f"no training {cls.unit}", where=data.name)
        data.check()
        config = run.settings.settled(data.train)
        columns = SourceColumns(parse_sources(run.corpus.sources), config)
        texts = [text for column in data.train.columns for text in column.texts]
        tokenizers = config.tokenizer.learn(texts, data.train.targets, lowercase=run.corpus.lowercase)
        sizes = columns.front_end(tokenizers.source.size), tokenizers.target.size
        config, model = cls.draw(config, sizes, run)
        writer = TextWriter.for_targets(model, tokenizers, data.train.targets)
        return cls(config, writer, columns, data=cls.trained_on(data))

    @classmethod
    def restore(
        cls: type[T], directory: Path, loaded: LoadedModel, config: MediaTextConfig, options: MediaOptions
    ) -> T:
        place = f"{directory / CONFIG}: options"
        with located(place):
            columns = SourceColumns(parse_sources(options.sources), config)
        writer = TextWriter.load(directory, loaded, options.longest_output)
        task = cls(config, writer, columns, data=options.data)
        try:
            expected = task.source
        except ValueError as error:
            raise InputError(str(error), where=place) from None
        if loaded.source != expected:
            raise InputError(f"settings for {expected}, but the model reads {loaded.source}", where=place)
        if loaded.outputs != task.outputs:
            raise InputError(
                f"a vocabulary of {task.outputs} tokens, but the model has {loaded.outputs}",
                where=directory / TOKENIZERS,
            )
        return task

    def settled_reading(self) -> dict[str, Any]:
        return {"sources": self.source_columns.named}

    @classmethod
    def sources(cls, part: MediaPart) -> list[str]:
        return [" · ".join(column.shown(row) for column in part.columns) for row in range(len(part))]

    @property
    def validation_size(self) -> int:
        return self.config.validation_items

    @property
    def source(self) -> FrontEndConfig:
        return self.source_columns.front_end(self.tokenizers.source.size)

    def batches(self, part: MediaPart, *, seed: int) -> MediaBatches:
        """Shuffled training batches of the items."""
        return self._batches(part, self.config.batch_tokens, seed=seed)

    def in_order(self, part: MediaPart) -> MediaBatches:
        positions = self.sources_of(part).positions
        lengths = [len(ids) + 2 for ids in self.tokenizers.target.encode_batch(part.targets)]
        return self._batches(part, max(self.config.batch_tokens, *positions, *lengths), shuffle=False)

    def sources_of(self, part: MediaPart) -> MediaInputs:
        """The part's sources, after a check that they fit the model."""
        self.source_columns.check(part)
        return MediaInputs(part.columns, self.config, self.tokenizers.source)

    def read_line(self, line: str) -> list[str]:
        """Splits a line of several sources, paths and texts, at tabs."""
        return line.split("\t")

    def is_one(self, inputs: Any) -> bool:
        return self.source_columns.is_one(inputs)

    def part_of(self, inputs: Sequence[Any]) -> MediaPart:
        return self.source_columns.part_of(inputs)

    def baselines(self, train: MediaPart, valid: MediaPart, part: MediaPart) -> list[Baseline]:
        outputs = media_baselines(train, part, self.config)
        return [one.scored(self.score(one.outputs, part.targets).metrics) for one in outputs]

    def facts(self) -> dict[str, str]:
        target = self.tokenizers.target
        kinds = ", ".join(f"{name} ({kind})" for name, kind in self.columns)
        return {"sources": kinds, "tokens": f"{target.kind}; vocabulary {target.size:,}"}

    def describe(self, data: MediaCorpus) -> dict[str, Any]:
        positions = self.sources_of(data.train).positions
        return {
            "vocabulary": self.tokenizers.target.size,
            "positions": {"mean": round(float(np.mean(positions)), 1), "longest": max(positions)},
            **super().describe(data),
        }

    def more_options(self) -> dict[str, Any]:
        return super().more_options() | self.settled_reading()

    def card(self) -> Card:
        target = self.tokenizers.target
        return Card(
            f"{' and '.join(kind for _, kind in self.columns)} to text",
            self.pipeline,
            f"model.predict({self.source_columns.example()})",
            {"Reads": self.source_columns.described(), "Tokens": f"{target.kind}, {target.size:,}"},
            ", `tokenizer.json` the vocabularies",
        )

    def _batches(self, part: MediaPart, max_tokens: int, *, seed: int = 0, shuffle: bool = True) -> MediaBatches:
        target_ids = self.tokenizers.target.encode_batch(part.targets)
        return MediaBatches(part, self.sources_of(part), target_ids, max_tokens=max_tokens, seed=seed, shuffle=shuffle)
