"""A causal decoder with its tokenizer: the trained model itself, which scores texts and continues prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.modes import evaluating
from sightline.core.precision import Precision
from sightline.core.state import nbytes
from sightline.data.inputs import InputTable
from sightline.data.text.part import TextPart
from sightline.data.text.positions import stretches
from sightline.data.text.readers import Fragment
from sightline.data.text.windows import windows
from sightline.data.tokens.text import TextTokenizer
from sightline.decoding.engine import DecodingConfig
from sightline.models.compiled import compile_ahead
from sightline.models.decoder import Decoder
from sightline.models.inference import at_precision, for_inference
from sightline.models.store import CONFIG, LoadedModel
from sightline.parts.positions import position_limit
from sightline.tasks.card import Card
from sightline.tasks.language.config import LanguageConfig
from sightline.tasks.language.generation import (
    Generated,
    GenerationConfig,
    OnText,
    generate,
    read_prompts,
)
from sightline.tasks.language.likelihood import Tally, score_carried, score_windows
from sightline.tasks.not_files import check_not_paths
from sightline.tasks.outcomes import Answer
from sightline.tasks.text_inputs import in_tokens, text_front_end

TOKENIZER = "tokenizer.json"
KINDS = {"byte": "bytes", "char": "characters", "bpe": "byte-pair encoding", "unigram": "unigram pieces"}  # of tokens
_STEPS = 1024  # after which a state has the size that it keeps, if it ever has
_POSITIONS = 64 * 128  # of the windows that are read at a time


@final
class LanguageModel:
    """A causal decoder with its tokenizer. Dropout is off, whatever mode it is in."""

    def __init__(self, config: LanguageConfig, decoder: Decoder, tokenizer: TextTokenizer) -> None:
        self.config, self.model, self.tokenizer = config, decoder, tokenizer

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: LanguageConfig, options: Any) -> LanguageModel:
        """The loaded weights with the tokenizer of their directory.

        Raises:
            InputError: "…/config.json: a model of … does not read text"; "…/tokenizer.json: a vocabulary of 300 tokens,
                but the model has 260 and 260".
        """
        tokenizer = TextTokenizer.load(directory / TOKENIZER)
        if not isinstance(loaded.model, Decoder) or loaded.source.accepts not in LanguageConfig.reads:
            raise InputError(f"a model of {loaded.source} does not read text", where=directory / CONFIG)
        model = cls(config, loaded.model, tokenizer)
        if (model.source, model.outputs) != (loaded.source, loaded.outputs):
            raise InputError(
                f"a vocabulary of {tokenizer.size} tokens, but the model has {in_tokens(loaded.source)} "
                f"and {loaded.outputs}",
                where=directory / TOKENIZER,
            )
        return model

    def save_files(self, directory: Path) -> None:
        """Write the file that `restore` finds beside the weights."""
        self.tokenizer.save(directory / TOKENIZER)

    def card(self) -> Card:
        note = f", {self.tokenizer.note}" if self.tokenizer.note else ""
        return Card(
            "what comes next in a text",
            "text-generation",
            'model.predict("Once upon a time")',
            {
                "Tokens": f"{self.tokenizer.kind}, {self.tokenizer.size:,}{note}",
                "Trained in rows of": number_of(self.config.context, "token"),
            },
            f", `{TOKENIZER}` the vocabulary",
        )

    @property
    def source(self) -> FrontEndConfig:
        """The front end for the tokens of its vocabulary."""
        return text_front_end(self.config.front_end, self.tokenizer.size)

    @property
    def outputs(self) -> int:
        return self.tokenizer.size

    def is_one(self, inputs: Any) -> bool:
        return False

    def facts(self) -> dict[str, str]:
        kind = KINDS[self.tokenizer.kind]
        return {"tokens": f"{kind}, {self.tokenizer.size:,}", "context": str(self.config.context)}

    def score(
        self, numbered: Iterator[tuple[int, Fragment]], config: LanguageConfig, precision: Precision = "float32"
    ) -> Tally:
        """The likelihood of text, given as fragments with their documents' numbers, as the config reads it: in windows,
        or with the state carried along.
        """
        device = next(self.model.parameters()).device
        spans = stretches(numbered, self.tokenizer)
        tally = Tally(self.tokenizer)
        with evaluating(self.model):
            model = at_precision(self.model, precision)
            if config.carried:
                scores = score_carried(model, spans, device)
            else:
                rows = max(1, _POSITIONS // config.context)
                scores = score_windows(model, windows(spans, config.context, config.step), rows, device)
            for scored in scores:
                tally.add(scored)
        return tally

    def generate(
        self,
        prompts: str | Sequence[str],
        config: GenerationConfig,
        *,
        first: int = 0,
        on_text: OnText | None = None,
        draft: LanguageModel | None = None,
    ) -> list[Generated]:
        """Continuations of prompts, see `generation.generate`; `draft` is the model of `draft="model"`.

        Raises:
            InputError: "--draft: its tokens are not those of the model: …"; what `generation.generate` and
                `check_not_paths` raise.
        """
        check_not_paths(prompts)
        several = [prompts] if isinstance(prompts, str) else prompts
        if (draft is None) == (config.decoding.draft == "model"):
            raise InputError("drafts of a model need the model, and a model that drafts needs them", where="--draft")
        if draft is None:
            with evaluating(self.model):
                return generate(self.model, self.tokenizer, several, config, first=first, on_text=on_text)
        if draft.tokenizer.to_dict() != self.tokenizer.to_dict():
            raise InputError(
                "its tokens are not those of the model: both need a tokenizer learned from the same text with the same "
                "settings",
                where="--draft",
            )
        with evaluating(self.model), evaluating(draft.model):
            options = {"first": first, "on_text": on_text, "draft": draft.model}
            return generate(self.model, self.tokenizer, several, config, **options)

    def compile_ahead(self, precision: Precision, beams: Sequence[int]) -> tuple[int, ...]:
        """See `PredictingTask.compile_ahead`."""
        with evaluating(self.model):
            model = for_inference(self.model, precision)
            prompt = [TextTokenizer.BOS] * 2
            limit = position_limit(model)
            steps = _STEPS if limit is None else min(_STEPS, limit - len(prompt))
            return compile_ahead(model, precision, beams, read_prompts(model, [prompt]).state, steps)

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        generations = self.generate(inputs, GenerationConfig(decoding or DecodingConfig()), first=first)
        return [one.answer() for one in generations]

    def predict_list(self, inputs: list[str], decoding: DecodingConfig | None = None) -> list[str]:
        """A continuation of each text; greedy without `decoding`."""
        return [answer.text for answer in self.answer_list(inputs, decoding)]

    def outputs_of(self, part: TextPart) -> list[str]:
        return self.predict_list(list(part.texts()))

    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[str]:
        column = reading.get("column", "text")
        return table.texts(None if column == "text" else column)

    @torch.no_grad()
    def state_bytes_after(self, length: int) -> int:
        """Bytes of the state after `length` tokens of text."""
        device = next(self.model.parameters()).device
        tokens = torch.zeros(1, length, dtype=torch.long, device=device)
        with evaluating(self.model):
            _, state = self.model(tokens, self.model.initial_state(1))
        return nbytes(state)
