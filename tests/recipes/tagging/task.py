"""Tagging: a tag for each word of a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.core.settings import flat, key
from sightline.core.suggest import look_up
from sightline.data.batches import Batch, PairBatches
from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.models import ENCODERS, SizedConfig
from sightline.models.store import LoadedModel
from sightline.parts.token_embedding import Tokens
from sightline.tasks.run import RunConfig, TaskConfig
from sightline.tasks.saved import Options
from sightline.tasks.task import Task
from sightline.tasks.translation.config import PairsConfig
from sightline.training.loss import Loss, cross_entropy
from sightline.training.measured import Measured

UNKNOWN = 0


@dataclass(frozen=True)
class TaggingConfig(TaskConfig):
    form = "encoder"

    arch: str = key("transformer", "Architecture.")
    model: SizedConfig = key(ENCODERS["transformer"], "Sizes of the model.")
    vocabulary: int = key(20_000, "Most words that the model knows.", at_least=1)
    batch_tokens: int = key(1024, "Most padded words of a training batch.", at_least=1)


@dataclass(frozen=True)
class TaggingRun(RunConfig):
    corpus: PairsConfig = flat(PairsConfig())
    settings: TaggingConfig = flat(TaggingConfig())


@dataclass(frozen=True)
class TaggingOptions(Options):
    words: tuple[str, ...]
    tags: tuple[str, ...]


class TaggingTask(Task[PairCorpus, Pairs, TaggingRun]):
    """An encoder with its vocabulary and its tags; white space divides sources into words and targets into tags."""

    name, form, unit, counted = "tagging", "encoder", "texts", "words"
    Run, Options = TaggingRun, TaggingOptions

    def __init__(self, config: TaggingConfig, model: nn.Module, words: Sequence[str], tags: Sequence[str], data: str):
        self.config, self.model, self.data, self.words, self.tags = config, model, data, tuple(words), tuple(tags)
        self.word_ids = {word: number for number, word in enumerate(words, UNKNOWN + 1)}
        self.tag_ids = {tag: number for number, tag in enumerate(tags)}

    @classmethod
    def architectures(cls) -> Mapping[str, SizedConfig]:
        return ENCODERS

    @classmethod
    def load_data(cls, run: TaggingRun) -> PairCorpus:
        data = run.corpus.load()
        for table in data.reading.tables(data.files):
            for line, source, target in zip(table.lines, *table.pairs.sides, strict=True):
                if (words := len(source.split())) != (tags := len(target.split())):
                    raise InputError(f"{words} words, but {tags} tags", where=f"{table.name}:{line}")
        return data

    @classmethod
    def build(cls, data: PairCorpus, run: TaggingRun) -> TaggingTask:
        words = Counter(word for source in data.train.sources for word in source.split())
        known = [word for word, _ in words.most_common(run.settings.vocabulary)]
        tags = sorted({tag for target in data.train.targets for tag in target.split()})
        sizes = Tokens(1 + len(known)), len(tags)
        config, model = cls.draw(run.settings, sizes, run)
        return cls(config, model, known, tags, cls.trained_on(data))

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: TaggingConfig, options: TaggingOptions):
        return cls(config, loaded.model, options.words, options.tags, options.data)

    @property
    def source(self) -> Tokens:
        return Tokens(1 + len(self.words))

    @property
    def outputs(self) -> int:
        return len(self.tags)

    def more_options(self) -> dict[str, Any]:
        return {"words": self.words, "tags": self.tags}

    @classmethod
    def metrics(cls, data: PairCorpus, run: TaggingRun) -> tuple[str, ...]:
        return "token_accuracy", "exact_match", "loss"

    @classmethod
    def sources(cls, part: Pairs) -> list[str]:
        return part.sources

    def batches(self, part: Pairs, *, seed: int, shuffle: bool = True) -> PairBatches:
        words = [[self.word_ids.get(word, UNKNOWN) for word in source.split()] for source in part.sources]
        tags = [[look_up(self.tag_ids, tag, "tag") for tag in target.split()] for target in part.targets]
        return PairBatches(words, tags, max_tokens=self.config.batch_tokens, seed=seed, shuffle=shuffle)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        tags = batch.target[:, 1:-1]  # without the first and the last, which `PairBatches` puts around a target
        return cross_entropy(model(batch.source, batch.source_mask), tags, batch.source_mask)

    def measure(self, part: Pairs, decoding: Any = None) -> Measured:
        rows, outputs = [], []
        for target, scores in zip(part.targets, self.scores(part), strict=True):
            gold, best = torch.tensor([self.tag_ids[tag] for tag in target.split()]), scores.argmax(1)
            right, nats = int((best == gold).sum()), -float(scores.gather(1, gold.unsqueeze(1)).sum())
            rows.append((right, len(gold), right == len(gold), 1, nats, len(gold)))
            outputs.append(self.text(best))
        columns = np.array(rows, float)
        items = {"token_accuracy": columns[:, :2], "exact_match": columns[:, 2:4], "loss": columns[:, 4:]}
        metrics = {name: float(counts[:, 0].sum() / counts[:, 1].sum()) for name, counts in items.items()}
        return Measured(metrics, items, tuple(outputs), tuple(part.targets))

    def predict_list(self, inputs: Sequence[str], decoding: Any = None) -> list[str]:
        texts = [text.lower() for text in inputs] if self.reading.get("lowercase") else list(inputs)
        return [self.text(scores.argmax(1)) for scores in self.scores(Pairs(texts, [""] * len(texts)))]

    def text(self, numbers: Iterable[Any]) -> str:
        return " ".join(self.tags[int(number)] for number in numbers)

    @torch.no_grad()
    def scores(self, part: Pairs) -> list[Tensor]:
        """Log-probabilities (T, C) of the tags of each text."""
        scores = [torch.zeros(0, self.outputs)] * len(part)
        with evaluating(self.model):
            for batch in self.batches(part, seed=0, shuffle=False).epoch() if len(part) else ():
                moved = batch.to(self.device)
                logits = self.model(moved.source, moved.source_mask).log_softmax(2).cpu()
                for row, one, mask in zip(batch.rows, logits, batch.source_mask, strict=True):
                    scores[row] = one[mask]
        return scores
