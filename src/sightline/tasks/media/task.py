"""Sounds and pictures to text: readers, tokenizers and an encoder-decoder that transcribe, describe and answer."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import nn

from sightline.core.config import decode as decode_config
from sightline.core.config import encode as encode_config
from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.core.state import nbytes
from sightline.data.media.corpus import AudioReader, Column, ImageReader, Kind, MediaCorpus, MediaPart, Store
from sightline.data.media.images import ImageOptions
from sightline.data.media.manifest import located
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair
from sightline.decoding.engine import DecodingConfig
from sightline.models import SequenceModel, match_parameters
from sightline.models.store import CONFIG, LoadedModel, save_model
from sightline.tasks.card import model_card
from sightline.tasks.media.baselines import media_guesses
from sightline.tasks.media.batches import Inputs, MediaBatch, MediaBatches, on_device
from sightline.tasks.media.config import MediaTextConfig, MediaTextRun, parse_sources
from sightline.tasks.media.sources import (
    check_reading,
    described,
    example,
    front_end,
    make_tokenizers,
    named,
    reading,
)
from sightline.tasks.task import Answer, Costs, Guess, Measured, Task
from sightline.tasks.texts_out.error_rates import error_rates
from sightline.tasks.texts_out.likelihood import likelihood
from sightline.tasks.texts_out.scores import TextScores, score_texts, text_metrics
from sightline.tasks.texts_out.search import TextOutput, search
from sightline.tasks.translation.task import TIMED, TOKENIZERS
from sightline.training.loss import Loss, cross_entropy

T = TypeVar("T", bound="MediaTextTask")


@dataclass(frozen=True)
class _Options:
    """What config.json holds of the task besides the model."""

    longest_output: int
    data: str
    sources: tuple[str, ...]
    settings: dict[str, Any]  # MediaTextConfig without arch and model


class MediaTextTask(Task[MediaCorpus, MediaPart, MediaTextRun]):
    """A model with its tokenizers and what it knows of its sources: what is trained, saved, loaded and used.

    `columns` are those of the sources with their kinds, in order; `longest_output` and `data` as in `TranslationTask`.
    """

    form = "encoder-decoder"
    unit = "items"
    Run: ClassVar[type[MediaTextRun]] = MediaTextRun
    accepts_decoding = True
    default_sources: ClassVar[tuple[str, ...]]
    pipeline: ClassVar[str]  # what model hubs call the job

    def __init__(
        self,
        config: MediaTextConfig,
        model: SequenceModel,
        tokenizers: TokenizerPair,
        columns: tuple[tuple[str, Kind], ...],
        *,
        longest_output: int,
        data: str = "",
    ) -> None:
        self.config = config
        self.model = model
        self.tokenizers = tokenizers
        self.columns = columns
        self.longest_output = longest_output
        self.data = data

    @classmethod
    def preset(cls, arch: str) -> MediaTextRun:
        return MediaTextRun.preset(arch, task=cls.name, sources=cls.default_sources)

    @classmethod
    def load_data(cls, run: MediaTextRun) -> MediaCorpus:
        if not run.data:
            raise InputError(f"no data named: give a manifest, a table with {named(run)}", where="--data")
        return reading(run).corpus(run.data, run.valid, run.test, seed=run.data_seed)

    @classmethod
    def read_part(cls, run: MediaTextRun) -> tuple[MediaPart, int]:
        part, _ = reading(run).read(run.data)
        return part, len(part)

    @classmethod
    def select(cls, part: MediaPart, chosen: Sequence[int]) -> MediaPart:
        return part.select(chosen)

    @classmethod
    def build(cls: type[T], data: MediaCorpus, run: MediaTextRun) -> T:
        if not len(data.train):
            raise InputError(f"no training {cls.unit}", where=data.name)
        columns = parse_sources(run.sources)
        config = run.settings
        for column in data.train.columns:
            if column.kind == "image":
                shapes = [column.shape(row) for row in range(len(column))]
                config = replace(config, picture=config.picture.settled(shapes))
        texts = [text for column in data.train.columns for text in column.texts]
        tokenizers = make_tokenizers(texts, data.train.targets, config)
        source = front_end(columns, config, tokenizers)
        sizes = source, tokenizers.target.size
        if run.parameters is not None:
            config = replace(config, model=match_parameters(config.model, run.parameters, *sizes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(run.seed, "init"))
            model = config.model.build(*sizes)
        longest = max(map(len, tokenizers.target.encode_batch(data.train.targets)))
        return cls(
            config,
            model,
            tokenizers,
            columns,
            longest_output=longest + longest // 4 + 8,  # room for what is longer than anything seen in training
            data=f"{data.name}: {len(data.train):,} {cls.unit}, sha256 of the data {data.sha256}",
        )

    @property
    def run(self) -> MediaTextRun:
        """What a training like this one's is configured with."""
        names = tuple(f"{name}:{kind}" for name, kind in self.columns)
        settings = {name: getattr(self.config, name) for name in MediaTextConfig.__dataclass_fields__}
        return replace(self.preset(self.arch), sources=names, **settings)

    @classmethod
    def metrics(cls, data: MediaCorpus, run: MediaTextRun) -> tuple[str, ...]:
        return (*text_metrics(data.train.targets), "cer", "wer")

    def batches(self, part: MediaPart, *, seed: int) -> MediaBatches:
        """Shuffled training batches of the items."""
        return self._batches(part, self.config.batch_tokens, seed=seed)

    def loss(self, model: nn.Module, batch: MediaBatch) -> Loss:
        """Cross entropy of each next target token, given the source and the tokens before it (teacher forcing)."""
        logits = model(batch.source, batch.source_mask, batch.target[:, :-1])  # (B, T, V)
        labels, mask = batch.target[:, 1:], batch.target_mask[:, 1:]
        return cross_entropy(logits, labels, mask, epsilon=self.config.label_smoothing, smoothing=self.config.smoothing)

    def validator(self, part: MediaPart) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: the metrics of `measure`, on evenly spaced items and greedy outputs of some."""
        scored = spaced(part, self.config.validation_items)
        decoded = spaced(part, self.config.validation_outputs)

        def validate(model: nn.Module) -> dict[str, float]:
            measured = likelihood(model, self._all_of(scored), self.device).metrics
            if not math.isfinite(measured["loss"]):
                return measured  # a model that has diverged says nothing
            outputs = [found.text for found in self.outputs(decoded)]
            return {**measured, **_scores(outputs, decoded.targets).metrics}

        return validate

    def outputs(self, part: MediaPart, decoding: DecodingConfig | None = None, *, first: int = 0) -> list[TextOutput]:
        """An output for each item, in order; `first` is the number of the first one in the random stream."""
        inputs = self._inputs(part)
        return search(
            self.model,
            lambda rows: self._begin(inputs, rows),
            inputs.positions,
            self.tokenizers.target,
            decoding,
            longest=self.longest_output,
            names=range(first, first + len(part)),
        )

    def predict(self, inputs: Sequence[Any], decoding: DecodingConfig | None = None) -> list[str]:
        """A text for each input: the path of a file, or, of several sources, a tuple of paths and texts in order."""
        return [found.text for found in self.outputs(self._part(inputs), decoding)]

    def answer(self, inputs: Sequence[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """As `Task.answer`; of several sources an input is a line of paths and texts with tabs between."""
        if not inputs:
            return []
        found = self.outputs(self._part([line.split("\t") for line in inputs]), decoding, first=first)
        return [
            Answer(
                output.text,
                {"source": source, "output": output.text, "score": output.score, "finished": output.finished},
                output.finished,
            )
            for source, output in zip(inputs, found, strict=True)
        ]

    def measure(self, part: MediaPart, decoding: Any = None) -> Measured:
        """Character and word error rate, exact match, BLEU and chrF of decoded outputs; loss, perplexity and token
        accuracy of the references under the model.
        """
        if not len(part):
            raise InputError(f"no {self.unit} to evaluate on")
        outputs = [output.text for output in self.outputs(part, decoding)]
        scores = _scores(outputs, part.targets)
        training = self.model.training
        self.model.eval()
        measured = likelihood(self.model, self._all_of(part), self.device)
        self.model.train(training)
        return Measured(
            {**scores.metrics, **measured.metrics},
            {**scores.items, **measured.items},
            tuple(outputs),
            part.targets,
            {"signatures": scores.signatures},
        )

    def guesses(self, train: MediaPart, part: MediaPart) -> list[Guess]:
        found = media_guesses(train, part, self.config)
        return [Guess(one.name, one.description, _scores(one.outputs, part.targets).metrics) for one in found]

    @classmethod
    def sources(cls, part: MediaPart) -> list[str]:
        return [" · ".join(column.shown(row) for column in part.columns) for row in range(len(part))]

    def facts(self) -> dict[str, str]:
        target = self.tokenizers.target
        kinds = ", ".join(f"{name} ({kind})" for name, kind in self.columns)
        return {"sources": kinds, "tokens": f"{target.kind}; vocabulary {target.size:,}"}

    def costs(self, part: MediaPart) -> Costs:
        """Greedy decoding per output token, reading and encoding included, and the decoder's state for the item of the
        middle length after all of its target.
        """
        positions = self._inputs(part).positions
        middle = sorted(range(len(part)), key=lambda row: (positions[row], row))[len(part) // 2]
        target = self.tokenizers.target.encode(part.targets[middle])
        state = self._begin(self._inputs(part.select([middle])), [0])
        with torch.no_grad():
            _, state = self.model.decode(torch.tensor([[Tokenizer.BOS, *target]], device=self.device), state)
        return Costs(
            self._ms_per_token(spaced(part, TIMED)),
            "token",
            nbytes(state),
            f"{positions[middle]} positions and {len(target)} target tokens in",
        )

    def _ms_per_token(self, part: MediaPart) -> float:
        self.outputs(part.select([0]))  # the first call is slower
        times = []
        for row in range(len(part)):
            began = time.perf_counter()
            (output,) = self.outputs(part.select([row]))
            seconds = time.perf_counter() - began
            times.append(1000 * seconds / (len(self.tokenizers.target.encode(output.text)) + output.finished or 1))
        return statistics.median(times)

    def describe(self, data: MediaCorpus) -> dict[str, Any]:
        batches = self.batches(data.train, seed=0)
        positions = self._inputs(data.train).positions
        return {
            "vocabulary": self.tokenizers.target.size,
            "positions": {"mean": round(float(np.mean(positions)), 1), "longest": max(positions)},
            "tokens_per_epoch": batches.tokens,
            "batches_per_epoch": len(batches.epoch(0)),
        }

    def write(self, directory: Path) -> None:
        settings = encode_config(self.config)
        sizes = settings.pop("model")
        del settings["arch"]
        target = self.tokenizers.target
        names = tuple(f"{name}:{kind}" for name, kind in self.columns)
        save_model(
            directory,
            self.model,
            self.config.model,
            front_end(self.columns, self.config, self.tokenizers),
            target.size,
            form=self.form,
            arch=self.arch,
            task=self.name,
            options=encode_config(_Options(self.longest_output, self.data, names, settings)),
            card=model_card(
                self,
                sizes,
                f"{' and '.join(kind for _, kind in self.columns)} to text",
                self.pipeline,
                facts={"Reads": described(self.columns, self.config), "Tokens": f"{target.kind}, {target.size:,}"},
                example=f"model.predict([{example(self.columns)}])",
                files=", `tokenizer.json` the vocabularies",
            ),
        )
        self.tokenizers.save(directory / TOKENIZERS)

    @classmethod
    def read(cls: type[T], directory: Path, found: LoadedModel) -> T:
        place = f"{directory / CONFIG}: options"
        options = decode_config(_Options, found.options, where=place)
        for name in ("arch", "model"):
            if name in options.settings:
                raise InputError("unknown key", where=f"{place}.settings.{name}")
        base = replace(MediaTextRun.preset(found.arch).settings, model=found.config)
        config = decode_config(MediaTextConfig, options.settings, where=f"{place}.settings", base=base)
        if options.longest_output < 1:
            raise InputError(f"longest_output must be at least 1, found {options.longest_output}", where=place)
        with located(place):
            columns = parse_sources(options.sources)
        tokenizers = TokenizerPair.load(directory / TOKENIZERS)
        try:
            expected = front_end(columns, config, tokenizers)
        except ValueError as error:
            raise InputError(str(error), where=place) from None
        if found.source != expected:
            raise InputError(f"settings for {expected}, but the model reads {found.source}", where=place)
        if found.outputs != tokenizers.target.size:
            raise InputError(
                f"a vocabulary of {tokenizers.target.size} tokens, but the model has {found.outputs}",
                where=directory / TOKENIZERS,
            )
        assert isinstance(found.model, SequenceModel)
        return cls(config, found.model, tokenizers, columns, longest_output=options.longest_output, data=options.data)

    def _part(self, inputs: Sequence[Any]) -> MediaPart:
        """Items of files and texts that are named one by one."""
        rows = [[given] if isinstance(given, (str, Path)) else list(given) for given in inputs]
        names = [name for name, _ in self.columns]
        for number, row in enumerate(rows, 1):
            if len(row) != len(names):
                raise InputError(
                    f"expected {len(names)} values ({', '.join(names)}), found {len(row)}", where=f"input {number}"
                )
        columns = []
        for place, (name, kind) in enumerate(self.columns):
            if kind == "text":
                columns.append(Column(name, kind, tuple(str(row[place]) for row in rows)))
            else:
                reader = AudioReader(self.config.sound.reading) if kind == "audio" else ImageReader(self._image_options)
                store = Store(reader)
                numbers = tuple(store.add(Path(row[place]), f"input {n}") for n, row in enumerate(rows, 1))
                columns.append(Column(name, kind, (), store, numbers))
        places = tuple(f"input {number}" for number in range(1, len(rows) + 1))
        return MediaPart(tuple(columns), ("",) * len(rows), places)

    @property
    def _image_options(self) -> ImageOptions:
        return self.config.picture.reading

    def _inputs(self, part: MediaPart) -> Inputs:
        """The part's sources, once it is known that they are such as the model was trained on."""
        kinds = [kind for _, kind in self.columns]
        found = [column.kind for column in part.columns]
        if found != kinds:
            raise InputError(f"expected sources of kind {', '.join(kinds)}, found {', '.join(found)}", where="sources")
        for column in part.columns:
            if column.store is not None:
                check_reading(column, part, self.config)
        return Inputs(part.columns, self.config, self.tokenizers.source)

    def _batches(self, part: MediaPart, max_tokens: int, *, seed: int = 0, shuffle: bool = True) -> MediaBatches:
        target_ids = self.tokenizers.target.encode_batch(part.targets)
        return MediaBatches(part, self._inputs(part), target_ids, max_tokens=max_tokens, seed=seed, shuffle=shuffle)

    def _all_of(self, part: MediaPart) -> Iterator[MediaBatch]:
        """Every item in batches to score, however long, on the model's device."""
        positions = self._inputs(part).positions
        lengths = [len(ids) + 2 for ids in self.tokenizers.target.encode_batch(part.targets)]
        batches = self._batches(part, max(self.config.batch_tokens, *positions, *lengths), shuffle=False)
        for batch in batches.epoch(0):
            yield batches.filled(batch).to(self.device)

    def _begin(self, inputs: Inputs, rows: list[int]) -> Any:
        """The decoder's state before the first token for these items."""
        source, mask = on_device(*inputs.batch(rows), self.device)
        return self.model.initial_state(self.model.encode(source, mask))


def spaced(part: MediaPart, most: int) -> MediaPart:
    """At most `most` of the items, evenly spaced over them."""
    total = len(part)
    return part if total <= most else part.select([i * total // most for i in range(most)])


def _scores(outputs: Sequence[str], references: Sequence[str]) -> TextScores:
    """Error rates, exact match, BLEU and chrF."""
    rates, texts = error_rates(outputs, references), score_texts(outputs, references)
    return TextScores({**rates.metrics, **texts.metrics}, {**rates.items, **texts.items}, texts.signatures)
