"""Search for output texts, given a model and the sources of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sightline.core.modes import evaluating
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.decoding.engine import DecodingConfig, decode
from sightline.models import SequenceModel

NEVER_SAID = (Tokenizer.PAD, Tokenizer.BOS, Tokenizer.UNK)


class TextOutput(NamedTuple):
    """One output of a model."""

    text: str
    score: float  # the model's log-probability of it, in nats
    finished: bool  # False: cut off at the length limit


def search(
    model: SequenceModel,
    begin: Callable[[list[int]], Any],
    lengths: Sequence[int],
    tokenizer: Tokenizer,
    decoding: DecodingConfig | None,
    *,
    longest: int,
    names: Sequence[int],
) -> list[TextOutput]:
    """An output for each source, in order; greedy without `decoding`. Dropout is off, whatever mode the model is in.

    `begin(rows)` gives the decoder's state before the first token for these sources, `lengths` are their positions;
    `longest` is the most tokens of an output where decoding names no other limit; `names` are the sources' numbers in
    the random stream.
    """
    with evaluating(model):
        hypotheses = decode(
            begin,
            model.step,
            lengths,
            decoding or DecodingConfig(),
            bos=Tokenizer.BOS,
            eos=Tokenizer.EOS,
            max_length=longest,
            banned=NEVER_SAID,
            names=names,
        )
    return [TextOutput(tokenizer.decode(one.tokens), one.score, one.finished) for one in hypotheses]
