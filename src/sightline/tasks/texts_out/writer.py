"""An encoder-decoder with its tokenizers: the trained model itself, which writes a text for each source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.mixer import Memory
from sightline.core.modes import evaluating
from sightline.core.precision import Precision
from sightline.core.settings import check_in_range
from sightline.data.batches import on_device
from sightline.data.inputs import InputTable
from sightline.data.media.files import named_source
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair
from sightline.decoding.engine import DecodingConfig, Speculation, decode
from sightline.models import SequenceModel
from sightline.models.compiled import compile_ahead, step_of
from sightline.models.compiled_reading import SourceReading, compile_reading_ahead, reading_of
from sightline.models.inference import for_inference
from sightline.models.reading_code import read_source
from sightline.models.store import CONFIG, LoadedModel
from sightline.parts.positions import position_limit
from sightline.parts.token_embedding import Tokens
from sightline.tasks.card import Card
from sightline.tasks.outcomes import Answer

TOKENIZERS = "tokenizer.json"
_EXAMPLE = 7  # positions
NEVER_WRITTEN = (Tokenizer.PAD, Tokenizer.BOS, Tokenizer.UNK)


@runtime_checkable
class Sources(Protocol):
    """The sources of some items, ready to be put into batches."""

    @property
    def positions(self) -> list[int]:
        """The number of positions of each item."""
        ...

    def batch(self, rows: Sequence[int]) -> tuple[Any, Tensor | None]:
        """The model's source for these items, and its mask."""
        ...


class TextOutput(NamedTuple):
    """One output of a model."""

    text: str
    score: float  # the model's log-probability of it, in nats
    finished: bool  # False: cut off at the length limit

    def answer(self, source: Any) -> Answer:
        """The output as the answer to this line of input."""
        record = {"source": named_source(source), "output": self.text, "score": self.score, "finished": self.finished}
        return Answer(self.text, record, self.finished)


P = TypeVar("P", bound=Any)  # a part, with `targets`


class TextWriter(ABC, Generic[P]):
    """An encoder-decoder with its tokenizers, which writes a text for each item of a part; a `TrainedModel`.

    Dropout is off, whatever mode the model is in.

    longest_output: the most tokens of an output where decoding names no other limit, and the decoder has the positions
    """

    def __init__(self, config: Any, model: SequenceModel, tokenizers: TokenizerPair, longest_output: int) -> None:
        self.config, self.model, self.tokenizers = config, model, tokenizers
        positions = position_limit(model.decoder)  # the last token is never read
        self.longest_output = longest_output if positions is None else min(longest_output, positions)

    @property
    @abstractmethod
    def source(self) -> FrontEndConfig:
        """The model's front end."""

    @property
    def outputs(self) -> int:
        return self.tokenizers.target.size

    @abstractmethod
    def sources_of(self, part: P) -> Sources:
        """The sources of a part's items."""

    @abstractmethod
    def part_of(self, inputs: Sequence[Any]) -> P:
        """New inputs as a part whose targets are empty."""

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """See `Task.facts`."""

    @abstractmethod
    def card(self) -> Card:
        """See `SavedTask.card`."""

    def is_one(self, inputs: Any) -> bool:
        return False

    def read_line(self, line: Any) -> Any:
        """The input for `predict` from a line of text; anything else as it is."""
        return line

    def begin(self, sources: Sources, rows: Sequence[int]) -> Any:
        """The decoder's state before the first token for these items."""
        device = next(self.model.parameters()).device
        return begin(partial(read_source, self.model), device, sources, rows)

    def write(self, sources: Sources, decoding: DecodingConfig | None = None, *, first: int = 0) -> list[TextOutput]:
        """An output for each source, in order, greedy without `decoding`; a source without positions gets an empty one.

        `first` is the number of the first source in the random stream, so that texts sampled in several calls get what
        one call would give them.

        Raises:
            InputError: "--draft: a model drafts for language models alone: choose ngram"; "input 3 (empty ones are not
                counted) has 1500 positions, but the model reads at most 1024"; `decoding.max_length` above the
                positions of the decoder.
        """
        lengths = sources.positions
        rows = [row for row, count in enumerate(lengths) if count]
        decoding = decoding or DecodingConfig()
        self._check_fits(lengths, first, decoding)
        if decoding.draft == "model":
            raise InputError("a model drafts for language models alone: choose ngram", where="--draft")
        with evaluating(self.model):
            model = for_inference(self.model, decoding.precision)
            device = next(model.parameters()).device
            reading = reading_of(model, decoding.precision, decoding.rows_alone)
            hypotheses = decode(
                lambda chosen: begin(reading, device, sources, [rows[i] for i in chosen]),
                step_of(model, decoding.precision, decoding.rows_alone),
                [lengths[row] for row in rows],
                decoding,
                bos=Tokenizer.BOS,
                eos=Tokenizer.EOS,
                max_length=self.longest_output,
                banned=NEVER_WRITTEN,
                names=[first + row for row in rows],
                speculation=Speculation(model.decode),
            )
        outputs = [TextOutput("", 0.0, True)] * len(lengths)
        for row, one in zip(rows, hypotheses, strict=True):
            outputs[row] = TextOutput(self.tokenizers.target.decode(one.tokens), one.score, one.finished)
        return outputs

    def _check_fits(self, lengths: Sequence[int], first: int, decoding: DecodingConfig) -> None:
        """Raise `InputError` for a source or a limit of outputs beyond a table of positions."""
        read, written = position_limit(self.model.encoder), position_limit(self.model.decoder)
        for row, length in enumerate(lengths):
            if read is not None and length > read:
                raise InputError(
                    f"input {first + row + 1} (empty ones are not counted) has {length} positions, but the model reads "
                    f"at most {read}"
                )
        if written is not None and (decoding.max_length or 0) > written:
            raise InputError(
                f"outputs of {decoding.max_length} tokens were asked for, but the model has {written} positions: ask "
                "for fewer with --max-length"
            )

    @property
    def masks_one(self) -> bool:
        """Whether one source has a mask, since it is padded to some multiple or brings its own."""
        return False

    def compile_ahead(self, precision: Precision, beams: Sequence[int]) -> tuple[int, ...]:
        """See `PredictingTask.compile_ahead`."""
        with evaluating(self.model):
            model = for_inference(self.model, precision)
            with torch.inference_mode():
                state = model.initial_state(example_memory(model, self.masks_one))
            compiled = compile_ahead(model, precision, beams, state, self.longest_output)
            if compiled and isinstance(self.source, Tokens):
                source = torch.arange(_EXAMPLE).unsqueeze(0) % self.source.vocabulary  # (1, M)
                compile_reading_ahead(model, precision, source)
            return compiled

    def outputs_of(self, part: P, decoding: DecodingConfig | None = None) -> list[str]:
        """The text for each item of a part."""
        return texts_of(self.write(self.sources_of(part), decoding))

    def predict_list(self, inputs: list[Any], decoding: DecodingConfig | None = None) -> list[str]:
        """A text for each input; greedy without `decoding`."""
        return self.outputs_of(self.part_of(inputs), decoding)

    def answer_list(self, inputs: list[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        sources = self.sources_of(self.part_of([self.read_line(line) for line in inputs]))
        outputs = self.write(sources, decoding, first=first)
        return [output.answer(source) for source, output in zip(inputs, outputs, strict=True)]

    @abstractmethod
    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[Any]:
        """See `TrainedModel.table_inputs`."""

    def save_files(self, directory: Path) -> None:
        self.tokenizers.save(directory / TOKENIZERS)


def begin(reading: SourceReading, device: torch.device, sources: Sources, rows: Sequence[int]) -> Any:
    """The state of a decoder before the first token for these items."""
    source, mask = sources.batch(rows)
    if mask is not None and bool(mask.all()):  # nothing is padded: each step has less to do without a mask
        mask = None
    return reading(*on_device(source, mask, device))


def example_memory(model: SequenceModel, masked: bool) -> Memory:
    """A memory of the form that the model's encoder gives for one source, with random content."""
    encoder, device = model.encoder, next(model.parameters()).device
    values = torch.randn(1, _EXAMPLE, encoder.d_memory, device=device)
    mask = torch.ones(1, _EXAMPLE, dtype=torch.bool, device=device) if masked else None
    summary = None if encoder.d_summary is None else torch.randn(1, encoder.d_summary, device=device)
    return Memory(values, mask, summary)


def texts_of(outputs: Sequence[TextOutput]) -> list[str]:
    """Their texts."""
    return [output.text for output in outputs]


def longest_output(tokenizers: TokenizerPair, targets: Sequence[str]) -> int:
    """The most tokens of an output of a model of such targets: room for what is longer than anything in training."""
    longest = max(map(len, tokenizers.target.encode_batch(targets)))
    return longest + longest // 4 + 8


def restored(directory: Path, loaded: LoadedModel, longest: int) -> tuple[SequenceModel, TokenizerPair, int]:
    """The arguments of a `TextWriter` of a model directory: the model, its tokenizers and the longest output.

    Raises:
        InputError: "…/config.json: options.longest_output: must be at least 1, found 0"; what `TokenizerPair.load`
            raises; a model that writes no text.
    """
    check_in_range(f"{directory / CONFIG}: options.longest_output", longest, at_least=1)
    tokenizers = TokenizerPair.load(directory / TOKENIZERS)
    if not isinstance(loaded.model, SequenceModel):
        raise InputError(f"a model of {loaded.source} does not write text", where=directory / CONFIG)
    return loaded.model, tokenizers, longest
