"""Translation, transliteration or normalisation: tokenizers and an encoder-decoder, trained on pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from sightline.core.errors import InputError
from sightline.core.metrics import Baseline
from sightline.data.batches import Batch, PairBatches
from sightline.data.corpus import sha256_of
from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.data.tokens.tokenizer import TokenizerPair
from sightline.decoding.engine import DecodingConfig
from sightline.tasks.text_inputs import text_front_end
from sightline.tasks.texts_out.baselines import text_baselines
from sightline.tasks.texts_out.task import TextsOutTask
from sightline.tasks.texts_out.writer import TextOutput, longest_output
from sightline.tasks.translation.config import TranslationRun
from sightline.tasks.translation.opened import open_source
from sightline.tasks.translation.planted import planted_pairs
from sightline.tasks.translation.prepared import prepared_pairs
from sightline.tasks.translation.translator import TranslationOptions, Translator


@final
class TranslationTask(TextsOutTask[PairCorpus, Pairs, TranslationRun, Translator]):
    """Training and measurement of a translator."""

    name = "translation"
    reads_texts = True
    unit = "pairs"
    length_of = "source length (characters)"
    shows_attention = True
    positions_are = "source"
    Run: ClassVar[type[TranslationRun]] = TranslationRun
    Options = TranslationOptions
    Trained = Translator
    opened_by = staticmethod(open_source)
    plant = planted_pairs

    @classmethod
    def build(
        cls, data: PairCorpus, run: TranslationRun, *, tokenizers: TokenizerPair | None = None
    ) -> TranslationTask:
        """See `Task.build`; the `tokenizers` of another task on the same data may be given."""
        data.check()
        if not data.train.sources:
            raise InputError("no training pairs", where=data.name)
        config, lowercase = run.settings, run.corpus.lowercase
        tokenizers = tokenizers or config.tokenizer.learn(*data.train.sides, lowercase=lowercase)
        if getattr(config.model, "tie", None) == "all" and not tokenizers.shared:
            raise InputError(f"{config.arch} ties source and target embeddings: it needs tokenizer.shared")
        sizes = text_front_end(config.front_end, tokenizers.source.size), tokenizers.target.size
        config, model = cls.draw(config, sizes, run)
        longest = longest_output(tokenizers, data.train.targets)
        return cls(Translator(config, model, tokenizers, longest, data.columns), cls.trained_on(data))

    @classmethod
    def load_prepared(cls, run: TranslationRun, directory: Path) -> PairCorpus:
        return prepared_pairs(directory, lambda: cls.load_data(run))

    @classmethod
    def build_prepared(cls, data: PairCorpus, run: TranslationRun, directory: Path) -> TranslationTask:
        kept = directory / ("shared-tokenizer.json" if run.settings.tokenizer.shared else "tokenizer.json")
        if not kept.exists():
            task = cls.build(data, run)
            task.tokenizers.save(kept)
            return task
        return cls.build(data, run, tokenizers=TokenizerPair.load(kept))

    def read_as_trained(self, run: TranslationRun) -> Pairs:
        return run.read(self.trained.columns)

    def more_options(self) -> dict[str, Any]:
        return {**super().more_options(), "columns": self.trained.columns}

    @classmethod
    def sources(cls, part: Pairs) -> list[str]:
        return part.sources

    @classmethod
    def lengths(cls, part: Pairs) -> list[int]:
        return [len(source) for source in part.sources]

    def items_sha256(self, part: Pairs) -> str:
        return sha256_of({"items": list(zip(*part.sides, strict=True))})

    @property
    def validation_size(self) -> int:
        return self.config.validation_pairs

    def batches(self, part: Pairs, *, seed: int) -> PairBatches:
        return self.fitting(
            PairBatches(
                *self._encode(part),
                max_tokens=self.config.batch_tokens,
                seed=seed,
                max_length=self.config.max_length,
                too_long=self.config.too_long,
            )
        )

    def in_order(self, part: Pairs) -> list[Batch]:
        source_ids, target_ids = self._encode(part)
        longest = max(len(ids) + 2 for ids in source_ids + target_ids)  # with BOS and EOS
        largest = max(self.config.batch_tokens, longest)
        return list(self.fitting(PairBatches(source_ids, target_ids, max_tokens=largest, seed=0, shuffle=False)))

    def translate(
        self, texts: Sequence[str], decoding: DecodingConfig | None = None, *, first: int = 0
    ) -> list[TextOutput]:
        """An output for each text, see `TextWriter.write`; a text without tokens gives an empty one."""
        part = self.trained.part_of([texts] if isinstance(texts, str) else texts)
        return self.trained.write(self.trained.sources_of(part), decoding, first=first)

    def baselines(self, train: Pairs, valid: Pairs, part: Pairs) -> list[Baseline]:
        outputs = text_baselines(*train.sides, part.sources)
        return [one.scored(self.score(one.outputs, part.targets).metrics) for one in outputs]

    def describe(self, data: PairCorpus) -> dict[str, Any]:
        vocabularies = [self.trained.reader.size, self.tokenizers.target.size]
        return {"vocabularies": vocabularies, **super().describe(data)}

    def _encode(self, pairs: Pairs) -> tuple[list[Any], list[list[int]]]:
        return self.trained.reader.encode_batch(pairs.sources), self.tokenizers.target.encode_batch(pairs.targets)
