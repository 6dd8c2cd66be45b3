"""Text to text: tokenizers and an encoder-decoder, trained on pairs, that translate, transliterate or normalise."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from sightline.core.config import decode as decode_config
from sightline.core.config import encode as encode_config
from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.core.state import nbytes
from sightline.data.batches import Batch, PairBatches, pad
from sightline.data.pairs.corpus import Corpus, Pairs, read_pairs
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair
from sightline.decoding.engine import DecodingConfig
from sightline.models import SequenceModel, match_parameters
from sightline.models.store import CONFIG, LoadedModel, save_model
from sightline.parts.token_embedding import Tokens
from sightline.tasks.card import model_card
from sightline.tasks.rates import optim_preset
from sightline.tasks.run import values_of
from sightline.tasks.task import Answer, Costs, Guess, Measured, Task
from sightline.tasks.texts_out.baselines import guesses
from sightline.tasks.texts_out.likelihood import likelihood
from sightline.tasks.texts_out.scores import score_texts, text_metrics
from sightline.tasks.texts_out.search import TextOutput, search
from sightline.tasks.translation.config import TranslationConfig, TranslationRun
from sightline.training.loss import Loss, cross_entropy

TOKENIZERS = "tokenizer.json"
TIMED = 20  # texts


@dataclass(frozen=True)
class _Options:
    """What config.json holds of the task besides the model."""

    longest_output: int
    data: str
    settings: dict[str, Any]  # TranslationConfig without arch and model


class TranslationTask(Task[Corpus, Pairs, TranslationRun]):
    """A model with its tokenizers: what is trained, saved, loaded and used.

    `longest_output` is the most tokens of an output where decoding names no other limit; `data` says what the model
    was trained on, in a line.
    """

    name = "translation"
    form = "encoder-decoder"
    unit = "pairs"
    length_of = "source length (characters)"
    shows_attention = True
    Run: ClassVar[type[TranslationRun]] = TranslationRun
    accepts_decoding = True

    def __init__(
        self,
        config: TranslationConfig,
        model: SequenceModel,
        tokenizers: TokenizerPair,
        *,
        longest_output: int,
        data: str = "",
    ) -> None:
        self.config = config
        self.model = model
        self.tokenizers = tokenizers
        self.longest_output = longest_output
        self.data = data

    @classmethod
    def preset(cls, arch: str) -> TranslationRun:
        settings = TranslationConfig.preset(arch)
        return TranslationRun(**values_of(settings), optim=optim_preset(arch))

    @classmethod
    def load_data(cls, run: TranslationRun) -> Corpus:
        return run.corpus.load()

    @classmethod
    def read_part(cls, run: TranslationRun) -> tuple[Pairs, int]:
        pairs = read_pairs(
            run.data, source_column=run.source_column, target_column=run.target_column, skip_bad=run.skip_bad
        )
        lower = str.lower if run.lowercase else str
        sides = [[lower(text) for text in texts[: run.limit]] for texts in pairs]
        return Pairs(*sides), len(sides[0])

    @classmethod
    def select(cls, part: Pairs, chosen: Sequence[int]) -> Pairs:
        return Pairs([part.sources[i] for i in chosen], [part.targets[i] for i in chosen])

    @classmethod
    def build(cls, data: Corpus, run: TranslationRun) -> TranslationTask:
        return cls.create(data, run.settings, seed=run.seed, parameters=run.parameters)

    @classmethod
    def load_prepared(cls, run: TranslationRun, directory: Path) -> Corpus:
        kept = directory / "pairs.json"
        if not kept.exists():
            corpus = cls.load_data(run)
            parts = {part: list(getattr(corpus, part)) for part in ("train", "valid", "test")}
            content = {"name": corpus.name, "sha256": corpus.sha256, "notes": corpus.notes, **parts}
            kept.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
            return corpus
        content = json.loads(kept.read_text(encoding="utf-8"))
        train, valid, test = (Pairs(*content[part]) for part in ("train", "valid", "test"))
        return Corpus(content["name"], train, valid, test, content["sha256"], tuple(content["notes"]))

    @classmethod
    def build_prepared(cls, data: Corpus, run: TranslationRun, directory: Path) -> TranslationTask:
        kept = directory / ("shared-tokenizer.json" if run.tokenizer.shared else "tokenizer.json")
        known = TokenizerPair.load(kept) if kept.exists() else None
        task = cls.create(data, run.settings, seed=run.seed, parameters=run.parameters, tokenizers=known)
        if known is None:
            task.tokenizers.save(kept)
        return task

    @classmethod
    def sources(cls, part: Pairs) -> list[str]:
        return part.sources

    @classmethod
    def lengths(cls, part: Pairs) -> list[int]:
        return [len(source) for source in part.sources]

    @classmethod
    def create(
        cls,
        corpus: Corpus,
        config: TranslationConfig,
        *,
        seed: int = 0,
        parameters: int | None = None,
        tokenizers: TokenizerPair | None = None,
    ) -> TranslationTask:
        """An untrained task: tokenizers learned from the training part alone, weights drawn from `seed`.

        `parameters` scales the widths to about that many; `tokenizers` of another task on the same data may be given.
        """
        if not corpus.train.sources:
            raise InputError("no training pairs", where=corpus.name)
        tokenizers = tokenizers or TokenizerPair.train(*corpus.train, **encode_config(config.tokenizer))
        if getattr(config.model, "tie", None) == "all" and not tokenizers.shared:
            raise InputError(f"{config.arch} ties source and target embeddings: it needs tokenizer.shared")
        sizes = tokenizers.source.size, tokenizers.target.size
        if parameters is not None:
            config = replace(config, model=match_parameters(config.model, parameters, *sizes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "init"))
            model = config.model.build(*sizes)
        longest = max(map(len, tokenizers.target.encode_batch(corpus.train.targets)))
        return cls(
            config,
            model,
            tokenizers,
            longest_output=longest + longest // 4 + 8,  # room for what is longer than anything seen in training
            data=f"{corpus.name}: {len(corpus.train.sources):,} pairs, sha256 of the data {corpus.sha256}",
        )

    @classmethod
    def metrics(cls, data: Corpus, run: TranslationRun) -> tuple[str, ...]:
        return text_metrics(data.train.targets)

    def batches(self, part: Pairs, *, seed: int) -> PairBatches:
        """Shuffled training batches of the pairs."""
        return PairBatches(
            *self._encode(part),
            max_tokens=self.config.batch_tokens,
            seed=seed,
            max_length=self.config.max_length,
            too_long=self.config.too_long,
        )

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Cross entropy of each next target token, given the source and the tokens before it (teacher forcing)."""
        logits = model(batch.source, batch.source_mask, batch.target[:, :-1])  # (B, T, V)
        return cross_entropy(
            logits,
            batch.target[:, 1:],
            batch.target_mask[:, 1:],
            epsilon=self.config.label_smoothing,
            smoothing=self.config.smoothing,
        )

    def validator(self, part: Pairs) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: the metrics of `measure`, on evenly spaced pairs and greedy outputs of some."""
        scored = spaced(part, self.config.validation_pairs)
        decoded = spaced(part, self.config.validation_outputs)
        batches = self._all_of(scored)

        def validate(model: nn.Module) -> dict[str, float]:
            measured = likelihood(model, batches, self.device).metrics
            if not math.isfinite(measured["loss"]):
                return measured  # a model that has diverged says nothing
            outputs = [found.text for found in self.translate(decoded.sources)]
            return {**measured, **score_texts(outputs, decoded.targets).metrics}

        return validate

    def translate(
        self, texts: Sequence[str], decoding: DecodingConfig | None = None, *, first: int = 0
    ) -> list[TextOutput]:
        """An output for each text, in order; a text without tokens gives an empty one.

        `first` is the number of the first text in the random stream, so that texts sampled in several calls get what
        one call would give them. Dropout is off, whatever mode the model is in.
        """
        ids = self.tokenizers.source.encode_batch(texts)
        rows = [row for row, tokens in enumerate(ids) if tokens]
        outputs = search(
            self.model,
            lambda chosen: self._begin([ids[rows[i]] for i in chosen]),
            [len(ids[row]) for row in rows],
            self.tokenizers.target,
            decoding,
            longest=self.longest_output,
            names=[first + row for row in rows],
        )
        found = [TextOutput("", 0.0, True)] * len(ids)
        for row, output in zip(rows, outputs, strict=True):
            found[row] = output
        return found

    def predict(self, inputs: Sequence[str], decoding: DecodingConfig | None = None) -> list[str]:
        """The texts that `translate` gives; greedy without `decoding`."""
        return [found.text for found in self.translate(inputs, decoding)]

    def answer(self, inputs: Sequence[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        found = self.translate(inputs, decoding, first=first)
        return [
            Answer(
                output.text,
                {"source": source, "output": output.text, "score": output.score, "finished": output.finished},
                output.finished,
            )
            for source, output in zip(inputs, found, strict=True)
        ]

    def measure(self, part: Pairs, decoding: Any = None) -> Measured:
        """Exact match, BLEU and chrF of the outputs; loss, perplexity and token accuracy of the references."""
        if not part.sources:
            raise InputError("no pairs to evaluate on")
        outputs = [output.text for output in self.translate(part.sources, decoding)]
        scores = score_texts(outputs, part.targets)
        training = self.model.training
        self.model.eval()
        measured = likelihood(self.model, self._all_of(part), self.device)
        self.model.train(training)
        return Measured(
            {**scores.metrics, **measured.metrics},
            {**scores.items, **measured.items},
            tuple(outputs),
            tuple(part.targets),
            {"signatures": scores.signatures},
        )

    def guesses(self, train: Pairs, part: Pairs) -> list[Guess]:
        found = guesses(*train, part.sources)
        return [Guess(one.name, one.description, score_texts(one.outputs, part.targets).metrics) for one in found]

    def facts(self) -> dict[str, str]:
        tokens = self.tokenizers
        sizes = f"vocabulary {tokens.source.size:,} source, {tokens.target.size:,} target"
        return {"tokens": f"{tokens.source.kind}; {sizes}"}

    def costs(self, part: Pairs) -> Costs:
        """Greedy decoding per output token, and the decoder's state for the pair of the middle source length."""
        ids = self.tokenizers.source.encode_batch(part.sources)
        middle = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))[len(ids) // 2]
        source, target = ids[middle], self.tokenizers.target.encode(part.targets[middle])
        return Costs(
            self.ms_per_token(spaced(part, TIMED).sources),
            "token",
            self.state_bytes(source, target),
            f"{len(source)} source and {len(target)} target tokens in",
        )

    def ms_per_token(self, sources: Sequence[str]) -> float | None:
        """Median over texts of greedy decoding time per output token, end token counted, one text at a time."""
        self.translate(sources[:2])  # first calls are slower
        times = []
        for source in sources:
            began = time.perf_counter()
            (output,) = self.translate([source])
            seconds = time.perf_counter() - began
            times.append(1000 * seconds / (len(self.tokenizers.target.encode(output.text)) + output.finished or 1))
        return statistics.median(times) if times else None

    @torch.no_grad()
    def state_bytes(self, source: list[int], target: list[int]) -> int:
        """Bytes of the decoder's state for one source after its start token and all of `target`."""
        read = torch.tensor([source], device=self.device)  # (1, M)
        fed = torch.tensor([[Tokenizer.BOS, *target]], device=self.device)  # (1, T)
        state = self.model.initial_state(self.model.encode(read, torch.ones_like(read, dtype=torch.bool)))
        _, state = self.model.decode(fed, state)
        return nbytes(state)

    def describe(self, data: Corpus) -> dict[str, Any]:
        batches = self.batches(data.train, seed=0)
        return {
            "vocabularies": [self.tokenizers.source.size, self.tokenizers.target.size],
            "tokens_per_epoch": batches.tokens,
            "batches_per_epoch": len(batches.epoch(0)),
        }

    def write(self, directory: Path) -> None:
        """Writes the model's files into an existing directory, as `training.train` asks of `save_model`."""
        settings = encode_config(self.config)
        sizes = settings.pop("model")
        del settings["arch"]
        tokens = self.tokenizers
        kinds = f"{tokens.source.kind}, {tokens.source.size:,} in the source and {tokens.target.size:,} in the target"
        save_model(
            directory,
            self.model,
            self.config.model,
            Tokens(tokens.source.size),
            tokens.target.size,
            form=self.form,
            arch=self.arch,
            task=self.name,
            options=encode_config(_Options(self.longest_output, self.data, settings)),
            card=model_card(
                self,
                sizes,
                "text to text",
                "translation",
                facts={"Tokens": kinds},
                example='model.predict(["a text"])',
                files=", `tokenizer.json` the vocabularies",
            ),
        )
        tokens.save(directory / TOKENIZERS)

    @classmethod
    def read(cls, directory: Path, found: LoadedModel) -> TranslationTask:
        place = f"{directory / CONFIG}: options"
        options = decode_config(_Options, found.options, where=place)
        for name in ("arch", "model"):
            if name in options.settings:
                raise InputError("unknown key", where=f"{place}.settings.{name}")
        base = TranslationConfig.preset(found.arch, model=found.config)
        config = decode_config(TranslationConfig, options.settings, where=f"{place}.settings", base=base)
        if options.longest_output < 1:
            raise InputError(f"longest_output must be at least 1, found {options.longest_output}", where=place)
        tokenizers = TokenizerPair.load(directory / TOKENIZERS)
        if not isinstance(found.model, SequenceModel) or not isinstance(found.source, Tokens):
            raise InputError(f"a model of {found.source} translates no text", where=directory / CONFIG)
        sizes = tokenizers.source.size, tokenizers.target.size
        expected = found.source.vocabulary, found.outputs
        if sizes != expected:
            raise InputError(
                f"vocabularies of {sizes[0]} and {sizes[1]} tokens, but the model has {expected[0]} and {expected[1]}",
                where=directory / TOKENIZERS,
            )
        return cls(config, found.model, tokenizers, longest_output=options.longest_output, data=options.data)

    def _encode(self, pairs: Pairs) -> tuple[list[list[int]], list[list[int]]]:
        return self.tokenizers.source.encode_batch(pairs.sources), self.tokenizers.target.encode_batch(pairs.targets)

    def _all_of(self, pairs: Pairs) -> list[Batch]:
        """Every pair in batches to score, however long."""
        source_ids, target_ids = self._encode(pairs)
        longest = max(len(ids) + 2 for ids in source_ids + target_ids)  # with BOS and EOS
        largest = max(self.config.batch_tokens, longest)
        return PairBatches(source_ids, target_ids, max_tokens=largest, seed=0, shuffle=False).epoch(0)

    def _begin(self, source_ids: list[list[int]]) -> Any:
        """The decoder's state before the first token of each of these sources."""
        source, mask = pad(source_ids)
        memory = self.model.encode(source.to(self.device), mask.to(self.device))
        return self.model.initial_state(memory)


def spaced(pairs: Pairs, most: int) -> Pairs:
    """At most `most` of the pairs, evenly spaced over them, so that a sorted file is sampled throughout."""
    total = len(pairs.sources)
    if total <= most:
        return pairs
    chosen = [i * total // most for i in range(most)]
    return Pairs([pairs.sources[i] for i in chosen], [pairs.targets[i] for i in chosen])
