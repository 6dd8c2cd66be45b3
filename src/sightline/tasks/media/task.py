"""Tasks from sounds and pictures to text: readers, tokenizers and an encoder-decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from sightline.core.errors import InputError
from sightline.core.metrics import Baseline
from sightline.data.corpus import sha256_of
from sightline.data.media.columns import MediaPart
from sightline.data.media.corpus import MediaCorpus
from sightline.models.store import LoadedModel
from sightline.tasks.input_source import InputSource
from sightline.tasks.media.baselines import media_baselines
from sightline.tasks.media.batches import MediaBatches
from sightline.tasks.media.config import MediaTextConfig, MediaTextRun, parse_sources
from sightline.tasks.media.opened import open_item
from sightline.tasks.media.sources import SourceColumns
from sightline.tasks.media.writer import MediaWriter
from sightline.tasks.texts_out.task import TextsOutOptions, TextsOutTask
from sightline.tasks.texts_out.writer import longest_output

T = TypeVar("T", bound="MediaTextTask")


@final
@dataclass(frozen=True)
class MediaOptions(TextsOutOptions):
    """Stored options: the source columns and their kinds, as the setting `sources` names them."""

    sources: tuple[str, ...]


class MediaTextTask(TextsOutTask[MediaCorpus, MediaPart, MediaTextRun, MediaWriter]):
    """Training and measurement of a model that writes texts for sounds, pictures and texts."""

    unit = "items"
    Run: ClassVar[type[MediaTextRun]] = MediaTextRun
    Options = MediaOptions
    opened_by = staticmethod(open_item)
    scored_as = ("texts", "transcripts")
    default_sources: ClassVar[tuple[str, ...]]
    pipeline: ClassVar[str]  # the model hubs' name for the job

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
        longest = longest_output(tokenizers, data.train.targets)
        return cls(MediaWriter(config, model, tokenizers, longest, columns, cls.pipeline), cls.trained_on(data))

    @classmethod
    def restore(
        cls: type[T], directory: Path, loaded: LoadedModel, config: MediaTextConfig, options: MediaOptions
    ) -> T:
        return cls(MediaWriter.restore(directory, loaded, config, options, cls.pipeline), options.data)

    def settled_reading(self) -> dict[str, Any]:
        return {"sources": self.trained.columns.named}

    @classmethod
    def sources(cls, part: MediaPart) -> list[str]:
        return [" · ".join(column.shown(row) for column in part.columns) for row in range(len(part))]

    def items_sha256(self, part: MediaPart) -> str:
        return sha256_of({"items": list(zip(part.digests(), part.targets, strict=True))})

    @property
    def validation_size(self) -> int:
        return self.config.validation_items

    def batches(self, part: MediaPart, *, seed: int) -> MediaBatches:
        return self._batches(part, self.config.batch_tokens, seed=seed)

    def in_order(self, part: MediaPart) -> MediaBatches:
        positions = self.trained.sources_of(part).positions
        lengths = [len(ids) + 2 for ids in self.tokenizers.target.encode_batch(part.targets)]
        return self._batches(part, max(self.config.batch_tokens, *positions, *lengths), shuffle=False)

    def baselines(self, train: MediaPart, valid: MediaPart, part: MediaPart) -> list[Baseline]:
        outputs = media_baselines(train, part, self.config)
        return [one.scored(self.score(one.outputs, part.targets).metrics) for one in outputs]

    @property
    def input_sources(self) -> Mapping[str, InputSource]:
        return dict(self.trained.columns.columns)

    def describe(self, data: MediaCorpus) -> dict[str, Any]:
        positions = self.trained.sources_of(data.train).positions
        return {
            "vocabulary": self.tokenizers.target.size,
            "positions": {"mean": round(float(np.mean(positions)), 1), "longest": max(positions)},
            **super().describe(data),
        }

    def more_options(self) -> dict[str, Any]:
        return super().more_options() | self.settled_reading()

    def _batches(self, part: MediaPart, max_tokens: int, *, seed: int = 0, shuffle: bool = True) -> MediaBatches:
        target_ids = self.tokenizers.target.encode_batch(part.targets)
        sources = self.trained.sources_of(part)
        return self.fitting(MediaBatches(part, sources, target_ids, max_tokens=max_tokens, seed=seed, shuffle=shuffle))
