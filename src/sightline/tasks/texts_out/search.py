"""Search for output texts, given a model and sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from sightline.core.modes import evaluating
from sightline.data.batches import on_device
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.decoding.engine import DecodingConfig, decode
from sightline.models import SequenceModel

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


def begin(model: SequenceModel, sources: Sources, rows: Sequence[int]) -> Any:
    """The decoder's state before the first token for these items."""
    source, mask = on_device(*sources.batch(rows), next(model.parameters()).device)
    return model.initial_state(model.encode(source, mask))


def search(
    model: SequenceModel,
    sources: Sources,
    tokenizer: Tokenizer,
    decoding: DecodingConfig | None,
    *,
    longest: int,
    first: int = 0,
) -> list[TextOutput]:
    """An output for each source, in order, greedy without `decoding`; a source without positions gets an empty one.

    Dropout is off, whatever mode the model is in.

    longest: the most tokens of an output where decoding names no other limit
    first: the number of the first source in the random stream
    """
    lengths = sources.positions
    rows = [row for row, count in enumerate(lengths) if count]
    with evaluating(model):
        hypotheses = decode(
            lambda chosen: begin(model, sources, [rows[i] for i in chosen]),
            model.step,
            [lengths[row] for row in rows],
            decoding or DecodingConfig(),
            bos=Tokenizer.BOS,
            eos=Tokenizer.EOS,
            max_length=longest,
            banned=NEVER_SAID,
            names=[first + row for row in rows],
        )
    outputs = [TextOutput("", 0.0, True)] * len(lengths)
    for row, one in zip(rows, hypotheses, strict=True):
        outputs[row] = TextOutput(tokenizer.decode(one.tokens), one.score, one.finished)
    return outputs
