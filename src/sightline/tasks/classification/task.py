"""Texts, series, sounds or pictures to labels: an encoder, pooled, trained on labelled items."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline
from sightline.core.modes import evaluating
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import SourceKind, read_labelled
from sightline.models.encoder_model import EncoderModel
from sightline.models.store import CONFIG, LoadedModel
from sightline.parts.token_embedding import Tokens
from sightline.tasks.card import Card
from sightline.tasks.classification.augment import shifted
from sightline.tasks.classification.baselines import SCORE, label_baselines
from sightline.tasks.classification.batches import LabelledBatch, LabelledBatches
from sightline.tasks.classification.config import ClassificationConfig, ClassificationRun
from sightline.tasks.classification.inputs import VOCABULARY, Inputs, Scaling, load_vocabulary
from sightline.tasks.classification.loss import class_weights, label_loss
from sightline.tasks.task import Answer, Costs, Measured, Options, Task, timed_ms
from sightline.training.loss import Loss

TIMED = 20  # items
CARD_CLASSES = 20  # named in a model's README
PIPELINES = {"text": "text-classification", "audio": "audio-classification", "image": "image-classification"}
EXAMPLES = {"text": '["a text"]', "series": "[[0.1, 0.2, 0.3]]", "audio": '["a.wav"]', "image": '["a.png"]'}


class Labelling(NamedTuple):
    """What `ClassificationTask.label` says of one item."""

    labels: tuple[str, ...]  # one, or with any number of labels those of at least even odds
    probabilities: dict[str, float]  # of every class


@dataclass(frozen=True)
class LabelOptions(Options):
    """With the kind of source, the classes, and what is fitted to the training part."""

    kind: SourceKind
    classes: tuple[str, ...]
    many: bool
    weights: tuple[float, ...] | None
    scaling: Scaling | None


class ClassificationTask(Task[LabelledCorpus, LabelledPart, ClassificationRun]):
    """A model with the names of its classes and with what its sources become.

    classes: the names, fixed by the training part; many: whether an item may have any number of them
    weights: of the classes in the loss, None = all the same
    """

    name = "classification"
    form = "encoder"
    unit = "items"
    loss_unit = "nats/item"
    counted = "items"
    length_of = "source length (characters or steps)"
    Run: ClassVar[type[ClassificationRun]] = ClassificationRun
    Options = LabelOptions

    def __init__(
        self,
        config: ClassificationConfig,
        model: EncoderModel,
        inputs: Inputs,
        classes: tuple[str, ...],
        *,
        many: bool = False,
        weights: tuple[float, ...] | None = None,
        data: str = "",
    ) -> None:
        self.config, self.model, self.inputs = config, model, inputs
        self.classes, self.many, self.weights, self.data = classes, many, weights, data

    @classmethod
    def load_data(cls, run: ClassificationRun) -> LabelledCorpus:
        return run.load()

    @classmethod
    def read_part(cls, run: ClassificationRun) -> tuple[LabelledPart, int]:
        part = LabelledPart.of(read_labelled(Path(run.corpus.data), run.reading))
        if run.corpus.limit is not None:
            part = part.select(range(len(part.sources))[: run.corpus.limit])
        return part, len(part.sources)

    @classmethod
    def select(cls, part: LabelledPart, chosen: Sequence[int]) -> LabelledPart:
        return part.select(chosen)

    @classmethod
    def build(cls, data: LabelledCorpus, run: ClassificationRun) -> ClassificationTask:
        inputs = Inputs.fit(data.kind, data.train.sources, run.settings)
        sizes = inputs.front_end, len(data.classes)
        config, model = cls.draw(inputs.config, sizes, seed=run.training.seed, parameters=run.parameters)
        weights = class_weights(config, data.train.numbers(data.classes), data.classes)
        return cls(config, model, inputs, data.classes, many=data.many, weights=weights, data=cls.trained_on(data))

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
        if words is not None and loaded.source != Tokens(words.size):
            raise InputError(
                f"a vocabulary of {words.size} tokens, but the model reads {loaded.source}",
                where=directory / VOCABULARY,
            )
        inputs = Inputs(options.kind, config, loaded.source, words, options.scaling)
        inputs.check(place)
        model: Any = loaded.model
        return cls(config, model, inputs, classes, many=options.many, weights=options.weights, data=options.data)

    @property
    def run(self) -> ClassificationRun:
        """What a training like this one's is configured with; how its data was read only as far as the model knows."""
        return self.preset(self.arch).changed(source_kind=self.inputs.kind, settings=self.config)

    @classmethod
    def metrics(cls, data: LabelledCorpus, run: ClassificationRun) -> tuple[str, ...]:
        return "accuracy", "macro_f1", "auroc", "loss", "ece", *(["label_accuracy"] if data.many else [])

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

    def validator(self, part: LabelledPart) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: loss, accuracy and macro F1 on evenly spaced items."""
        total, most = len(part.sources), self.config.validation_items
        scored = part if total <= most else part.select(i * total // most for i in range(most))
        batches, labels = self._batches(scored, shuffle=False), scored.numbers(self.classes)

        def validate(model: nn.Module) -> dict[str, float]:
            scores = self._scores(model, batches, len(labels))
            if not np.isfinite(scores).all():
                return {"loss": float("nan")}
            found = SCORE[self.many](scores, labels, self.classes).metrics
            return {name: found[name] for name in ("loss", "accuracy", "macro_f1")}

        return validate

    def measure(self, part: LabelledPart, decoding: Any = None) -> Measured:
        """Accuracy, macro F1, AUROC, loss and calibration error; `details` has `confusion` and `reliability`."""
        labels, scores = part.numbers(self.classes), self._all_scores(part)
        found = SCORE[self.many](scores, labels, self.classes)
        outputs = tuple("|".join(self._labelling(row).labels) for row in scores)
        references = tuple("|".join(of_item) for of_item in part.labels)
        return Measured(found.metrics, found.items, outputs, references, found.details)

    def baselines(self, train: LabelledPart, part: LabelledPart) -> list[Baseline]:
        known = train.sources, train.numbers(self.classes)
        tested = part.sources, part.numbers(self.classes)
        return label_baselines(self.inputs.kind, known, tested, self.classes, self.config.sound.front_end)

    def label(self, part: LabelledPart) -> list[Labelling]:
        """The labels of a part's items and the probabilities of all classes; dropout is off."""
        return [self._labelling(row) for row in self._all_scores(part)]

    def predict(self, inputs: Any) -> list[Any]:
        """The label of each input, or with any number of labels a tuple of them.

        An input is a text; a series (T, C) as an array or a list; a sound's or a picture's path, or its array.
        """
        found = self.label(self._part([self._source(one) for one in inputs]))
        return [one.labels if self.many else one.labels[0] for one in found]

    def answer(self, inputs: Sequence[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """A label and its probability, with a tab between; of several labels `a|b` and `0.9000|0.7000`."""
        filled = [one for one in inputs if one.strip()]
        found = iter(self.label(self._part([self.inputs.read(one) for one in filled])))
        answers = []
        for one in inputs:
            if not one.strip():
                answers.append(Answer("", {"source": one, "label": None, "probabilities": None}))
                continue
            said, p = next(found)
            text = "|".join(said) + "\t" + "|".join(f"{p[name]:.4f}" for name in said)
            record = {"labels": list(said)} if self.many else {"label": said[0]}
            answers.append(Answer(text, {"source": one, **record, "probabilities": p}))
        return answers

    @classmethod
    def sources(cls, part: LabelledPart) -> list[str]:
        return [source for source in part.sources if isinstance(source, str)]

    @classmethod
    def lengths(cls, part: LabelledPart) -> list[int]:
        """Of texts in characters and of series in steps; sounds and pictures have none that says much."""
        return [len(source) for source in part.sources] if part.kind in ("text", "series") else []

    def facts(self) -> dict[str, str]:
        said = {"sources": self.inputs.kind, "classes": f"{len(self.classes):,}"}
        if self.inputs.words is not None:
            said["tokens"] = f"{self.inputs.words.kind}; vocabulary {self.inputs.words.size:,}"
        return said

    def costs(self, part: LabelledPart) -> Costs:
        """The time of one label, items asked for one at a time."""
        step = max(1, len(part.sources) // TIMED)
        times = []
        for i in range(0, len(part.sources), step)[:TIMED]:
            one = part.select([i])
            self.label(one)  # the first call is slower
            times.append(timed_ms(lambda one=one: self.label(one))[1])
        return Costs(statistics.median(times) if times else None)

    def describe(self, data: LabelledCorpus) -> dict[str, Any]:
        counts = dict.fromkeys(self.classes, 0)
        for of_item in data.train.labels:
            for name in of_item:
                counts[name] += 1
        said: dict[str, Any] = {"source": self.inputs.kind, "labels": counts}
        return said | ({"vocabulary": self.inputs.words.size} if self.inputs.words is not None else {})

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

    def _source(self, given: Any) -> Any:
        if isinstance(given, str | Path):
            return self.inputs.read(str(given))
        return given if self.inputs.kind != "series" else _as_series(given)

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
        """What `SCORE` takes, of every item in order, from the model in evaluation mode."""
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
            said = logits if self.many else torch.log_softmax(logits, 1)
            scores[list(batch.rows)] = said.cpu().numpy()
        return scores

    def _labelling(self, scores: np.ndarray) -> Labelling:
        """Of one row of `_scores`."""
        if self.many:
            p = np.exp(-np.logaddexp(0.0, -scores))
            said = tuple(name for name, odds in zip(self.classes, scores, strict=True) if odds >= 0)
        else:
            p = np.exp(scores)
            said = (self.classes[int(scores.argmax())],)
        return Labelling(said, dict(zip(self.classes, p.tolist(), strict=True)))


def _as_series(given: Any) -> np.ndarray:
    """A series (T, C) of an array or of nested lists; `InputError` where it is none."""
    try:
        series = np.asarray(given, np.float32)
    except (ValueError, TypeError):
        raise InputError("expected series of numbers, (T,) or (T, C)") from None
    if series.ndim not in (1, 2) or not len(series) or not np.isfinite(series).all():
        raise InputError(f"expected finite series (T,) or (T, C), found shape {series.shape}")
    return series if series.ndim == 2 else series[:, None]
