"""Classification of texts, series, sounds or pictures: a pooled encoder, trained on labelled items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline, metrics_of
from sightline.core.modes import evaluating
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.labels import LabelType, label_values
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import SourceKind
from sightline.data.rows.given import LABELLED
from sightline.data.spaced import at_least_one, spaced
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.classification.augment import shifted
from sightline.tasks.classification.baselines import SCORE, label_baselines
from sightline.tasks.classification.batches import LabelledBatch, LabelledBatches
from sightline.tasks.classification.config import ClassificationConfig, ClassificationRun
from sightline.tasks.classification.inputs import VOCABULARY, LabelledInputs, Scaling, load_vocabulary
from sightline.tasks.classification.labelling import Labelling
from sightline.tasks.classification.loss import class_weights, label_loss
from sightline.tasks.classification.metrics import KINDS
from sightline.tasks.outcomes import Answer, Costs, Measured, median_ms
from sightline.tasks.saved import Options
from sightline.tasks.task import Task
from sightline.training.loss import Loss

TIMED = 20  # items
CARD_CLASSES = 20  # named in a model's README
PIPELINES = {"text": "text-classification", "audio": "audio-classification", "image": "image-classification"}
EXAMPLES = {"text": '"a text"', "series": "[[0.1, 0.2, 0.3]]", "audio": '"a.wav"', "image": '"a.png"'}


@final
@dataclass(frozen=True)
class LabelOptions(Options):
    """Stored options: the kind of source, the classes and their type, and the scaling fitted to the training part."""

    kind: SourceKind
    classes: tuple[str, ...]
    many: bool
    weights: tuple[float, ...] | None
    scaling: Scaling | None
    label_type: LabelType = field(default="text", kw_only=True)  # models of version 0.1.0 do not have it


@final
class ClassificationTask(Task[LabelledCorpus, LabelledPart, ClassificationRun]):
    """A classifier with the names of its classes and its inputs.

    model: from sources and their mask to a row of numbers for each item, (B, C)
    classes: the names, fixed by the training part; many: whether an item may have any number of them
    label_type: of the values that have these names, which `predict` returns
    weights: of the classes in the loss, None = all the same
    """

    name = "classification"
    form = "encoder"
    unit = "items"
    loss_unit = "nats/item"
    counted = "items"
    length_of = "source length (characters or steps)"
    pair = LABELLED
    Run: ClassVar[type[ClassificationRun]] = ClassificationRun
    Options = LabelOptions
    no_record: ClassVar[Mapping[str, Any]] = {"label": None, "probabilities": None}

    def __init__(
        self,
        config: ClassificationConfig,
        model: nn.Module,
        inputs: LabelledInputs,
        classes: tuple[str, ...],
        *,
        many: bool = False,
        label_type: LabelType = "text",
        weights: tuple[float, ...] | None = None,
        data: str = "",
    ) -> None:
        self.config, self.model, self.inputs = config, model, inputs
        self.classes, self.many, self.weights, self.data = classes, many, weights, data
        self.reads_texts = inputs.kind == "text"
        self.label_type, self._values = label_type, label_values(classes, label_type)

    @classmethod
    def build(cls, data: LabelledCorpus, run: ClassificationRun) -> ClassificationTask:
        data.check()
        inputs = LabelledInputs.fit(data.kind, data.train.sources, run.settings, lowercase=run.corpus.lowercase)
        sizes = inputs.front_end, len(data.classes)
        config, model = cls.draw(inputs.config, sizes, run)
        weights = class_weights(config, data.train.numbers(data.classes), data.classes)
        labels: dict[str, Any] = {"many": data.many, "label_type": data.label_type, "weights": weights}
        return cls(config, model, inputs, data.classes, **labels, data=cls.trained_on(data))

    @classmethod
    def restore(
        cls, directory: Path, loaded: LoadedModel, config: ClassificationConfig, options: LabelOptions
    ) -> ClassificationTask:
        place = f"{directory / CONFIG}: options"
        classes = options.classes
        if len(set(classes)) != loaded.outputs or len(classes) != loaded.outputs:
            raise InputError(f"{len(classes)} classes, but the model has {loaded.outputs} outputs", where=place)
        if options.weights is not None and len(options.weights) != len(classes):
            raise InputError(f"{len(options.weights)} weights of {len(classes)} classes", where=place)
        words = load_vocabulary(directory / VOCABULARY) if options.kind == "text" else None
        if words is not None and loaded.source != config.fitted(options.kind, vocabulary=words.size):
            raise InputError(
                f"a vocabulary of {words.size} tokens, but the model reads {loaded.source}",
                where=directory / VOCABULARY,
            )
        inputs = LabelledInputs(options.kind, config, loaded.source, words, options.scaling)
        inputs.check(place)
        model: Any = loaded.model
        labels: dict[str, Any] = {name: getattr(options, name) for name in ("many", "label_type", "weights")}
        try:
            return cls(config, model, inputs, classes, **labels, data=options.data)
        except InputError as error:
            raise InputError(str(error), where=place) from None

    def settled_reading(self) -> dict[str, Any]:
        return {"source_kind": self.inputs.kind}

    def lower_inputs(self) -> None:
        if self.inputs.words is not None:
            self.inputs.words.lower_first = True

    @classmethod
    def metrics(cls, data: LabelledCorpus, run: ClassificationRun) -> tuple[str, ...]:
        known = metrics_of(*KINDS[data.many])
        return tuple(dict.fromkeys(["accuracy", "macro_f1", "auroc", "loss", *(metric.name for metric in known)]))

    def batches(self, part: LabelledPart, *, seed: int) -> LabelledBatches:
        """Shuffled training batches of the items."""
        return self._batches(part, seed=seed)

    def loss(self, model: nn.Module, batch: LabelledBatch) -> Loss:
        """Cross entropy of the labels, weighted by class and smoothed where that is set.

        With any number of labels the sum of each label's binary cross entropy. Where classes are weighted, smoothing is
        torch's: every class's share of it has that class's weight.
        """
        source = batch.source
        if model.training and self.inputs.kind == "image":
            source = shifted(source, self.config.shift_pixels, self.config.picture.ground)
        return label_loss(model(source, batch.source_mask), batch.labels, self.weights, self.config.label_smoothing)

    def validator(self, part: LabelledPart, share: float = 1.0) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: loss, accuracy and macro F1 on evenly spaced items."""
        scored = self.spaced(part, at_least_one(share * min(len(part), self.config.validation_items)))
        batches, labels = self._batches(scored, shuffle=False), scored.numbers(self.classes)

        def validate(model: nn.Module) -> dict[str, float]:
            scores = self._scores(model, batches, len(labels))
            if not np.isfinite(scores).all():
                return {"loss": float("nan")}
            metrics = SCORE[self.many](scores, labels, self.classes).metrics
            return {name: metrics[name] for name in ("loss", "accuracy", "macro_f1")}

        return validate

    def measure(self, part: LabelledPart, decoding: Any = None) -> Measured:
        """Accuracy, macro F1, AUROC, loss and calibration error; `details` has `confusion` and `reliability`."""
        labels, scores = part.numbers(self.classes), self._all_scores(part)
        result = SCORE[self.many](scores, labels, self.classes)
        outputs = tuple("|".join(Labelling.of(row, self.classes, self.many).names) for row in scores)
        references = tuple("|".join(of_item) for of_item in part.labels)
        return Measured(result.metrics, result.items, outputs, references, result.details)

    def baselines(self, train: LabelledPart, valid: LabelledPart, part: LabelledPart) -> list[Baseline]:
        return label_baselines(train, valid, part, self.classes, self.config.sound.front_end)

    def outputs_of(self, part: LabelledPart) -> list[Any]:
        return [one.labels if self.many else one.labels[0] for one in self.label(part)]

    def label(self, part: LabelledPart) -> list[Labelling]:
        """The labels of a part's items and the probabilities of all classes; dropout is off."""
        return [Labelling.of(row, self.classes, self.many, self._values) for row in self._all_scores(part)]

    def is_one(self, inputs: Any) -> bool:
        return super().is_one(inputs) or self.inputs.is_one(inputs)

    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        """The label of each input, of the type that labels had in training, or with any number of labels a tuple.

        An input is a text; a series (T, C) as an array or a list; a sound's or a picture's path, or its array.
        """
        return self.outputs_of(self._part([self.inputs.accept(value) for value in inputs]))

    def record_list(self, inputs: list[Any], decoding: Any = None) -> list[dict[str, Any]]:
        labellings = self.label(self._part([self.inputs.accept(value) for value in inputs]))
        return [one.answer(source, self.many).record for one, source in zip(labellings, inputs, strict=True)]

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """A label and its probability, tab-separated; of several labels `a|b` and `0.9000|0.7000`."""
        labellings = self.label(self._part([self.inputs.read(line) for line in inputs]))
        return [one.answer(line, self.many) for one, line in zip(labellings, inputs, strict=True)]

    @classmethod
    def sources(cls, part: LabelledPart) -> list[str]:
        return [source for source in part.sources if isinstance(source, str)]

    @classmethod
    def lengths(cls, part: LabelledPart) -> list[int]:
        """Of texts in characters and of series in steps; sounds and pictures have none."""
        return [len(source) for source in part.sources] if part.kind in ("text", "series") else []

    def facts(self) -> dict[str, str]:
        facts = {"sources": self.inputs.kind, "classes": f"{len(self.classes):,}"}
        if self.inputs.words is not None:
            facts["tokens"] = f"{self.inputs.words.kind}; vocabulary {self.inputs.words.size:,}"
        return facts

    def costs(self, part: LabelledPart) -> Costs:
        """The time of one label, items asked for one at a time."""
        single = (part.select([row]) for row in spaced(len(part), TIMED))
        return Costs(median_ms(partial(self.label, one) for one in single))

    def describe(self, data: LabelledCorpus) -> dict[str, Any]:
        counts = dict.fromkeys(self.classes, 0)
        for of_item in data.train.labels:
            for name in of_item:
                counts[name] += 1
        facts: dict[str, Any] = {"source": self.inputs.kind, "labels": counts}
        return facts | ({"vocabulary": self.inputs.words.size} if self.inputs.words is not None else {})

    @property
    def source(self) -> FrontEndConfig:
        return self.inputs.front_end

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def more_options(self) -> dict[str, Any]:
        return {
            "kind": self.inputs.kind,
            "classes": self.classes,
            "many": self.many,
            "label_type": self.label_type,
            "weights": self.weights,
            "scaling": self.inputs.scaling,
        }

    def card(self) -> Card:
        more = f" and {len(self.classes) - CARD_CLASSES} more" if len(self.classes) > CARD_CLASSES else ""
        kind = self.inputs.kind
        return Card(
            f"{kind} to label",
            PIPELINES.get(kind, ""),
            f"model.predict({EXAMPLES[kind]})",
            {"Labels": ", ".join(self.classes[:CARD_CLASSES]) + more},
        )

    def save_files(self, directory: Path) -> None:
        self.inputs.save(directory)

    def _part(self, sources: Sequence[Any]) -> LabelledPart:
        places = [f"input {number}" for number in range(1, len(sources) + 1)]
        return LabelledPart(self.inputs.kind, self.many, list(sources), [()] * len(places), places)

    def _batches(self, part: LabelledPart, *, seed: int = 0, shuffle: bool = True) -> LabelledBatches:
        if part.kind != self.inputs.kind or part.many != self.many:
            own = f"{self.inputs.kind} with {'any number of labels' if self.many else 'one label each'}"
            raise InputError(f"expected {own}, found {part.kind}" + (" with several labels" if part.many else ""))
        blind = not any(part.labels)
        labels = np.zeros(len(part.labels), np.int64) if blind and not self.many else part.numbers(self.classes)
        return LabelledBatches(
            self.inputs.arrays(part.sources, lambda row: part.places[row]),
            labels,
            batch_size=self.config.batch_size,
            seed=seed,
            pictures=self.inputs.kind == "image",
            shuffle=shuffle,
        )

    def _all_scores(self, part: LabelledPart) -> np.ndarray:
        """The outputs that `SCORE` takes, of every item in order, from the model in evaluation mode."""
        if not part.sources:
            return np.zeros((0, len(self.classes)))
        with evaluating(self.model):
            return self._scores(self.model, self._batches(part, shuffle=False), len(part.sources))

    @torch.no_grad()
    def _scores(self, model: nn.Module, batches: LabelledBatches, count: int) -> np.ndarray:
        """Log-probabilities (N, C) of the items in order, or with any number of labels log-odds."""
        scores = np.empty((count, len(self.classes)))
        for batch in batches.epoch(0):
            batch = batch.to(self.device)
            logits = model(batch.source, batch.source_mask).double()  # (B, C)
            values = logits if self.many else torch.log_softmax(logits, 1)
            scores[list(batch.rows)] = values.cpu().numpy()
        return scores
