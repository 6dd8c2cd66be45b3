"""A classifier: a model that labels new texts, series, sounds or pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.modes import evaluating
from sightline.data.inputs import InputTable
from sightline.data.labelled.columns import UNKNOWN, LabelledColumns
from sightline.data.labelled.labels import LabelType, label_values
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import SourceKind
from sightline.models.store import CONFIG, LoadedModel
from sightline.parts.positions import position_limit
from sightline.tasks.card import Card
from sightline.tasks.classification.batches import LabelledBatches
from sightline.tasks.classification.config import ClassificationConfig
from sightline.tasks.classification.input_table import labelled_inputs
from sightline.tasks.classification.inputs import VOCABULARY, LabelledInputs, Scaling, load_vocabulary
from sightline.tasks.classification.labelling import Labelling
from sightline.tasks.outcomes import Answer
from sightline.tasks.saved import Options

CARD_CLASSES = 20  # named in a model's README
PIPELINES = {"text": "text-classification", "audio": "audio-classification", "image": "image-classification"}
EXAMPLES = {"text": '"a text"', "series": "[[0.1, 0.2, 0.3]]", "audio": '"a.wav"', "image": '"a.png"'}


@final
@dataclass(frozen=True)
class LabelOptions(Options):
    """Stored options: the kind of source, the classes and their type, the scaling fitted to the training part, the
    columns of the training table, and whether its pictures are grey.
    """

    kind: SourceKind
    classes: tuple[str, ...]
    many: bool
    weights: tuple[float, ...] | None
    scaling: Scaling | None
    label_type: LabelType = field(default="text", kw_only=True)  # models of version 0.1.0 have none of these
    columns: LabelledColumns = field(default=UNKNOWN, kw_only=True)
    grey: bool = field(default=False, kw_only=True)

    def check(self, outputs: int, place: str) -> None:
        """Raises `InputError` where a model with this many outputs cannot have these classes and weights."""
        if len(set(self.classes)) != outputs or len(self.classes) != outputs:
            raise InputError(f"{len(self.classes)} classes, but the model has {outputs} outputs", where=place)
        if self.weights is not None and len(self.weights) != len(self.classes):
            raise InputError(f"{len(self.weights)} weights of {len(self.classes)} classes", where=place)


@final
class Classifier:
    """A model with the names of its classes and its inputs.

    model: from sources and their mask to a row of numbers for each item, (B, C)
    classes: the names, fixed by the training part; many: whether an item may have any number of them
    label_type: of the values that have these names, which `predict_list` returns
    columns: those of the training table, by which other tables are read
    weights: of the classes in the training loss, None = all the same
    """

    def __init__(
        self,
        config: ClassificationConfig,
        model: nn.Module,
        inputs: LabelledInputs,
        classes: tuple[str, ...],
        *,
        many: bool = False,
        label_type: LabelType = "text",
        columns: LabelledColumns = UNKNOWN,
        weights: tuple[float, ...] | None = None,
    ) -> None:
        self.config, self.model, self.inputs = config, model, inputs
        self.classes, self.many, self.weights = classes, many, weights
        self.label_type, self._values = label_type, label_values(classes, label_type)
        self.columns = columns

    @classmethod
    def restore(
        cls, directory: Path, loaded: LoadedModel, config: ClassificationConfig, options: LabelOptions
    ) -> Classifier:
        """The classifier of a model directory; `InputError` where model, options and vocabulary do not fit."""
        place = f"{directory / CONFIG}: options"
        options.check(loaded.outputs, place)
        words = load_vocabulary(directory / VOCABULARY) if options.kind == "text" else None
        if words is not None and loaded.source != config.fitted(options.kind, vocabulary=words.size):
            raise InputError(
                f"a vocabulary of {words.size} tokens, but the model reads {loaded.source}",
                where=directory / VOCABULARY,
            )
        inputs = LabelledInputs(options.kind, config, loaded.source, words, options.scaling, grey=options.grey)
        inputs.check(place)
        model: Any = loaded.model
        labels: Any = {"many": options.many, "label_type": options.label_type, "weights": options.weights}
        try:
            return cls(config, model, inputs, options.classes, columns=options.columns, **labels)
        except InputError as error:
            raise InputError(str(error), where=place) from None

    @property
    def source(self) -> FrontEndConfig:
        return self.inputs.front_end

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def is_one(self, inputs: Any) -> bool:
        return self.inputs.is_one(inputs)

    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        """The label of each input, of the type that labels had in training, or with any number of labels a tuple.

        An input is a text; a series (T, C) as an array or a list; a sound's or a picture's path, its samples (T,), or
        its bytes (H, W), (H, W, C) or (C, H, W).
        """
        return self.outputs_of(self._part(inputs))

    def answer_list(self, inputs: list[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """A label and its probability, tab-separated; of several labels `a|b` and `0.9000|0.7000`."""
        labellings = self.label(self._part(inputs))
        return [one.answer(source, self.many) for one, source in zip(labellings, inputs, strict=True)]

    def outputs_of(self, part: LabelledPart) -> list[Any]:
        return [one.labels if self.many else one.labels[0] for one in self.label(part)]

    def label(self, part: LabelledPart) -> list[Labelling]:
        """The labels of a part's items and the probabilities of all classes; dropout is off."""
        return [Labelling.of(row, self.classes, self.many, self._values) for row in self.scores(part)]

    def scores(self, part: LabelledPart) -> np.ndarray:
        """The scores (N, C) of every item in order, from the model in evaluation mode; see `scores_by`."""
        if not part.sources:
            return np.zeros((0, len(self.classes)))
        with evaluating(self.model):
            return self.scores_by(self.model, self.batches(part, shuffle=False), len(part.sources))

    @torch.no_grad()
    def scores_by(self, model: nn.Module, batches: LabelledBatches, count: int) -> np.ndarray:
        """Log-probabilities (N, C) of the items in order, or with any number of labels log-odds.

        model: this one, or it wrapped for training, in its current state
        """
        scores, device = np.empty((count, len(self.classes))), next(self.model.parameters()).device
        for batch in batches.epoch(0):
            batch = batch.to(device)
            logits = model(batch.source, batch.source_mask).double()  # (B, C)
            values = logits if self.many else torch.log_softmax(logits, 1)
            scores[list(batch.rows)] = values.cpu().numpy()
        return scores

    def batches(self, part: LabelledPart, *, seed: int = 0, shuffle: bool = True) -> LabelledBatches:
        """Batches of the items as the model reads them.

        Raises:
            InputError: "expected text with one label each, found series"; what `LabelledInputs.arrays` raises;
                "a.csv:17: has 1030 positions, but the model reads at most 1024: …".
        """
        if part.kind != self.inputs.kind or part.many != self.many:
            own = f"{self.inputs.kind} with {'any number of labels' if self.many else 'one label each'}"
            raise InputError(f"expected {own}, found {part.kind}" + (" with several labels" if part.many else ""))
        blind = not any(part.labels)
        labels = np.zeros(len(part.labels), np.int64) if blind and not self.many else part.numbers(self.classes)
        arrays = self.inputs.arrays(part.sources, lambda row: part.places[row])
        self._check_positions(arrays, part.places)
        return LabelledBatches(
            arrays,
            labels,
            batch_size=self.config.batch_size,
            seed=seed,
            pictures=self.inputs.kind == "image",
            shuffle=shuffle,
        )

    def _check_positions(self, arrays: Sequence[np.ndarray], places: Sequence[str]) -> None:
        """Raise `InputError` for the first item with more positions than the model has learned."""
        most = position_limit(self.model)
        if most is None:
            return
        for array, place in zip(arrays, places):
            count = self.inputs.front_end.length_out(len(array))
            if count > most:
                raise InputError(
                    f"has {count} positions, but the model reads at most {most}: choose positions that are not "
                    "learned, or cut it",
                    where=place,
                )

    def _part(self, inputs: Sequence[Any]) -> LabelledPart:
        places = [f"input {number}" for number in range(1, len(inputs) + 1)]
        sources = [self.inputs.accept(value, place) for value, place in zip(inputs, places, strict=True)]
        return LabelledPart(self.inputs.kind, self.many, sources, [()] * len(places), places)

    def facts(self) -> dict[str, str]:
        facts = {"sources": self.inputs.kind, "classes": f"{len(self.classes):,}"}
        if self.inputs.words is not None:
            facts["tokens"] = f"{self.inputs.words.kind}; vocabulary {self.inputs.words.size:,}"
        return facts

    def card(self) -> Card:
        more = f" and {len(self.classes) - CARD_CLASSES} more" if len(self.classes) > CARD_CLASSES else ""
        kind = self.inputs.kind
        return Card(
            f"{kind} to label",
            PIPELINES.get(kind, ""),
            f"model.predict({EXAMPLES[kind]})",
            {"Labels": ", ".join(self.classes[:CARD_CLASSES]) + more},
        )

    @property
    def options(self) -> dict[str, Any]:
        """The fields of `LabelOptions` that `restore` takes."""
        kind, scaling = self.inputs.kind, self.inputs.scaling
        labels = {"classes": self.classes, "many": self.many, "label_type": self.label_type, "weights": self.weights}
        return {"kind": kind, **labels, "scaling": scaling, "columns": self.columns, "grey": self.inputs.grey}

    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[Any]:
        return [*labelled_inputs(table, self.inputs, reading, self.columns)]

    def save_files(self, directory: Path) -> None:
        self.inputs.save(directory)
