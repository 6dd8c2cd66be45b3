"""The cost of written texts: the time of a token, and the bytes of the decoder's state."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sightline.core.digits import number_of
from sightline.core.modes import evaluating
from sightline.core.state import nbytes
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.tasks.outcomes import Costs, timed_ms
from sightline.tasks.texts_out.writer import Sources, TextOutput, TextWriter


def writing_costs(writer: TextWriter[Any], part: Any, timed: Any, positions_are: str) -> Costs:
    """Greedy decoding per output token of the items `timed`, reading and encoding included, and the decoder's state for
    the item of the part of the middle length after all of its target.

    positions_are: the word for positions of a source
    """
    sources, tokenizer = writer.sources_of(part), writer.tokenizers.target
    positions = sources.positions
    middle = sorted(range(len(positions)), key=lambda row: (positions[row], row))[len(positions) // 2]
    target = tokenizer.encode(part.targets[middle])
    return Costs(
        ms_per_token(lambda one: writer.write(writer.sources_of(one)), timed, tokenizer),
        "token",
        state_bytes(writer, sources, middle, target),
        f"{positions[middle]} {positions_are} and {number_of(len(target), 'target token')} in",
    )


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
