"""Settings of a model that labels texts, series, sounds or pictures, and of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig, InputKind
from sightline.core.settings import CheckedConfig, flat, key
from sightline.data.corpus import first_items
from sightline.data.labelled.columns import UNKNOWN, LabelledColumns
from sightline.data.labelled.corpus import LabelledCorpus, load_labelled
from sightline.data.labelled.gaps import Missing
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import Reading, SourceKind, read_labelled
from sightline.models import FORMS, NAMED_ENCODERS, SizedConfig
from sightline.tasks.media.config import PictureConfig, SoundConfig
from sightline.tasks.run import FilesConfig, RunConfig, TaskConfig, log_notes
from sightline.tasks.text_inputs import TEXT_KINDS, text_front_end
from sightline.training.optim import OptimConfig

READ_AS: dict[SourceKind, tuple[InputKind, ...]] = {
    "text": TEXT_KINDS, "series": ("series",), "audio": ("audio",), "image": ("image",)
}  # fmt: skip
SMOOTHED: dict[SourceKind, float] = {"series": 0.1}  # label smoothing by default (docs/defaults.md)
# The presets after Jain & Wallace 2019 are trained with the rate and the decay of their code.
PAPER_OPTIMIZERS = dict.fromkeys(
    NAMED_ENCODERS,
    OptimConfig(lr=1e-3, weight_decay=1e-5, schedule="constant", warmup_steps=0, clip_norm=None),
)


def _pooled(arch: str) -> Any:
    """The preset, pooled by the mean where it has no pooling of its own."""
    model: Any = FORMS["encoder"][arch]
    return replace(model, pooling="mean") if getattr(model, "pooling", None) == "none" else model


@final
@dataclass(frozen=True)
class LabelledConfig(FilesConfig):
    """The labelled items to train on, and the options for reading them; see `data.labelled.table.Reading`."""

    limit: int | None = key(
        None,
        "Use only this many items of each part: the first ones, or of a folder for each class some of every class; "
        "null: all.",
        at_least=1,
    )
    source_kind: Literal["auto", "text", "series", "audio", "image"] = key(
        "auto", "Kind of the sources; auto: derived from the columns and file names."
    )
    source_column: str | None = key(None, "Column of the sources; null: derived from the kind.")
    label_column: str = key("label", "Column of the labels.")
    label_separator: str | None = key(None, "Text between several labels of one item; null: one label for each item.")
    split_column: str | None = key(None, "Column that names each row's part; null: none.")
    base: str | None = key(None, "Folder that paths in the table are relative to; null: the table's own.")
    lowercase: bool = key(False, "Lower-case texts when they are read.")


@final
@dataclass(frozen=True)
class TextConfig(CheckedConfig):
    """Vocabulary of words; see `data.tokens.words`."""

    kind: Literal["word", "char", "bpe", "unigram"] = key("word", "Tokenizer.")
    size: int = key(20_000, "Maximum size of the vocabulary.", at_least=1)
    # Rare words of training train the embedding of unknown words.
    min_count: int = key(2, "How often a word must occur in training to be in the vocabulary.", at_least=1)
    word_dropout: float | None = key(
        None,
        "Share of the tokens of each text that are unknown to the model in a training step (word dropout, Iyyer et al. "
        "2015); null: 0.5 where the vocabulary has 1,000 words or more, otherwise 0.",
        at_least=0,
        below=1,
    )


@final
@dataclass(frozen=True)
class SeriesConfig(CheckedConfig):
    """Patches of series."""

    patch: int | None = key(None, "Steps of a patch; null: 1 for series of up to 256 steps, more for longer ones.")
    stride: int | None = key(None, "Steps between patches; null: as many as a patch has.")
    missing: Missing = key("refuse", "How to treat missing values: refuse, or linear between their neighbours.")
    scale: bool = key(True, "Scale each channel to mean 0 and deviation 1 over the training part.")


@final
@dataclass(frozen=True)
class ClassificationConfig(TaskConfig):
    """Settings of a classifier: architecture and sizes, reading of sources, loss and batches.

    class_weights: "balanced" weighs an item's loss by N / (C · n) of its class, n of N training items having it; or a
        weight by name, 1 for those not named. With any number of labels "balanced" weighs the presence of a label by
        how many times rarer it is than its absence
    label_smoothing: ε of the loss, spread evenly over all classes; with any number of labels over presence and absence
    """

    form = "encoder"

    arch: str = key("transformer", "Architecture.")
    model: SizedConfig = key(_pooled("transformer"), "Sizes of the model.")
    text: TextConfig = key(TextConfig(), "How texts are read.")
    series: SeriesConfig = key(SeriesConfig(), "How series are read.")
    sound: SoundConfig = key(SoundConfig(), "How sounds are read.")
    picture: PictureConfig = key(PictureConfig(), "How pictures are read.")
    class_weights: dict[str, float] | Literal["none", "balanced"] = key(
        "none", "Weight of each class in the loss: none, balanced, or a weight by class name.", at_least=0
    )
    label_smoothing: float | None = key(
        None,
        "Share of each label's probability that is spread over all classes; null: 0.1 for series that have one label "
        "each, otherwise 0.",
        at_least=0,
        below=1,
    )
    shift_pixels: int = key(0, "Maximum shift of pictures in pixels, each way, while training.", at_least=0)
    batch_size: int = key(32, "Items of a training batch.", at_least=1)
    max_length: int | None = key(None, "Maximum number of tokens or steps of an item; null: any number.", at_least=1)
    too_long: Literal["error", "truncate"] = key("error", "How to treat an item longer than max_length.")
    validation_items: int = key(2000, "Items that a validation scores.", at_least=1)

    reads = tuple(kind for kinds in READ_AS.values() for kind in kinds)

    def __post_init__(self) -> None:
        super().__post_init__()
        if getattr(self.model, "pooling", None) == "none":
            raise InputError("labels are of whole items: choose mean, last, cls or additive", where="model.pooling")

    def settled(self, kind: SourceKind, *, many: bool) -> ClassificationConfig:
        """The same with what it leaves to the kind of the sources, and to whether items have any number of labels."""
        smoothing = 0.0 if many else SMOOTHED.get(kind, 0.0)
        return replace(self, label_smoothing=smoothing) if self.label_smoothing is None else self

    def fitted(self, kind: SourceKind, **sizes: int) -> FrontEndConfig:
        """The front end for sources of this kind, with their sizes: `vocabulary` of texts, `channels` of series.

        Raises:
            InputError: the front end does not read such sources, or refuses a value.
        """
        if kind == "text":
            return text_front_end(self.front_end, **sizes)
        if kind == "series":
            options: dict[str, Any] = {**sizes, "padding": "zero"}
            if self.series.patch is not None:
                options |= {"patch": self.series.patch, "stride": self.series.stride or self.series.patch}
            return self.front_end.fit("series_patches", {"series": options})
        return (self.sound if kind == "audio" else self.picture).fitted(self.front_end)

    @classmethod
    def own(cls, arch: str) -> dict[str, Any]:
        text = {"text": TextConfig(word_dropout=0.0)} if arch in NAMED_ENCODERS else {}  # the paper has none
        return {"model": _pooled(arch), **text}

    @classmethod
    def optimizer(cls, arch: str) -> OptimConfig:
        """That of the paper for a preset that carries a paper's name."""
        return PAPER_OPTIMIZERS.get(arch) or super().optimizer(arch)


@final
@dataclass(frozen=True)
class ClassificationRun(RunConfig):
    """The configuration of a classifier's training."""

    corpus: LabelledConfig = flat(LabelledConfig())
    settings: ClassificationConfig = flat(ClassificationConfig())
    task: str = "classification"

    @property
    def reading(self) -> Reading:
        """The options for reading data."""
        corpus, settings = self.corpus, self.settings
        return Reading(
            corpus.source_kind,
            corpus.source_column,
            corpus.label_column,
            corpus.label_separator,
            corpus.split_column,
            corpus.lowercase,
            corpus.skip_bad,
            settings.sound.reading,
            settings.picture.reading,
            None if corpus.base is None else Path(corpus.base),
            settings.series.missing,
        )

    def load(self) -> LabelledCorpus:
        """The data; raises what `load_labelled` raises."""
        corpus = self.corpus
        data = corpus.named("a table, a folder that has a folder for each class, or builtin:digits")
        return load_labelled(data if data.startswith("builtin:") else Path(data), self.reading, **corpus.division)

    def read(self, trained: LabelledColumns = UNKNOWN, classes: Sequence[str] | None = None) -> LabelledPart:
        """All items of the data as one part; raises what `read_labelled` raises; logs notes.

        The data needs no column of parts, and one that it has is never a source.

        trained, classes: what is known of the training data
        """
        trained = replace(trained, split=self.corpus.split_column or trained.split)
        table = read_labelled(Path(self.corpus.data), replace(self.reading, split_column=None), trained, classes)
        log_notes(self.corpus.data, table.notes())
        return first_items(LabelledPart.of(table), self.corpus.limit)
