"""The cost of written texts: the time of a token, and the bytes of the decoder's state."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sightline.core.modes import evaluating
from sightline.core.state import nbytes
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.tasks.outcomes import timed_ms
from sightline.tasks.texts_out.writer import Sources, TextOutput, TextWriter


def ms_per_token(write: Callable[[Any], list[TextOutput]], part: Any, tokenizer: Tokenizer) -> float:
    """Median over a part's items of the time per output token, end token counted, one item at a time.

    write: gives the outputs of a part, whose tokens are those of `tokenizer`
    """
    write(part.select([0]))  # the first call is slower
    times = []
    for row in range(len(part.targets)):
        one = part.select([row])
        (output,), ms = timed_ms(lambda one=one: write(one))
        times.append(ms / (len(tokenizer.encode(output.text)) + output.finished or 1))
    return statistics.median(times)


@torch.no_grad()
def state_bytes(writer: TextWriter[Any], sources: Sources, row: int, target: Sequence[int]) -> int:
    """Bytes of the decoder's state for one source after its start token and all of `target`."""
    model = writer.model
    fed = torch.tensor([[Tokenizer.BOS, *target]], device=next(model.parameters()).device)  # (1, T)
    with evaluating(model):
        _, state = model.decode(fed, writer.begin(sources, [row]))
    return nbytes(state)


@torch.no_grad()
def state_bytes_after(writer: TextWriter[Any], length: int) -> int:
    """Bytes of the decoder's state after `length` tokens of a source and `length` tokens of a target."""
    model = writer.model
    tokens = torch.zeros(1, length, dtype=torch.long, device=next(model.parameters()).device)
    with evaluating(model):
        _, state = model.decode(tokens, model.initial_state(model.encode(tokens)))
    return nbytes(state)
