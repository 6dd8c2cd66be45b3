"""An encoder-decoder with its tokenizers: the trained model itself, which writes a text for each source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.core.settings import check_in_range
from sightline.data.batches import on_device
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair
from sightline.decoding.engine import DecodingConfig, decode
from sightline.models import SequenceModel
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.outcomes import Answer

TOKENIZERS = "tokenizer.json"
NEVER_SAID = (Tokenizer.PAD, Tokenizer.BOS, Tokenizer.UNK)


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

    def answer(self, source: str) -> Answer:
        """The output as the answer to this line of input."""
        record = {"source": source, "output": self.text, "score": self.score, "finished": self.finished}
        return Answer(self.text, record, self.finished)


@final
class TextWriter:
    """An encoder-decoder with its tokenizers. Dropout is off, whatever mode the model is in.

    longest_output: the most tokens of an output where decoding names no other limit
    """

    def __init__(self, model: SequenceModel, tokenizers: TokenizerPair, longest_output: int) -> None:
        self.model = model
        self.tokenizers = tokenizers
        self.longest_output = longest_output

    @classmethod
    def for_targets(cls, model: SequenceModel, tokenizers: TokenizerPair, targets: Sequence[str]) -> TextWriter:
        """A writer of texts like these, with room for what is longer than anything seen in training."""
        longest = max(map(len, tokenizers.target.encode_batch(targets)))
        return cls(model, tokenizers, longest + longest // 4 + 8)

    @classmethod
    def load(cls, directory: Path, loaded: LoadedModel, longest_output: int) -> TextWriter:
        """The loaded weights with the tokenizers of their directory.

        Raises:
            InputError: "…/config.json: options.longest_output: must be at least 1, found 0"; what `TokenizerPair.load`
                raises; a model that writes no text.
        """
        check_in_range(f"{directory / CONFIG}: options.longest_output", longest_output, at_least=1)
        tokenizers = TokenizerPair.load(directory / TOKENIZERS)
        if not isinstance(loaded.model, SequenceModel):
            raise InputError(f"a model of {loaded.source} does not write text", where=directory / CONFIG)
        return cls(loaded.model, tokenizers, longest_output)

    def save_tokenizers(self, directory: Path) -> None:
        """Write the file that `load` finds beside the weights."""
        self.tokenizers.save(directory / TOKENIZERS)

    def begin(self, sources: Sources, rows: Sequence[int]) -> Any:
        """The decoder's state before the first token for these items."""
        source, mask = on_device(*sources.batch(rows), next(self.model.parameters()).device)
        return self.model.initial_state(self.model.encode(source, mask))

    def write(self, sources: Sources, decoding: DecodingConfig | None = None, *, first: int = 0) -> list[TextOutput]:
        """An output for each source, in order, greedy without `decoding`; a source without positions gets an empty one.

        first: the number of the first source in the random stream
        """
        lengths = sources.positions
        rows = [row for row, count in enumerate(lengths) if count]
        with evaluating(self.model):
            hypotheses = decode(
                lambda chosen: self.begin(sources, [rows[i] for i in chosen]),
                self.model.step,
                [lengths[row] for row in rows],
                decoding or DecodingConfig(),
                bos=Tokenizer.BOS,
                eos=Tokenizer.EOS,
                max_length=self.longest_output,
                banned=NEVER_SAID,
                names=[first + row for row in rows],
            )
        outputs = [TextOutput("", 0.0, True)] * len(lengths)
        for row, one in zip(rows, hypotheses, strict=True):
            outputs[row] = TextOutput(self.tokenizers.target.decode(one.tokens), one.score, one.finished)
        return outputs
