"""Classification of texts, series, sounds or pictures: a pooled encoder, trained on labelled items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
from torch import Tensor, nn

from sightline.core.metrics import Baseline, metric_names
from sightline.data.labelled.corpus import LabelledCorpus, kind_of_data
from sightline.data.labelled.part import LabelledPart, content_sha256
from sightline.data.rows.in_memory import LABELLED
from sightline.data.spaced import at_least_one, spaced
from sightline.tasks.classification.augment import shifted, without_words
from sightline.tasks.classification.baselines import SCORE, label_baselines
from sightline.tasks.classification.batches import LabelledBatch, LabelledBatches
from sightline.tasks.classification.classifier import Classifier, LabelOptions
from sightline.tasks.classification.config import ClassificationRun
from sightline.tasks.classification.inputs import LANGUAGE_EPOCHS, LabelledInputs
from sightline.tasks.classification.labelling import Labelling
from sightline.tasks.classification.loss import class_weights, label_divergence, label_loss
from sightline.tasks.classification.metrics import KINDS
from sightline.tasks.classification.opened import open_item
from sightline.tasks.classification.planted import planted_items
from sightline.tasks.input_source import InputSource
from sightline.tasks.outcomes import Costs, median_ms
from sightline.tasks.trained import TrainedModelTask
from sightline.training.loss import Loss
from sightline.training.measured import Measured
from sightline.training.state import TrainConfig, settled

TIMED = 20  # items


@final
class ClassificationTask(TrainedModelTask[LabelledCorpus, LabelledPart, ClassificationRun, Classifier]):
    """Training and measurement of a classifier."""

    name = "classification"
    form = "encoder"
    unit = "items"
    loss_unit = "nats/item"
    counted = "items"
    same_in_comparison = ("text.word_dropout",)
    length_of = "source length (characters or steps)"
    pair = LABELLED
    Run: ClassVar[type[ClassificationRun]] = ClassificationRun
    Options = LabelOptions
    Trained = Classifier
    opened_by = staticmethod(open_item)
    plant = planted_items
    no_record: ClassVar[Mapping[str, Any]] = {"label": None, "probabilities": None}

    def __init__(self, trained: Classifier, data: str = "") -> None:
        super().__init__(trained, data)
        self.inputs, self.classes, self.many = trained.inputs, trained.classes, trained.many
        self.reads_texts, self.one_label = trained.inputs.kind == "text", not trained.many

    @classmethod
    def build(cls, data: LabelledCorpus, run: ClassificationRun) -> ClassificationTask:
        data.check()
        settings = run.settings.settled(data.kind, many=data.many)
        inputs = LabelledInputs.fit(data.kind, data.train.sources, settings, lowercase=run.corpus.lowercase)
        sizes = inputs.front_end, len(data.classes)
        config, model = cls.draw(inputs.config, sizes, run)
        weights = class_weights(config, data.train.numbers(data.classes), data.classes)
        labels = {"many": data.many, "label_type": data.label_type, "columns": data.columns, "weights": weights}
        return cls(Classifier(config, model, inputs, data.classes, **labels), cls.trained_on(data))

    @classmethod
    def kind_of_data(cls, run: ClassificationRun) -> str:
        return kind_of_data(run.corpus.data, run.reading)

    def more_options(self) -> dict[str, Any]:
        return self.trained.options

    @property
    def input_sources(self) -> Mapping[str, InputSource]:
        return {self.inputs.kind: self.inputs.kind}

    def settled_reading(self) -> dict[str, Any]:
        return {"source_kind": self.inputs.kind}

    def read_as_trained(self, run: ClassificationRun) -> LabelledPart:
        columns, usual = self.trained.columns, type(run.corpus)()
        if run.corpus.source_column != self.reading.get("source_column", usual.source_column):  # the user names others
            columns = replace(columns, sources=())
        if run.corpus.label_column != self.reading.get("label_column", usual.label_column):
            columns = replace(columns, label=None)
        return run.read(columns, self.classes)

    def lower_inputs(self) -> None:
        if self.inputs.words is not None:
            self.inputs.words.lower_first = True

    @classmethod
    def metrics(cls, data: LabelledCorpus, run: ClassificationRun) -> tuple[str, ...]:
        return metric_names(*KINDS[data.many], first=["accuracy", "macro_f1", "auroc", "loss"])

    def settled_training(self, config: TrainConfig) -> TrainConfig:
        """By accuracy, or macro F1 where classes have weights: the loss is least where a classifier of small data is
        not yet too sure of itself, long before its answers are best (LOG.md). Texts of a language are learnt in few
        passes.
        """
        metric = "accuracy" if self.config.class_weights == "none" else "macro_f1"
        epochs = LANGUAGE_EPOCHS if self.inputs.in_language else None
        return settled(config, metric if self.one_label else "loss", epochs)

    def batches(self, part: LabelledPart, *, seed: int) -> LabelledBatches:
        return self.trained.batches(part, seed=seed)

    def loss(self, model: nn.Module, batch: LabelledBatch) -> Loss:
        """The loss of the labels, see `label_loss`; in training pictures are shifted and texts lose words."""
        source = batch.source
        if model.training and self.inputs.kind == "image":
            source = shifted(source, self.config.shift_pixels, self.config.picture.ground)
        elif model.training and self.inputs.unknown is not None:
            source = without_words(source, batch.source_mask, self.inputs.word_dropout, self.inputs.unknown)
        logits = model(source, batch.source_mask)
        return label_loss(logits, batch.labels, self.trained.weights, self.config.label_smoothing or 0.0)

    def divergence(self, outputs: Tensor, reference: Tensor, batch: LabelledBatch) -> Tensor:
        """How far the outputs for a batch are from those of another model, see `label_divergence`."""
        return label_divergence(outputs, reference, batch.labels)

    def validator(self, part: LabelledPart, share: float = 1.0) -> Callable[[nn.Module], Measured]:
        """A function of the model: the metrics of `measure` on evenly spaced items, first loss and accuracy."""
        scored = self.spaced(part, at_least_one(share * min(len(part), self.config.validation_items)))
        batches, labels = self.trained.batches(scored, shuffle=False), scored.numbers(self.classes)

        def validate(model: nn.Module) -> Measured:
            scores = self.trained.scores_by(model, batches, len(labels))
            if not np.isfinite(scores).all():
                return Measured({"loss": float("nan")})
            measured = SCORE[self.many](scores, labels, self.classes)
            shown = dict.fromkeys(["loss", "accuracy", "macro_f1", *measured.metrics])
            return Measured({name: measured.metrics[name] for name in shown}, measured.items)

        return validate

    def measure(self, part: LabelledPart, decoding: Any = None) -> Measured:
        """Accuracy, macro F1, AUROC, loss and calibration error; `details` has `confusion` and `reliability`."""
        labels, scores = part.numbers(self.classes), self.trained.scores(part)
        result = SCORE[self.many](scores, labels, self.classes)
        outputs = tuple("|".join(Labelling.of(row, self.classes, self.many).names) for row in scores)
        references = tuple("|".join(of_item) for of_item in part.labels)
        return Measured(result.metrics, result.items, outputs, references, result.details)

    def items_sha256(self, part: LabelledPart) -> str:
        return content_sha256({"items": part})

    def baselines(self, train: LabelledPart, valid: LabelledPart, part: LabelledPart) -> list[Baseline]:
        return label_baselines(train, valid, part, self.classes, self.config.sound.front_end)

    def costs(self, part: LabelledPart) -> Costs:
        """The time of one label, items asked for one at a time."""
        return Costs(median_ms(partial(self.trained.label, part.select([row])) for row in spaced(len(part), TIMED)))

    @classmethod
    def sources(cls, part: LabelledPart) -> list[str]:
        return [source for source in part.sources if isinstance(source, str)]

    @classmethod
    def lengths(cls, part: LabelledPart) -> list[int]:
        """Of texts in characters and of series in steps; sounds and pictures have none."""
        return [len(source) for source in part.sources] if part.kind in ("text", "series") else []

    def inputs_of(self, part: LabelledPart, most: int) -> list[Any]:
        return self.filled(self.spaced(part, most).sources)

    def describe(self, data: LabelledCorpus) -> dict[str, Any]:
        counts = Counter(name for of_item in data.train.labels for name in of_item)
        facts: dict[str, Any] = {"source": self.inputs.kind, "labels": {name: counts[name] for name in self.classes}}
        return facts | ({"vocabulary": self.inputs.words.size} if self.inputs.words is not None else {})
