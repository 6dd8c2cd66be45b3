"""Tasks from sounds and pictures to text: readers, tokenizers and an encoder-decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, final

import numpy as np

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline
from sightline.data.media.columns import AudioReader, Column, ImageReader, MediaKind, MediaPart, Store
from sightline.data.media.corpus import MediaCorpus
from sightline.data.media.manifest import located
from sightline.data.tokens.tokenizer import TokenizerPair
from sightline.models import SequenceModel
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.media.baselines import media_baselines
from sightline.tasks.media.batches import MediaBatches, MediaInputs
from sightline.tasks.media.config import MediaTextConfig, MediaTextRun, parse_sources
from sightline.tasks.media.sources import (
    check_reading,
    described,
    example,
    front_end,
)
from sightline.tasks.texts_out.task import TOKENIZERS, TextsOutOptions, TextsOutTask

T = TypeVar("T", bound="MediaTextTask")


@final
@dataclass(frozen=True)
class MediaOptions(TextsOutOptions):
    """Stored options: the source columns and their kinds, as the setting `sources` names them."""

    sources: tuple[str, ...]


class MediaTextTask(TextsOutTask[MediaCorpus, MediaPart, MediaTextRun]):
    """A model with its tokenizers and its source columns.

    columns: those of the sources with their kinds, in order
    """

    unit = "items"
    Run: ClassVar[type[MediaTextRun]] = MediaTextRun
    Options = MediaOptions
    scored_as = ("texts", "transcripts")
    default_sources: ClassVar[tuple[str, ...]]
    pipeline: ClassVar[str]  # the model hubs' name for the job

    def __init__(
        self,
        config: MediaTextConfig,
        model: SequenceModel,
        tokenizers: TokenizerPair,
        columns: tuple[tuple[str, MediaKind], ...],
        *,
        longest_output: int,
        data: str = "",
    ) -> None:
        super().__init__(config, model, tokenizers, longest_output=longest_output, data=data)
        self.columns = columns

    @classmethod
    def preset(cls, arch: str) -> MediaTextRun:
        return super().preset(arch).changed(sources=cls.default_sources)

    @classmethod
    def build(cls: type[T], data: MediaCorpus, run: MediaTextRun) -> T:
        if not len(data.train):
            raise InputError(f"no training {cls.unit}", where=data.name)
        data.check()
        columns = parse_sources(run.corpus.sources)
        config = run.settings
        for column in data.train.columns:
            if column.kind == "image":
                shapes = [column.shape(row) for row in range(len(column))]
                config = replace(config, picture=config.picture.settled(shapes, config.front_end))
        texts = [text for column in data.train.columns for text in column.texts]
        tokenizers = cls.learn_tokenizers(texts, data.train.targets, config.tokenizer, lowercase=run.corpus.lowercase)
        sizes = front_end(columns, config, tokenizers), tokenizers.target.size
        config, model = cls.draw(config, sizes, run)
        longest = cls.room_for(tokenizers, data.train.targets)
        return cls(config, model, tokenizers, columns, longest_output=longest, data=cls.trained_on(data))

    @classmethod
    def restore(
        cls: type[T], directory: Path, loaded: LoadedModel, config: MediaTextConfig, options: MediaOptions
    ) -> T:
        place = f"{directory / CONFIG}: options"
        with located(place):
            columns = parse_sources(options.sources)
        tokenizers = cls.load_tokenizers(directory, options)
        try:
            expected = front_end(columns, config, tokenizers)
        except ValueError as error:
            raise InputError(str(error), where=place) from None
        if loaded.source != expected:
            raise InputError(f"settings for {expected}, but the model reads {loaded.source}", where=place)
        if loaded.outputs != tokenizers.target.size:
            raise InputError(
                f"a vocabulary of {tokenizers.target.size} tokens, but the model has {loaded.outputs}",
                where=directory / TOKENIZERS,
            )
        assert isinstance(loaded.model, SequenceModel)
        return cls(config, loaded.model, tokenizers, columns, longest_output=options.longest_output, data=options.data)

    def settled_reading(self) -> dict[str, Any]:
        return {"sources": self._column_names}

    @classmethod
    def sources(cls, part: MediaPart) -> list[str]:
        return [" · ".join(column.shown(row) for column in part.columns) for row in range(len(part))]

    @property
    def validation_size(self) -> int:
        return self.config.validation_items

    @property
    def source(self) -> FrontEndConfig:
        return front_end(self.columns, self.config, self.tokenizers)

    def batches(self, part: MediaPart, *, seed: int) -> MediaBatches:
        """Shuffled training batches of the items."""
        return self._batches(part, self.config.batch_tokens, seed=seed)

    def in_order(self, part: MediaPart) -> MediaBatches:
        positions = self.sources_of(part).positions
        lengths = [len(ids) + 2 for ids in self.tokenizers.target.encode_batch(part.targets)]
        return self._batches(part, max(self.config.batch_tokens, *positions, *lengths), shuffle=False)

    def sources_of(self, part: MediaPart) -> MediaInputs:
        """The part's sources, after a check that they fit the model."""
        expected = [kind for _, kind in self.columns]
        kinds = [column.kind for column in part.columns]
        if kinds != expected:
            raise InputError(
                f"expected sources of kind {', '.join(expected)}, found {', '.join(kinds)}", where="sources"
            )
        for column in part.columns:
            if column.store is not None:
                check_reading(column, part, self.config)
        return MediaInputs(part.columns, self.config, self.tokenizers.source)

    def read_line(self, line: str) -> list[str]:
        """Splits a line of several sources, paths and texts, at tabs."""
        return line.split("\t")

    def is_one(self, inputs: Any) -> bool:
        row = isinstance(inputs, tuple) and len(self.columns) == len(inputs) > 1
        return isinstance(inputs, str | Path | Mapping) or (row and all(isinstance(v, str | Path) for v in inputs))

    def part_of(self, inputs: Sequence[Any]) -> MediaPart:
        """Inputs as a part: a path, or for several sources a tuple of paths and texts in order or a row by column."""
        names = [name for name, _ in self.columns]
        rows = [[entry] if isinstance(entry, str | Path) else self._row(entry) for entry in inputs]
        for number, row in enumerate(rows, 1):
            if len(row) != len(names):
                raise InputError(
                    f"expected {number_of(len(names), 'value')} ({', '.join(names)}), found {len(row)}",
                    where=f"input {number}",
                )
        columns = []
        for place, (name, kind) in enumerate(self.columns):
            if kind == "text":
                columns.append(Column(name, kind, tuple(str(row[place]) for row in rows)))
            else:
                sound, picture = self.config.sound.reading, self.config.picture.reading
                store = Store(AudioReader(sound) if kind == "audio" else ImageReader(picture))
                numbers = tuple(store.add(Path(row[place]), f"input {n}") for n, row in enumerate(rows, 1))
                columns.append(Column(name, kind, (), store, numbers))
        places = tuple(f"input {number}" for number in range(1, len(rows) + 1))
        return MediaPart(tuple(columns), ("",) * len(rows), places)

    def _row(self, entry: Any) -> list[Any]:
        """The paths and texts of one input, in the order of the columns."""
        if not isinstance(entry, Mapping):
            return list(entry)
        if missing := next((name for name, _ in self.columns if name not in entry), None):
            raise InputError(f"expected a column {missing!r}, found {', '.join(map(str, entry))}")
        return [entry[name] for name, _ in self.columns]

    def baselines(self, train: MediaPart, valid: MediaPart, part: MediaPart) -> list[Baseline]:
        outputs = media_baselines(train, part, self.config)
        return [one.scored(self.score(one.outputs, part.targets).metrics) for one in outputs]

    def facts(self) -> dict[str, str]:
        target = self.tokenizers.target
        kinds = ", ".join(f"{name} ({kind})" for name, kind in self.columns)
        return {"sources": kinds, "tokens": f"{target.kind}; vocabulary {target.size:,}"}

    def describe(self, data: MediaCorpus) -> dict[str, Any]:
        batches = self.batches(data.train, seed=0)
        positions = self.sources_of(data.train).positions
        return {
            "vocabulary": self.tokenizers.target.size,
            "positions": {"mean": round(float(np.mean(positions)), 1), "longest": max(positions)},
            "tokens_per_epoch": batches.tokens,
            "batches_per_epoch": len(batches),
        }

    def more_options(self) -> dict[str, Any]:
        return super().more_options() | self.settled_reading()

    def card(self) -> Card:
        target = self.tokenizers.target
        return Card(
            f"{' and '.join(kind for _, kind in self.columns)} to text",
            self.pipeline,
            f"model.predict({example(self.columns)})",
            {"Reads": described(self.columns, self.config), "Tokens": f"{target.kind}, {target.size:,}"},
            ", `tokenizer.json` the vocabularies",
        )

    @property
    def _column_names(self) -> tuple[str, ...]:
        return tuple(f"{name}:{kind}" for name, kind in self.columns)

    def _batches(self, part: MediaPart, max_tokens: int, *, seed: int = 0, shuffle: bool = True) -> MediaBatches:
        target_ids = self.tokenizers.target.encode_batch(part.targets)
        return MediaBatches(part, self.sources_of(part), target_ids, max_tokens=max_tokens, seed=seed, shuffle=shuffle)
