"""Decoding of many sources: sorted by length, batched by tokens, returned in the original order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import torch

from sightline.core.errors import InputError
from sightline.core.precision import Precision
from sightline.core.settings import check_in_range
from sightline.decoding.beam import LENGTH_PENALTY, beam
from sightline.decoding.greedy import Watch, greedy
from sightline.decoding.hypothesis import Hypothesis, Step, state_device
from sightline.decoding.sample import check_truncation, sample

Begin: TypeAlias = Callable[[list[int]], Any]


@final
@dataclass(frozen=True)
class DecodingConfig:
    """Settings of decoding. `beam=1` is greedy; `sample` samples, with the options from `temperature` to `seed`.

    max_length: maximum number of tokens of an output, including the end token; None leaves it to the caller.
    batch_size: maximum number of sources in a batch.
    batch_tokens: maximum number of padded source tokens in a batch, times the beam width.
    precision: of the products of linear layers; the caller prepares the model for it (`models.inference`).
    """

    beam: int = 1
    length_penalty: float = LENGTH_PENALTY
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    max_length: int | None = None
    batch_size: int = 256
    batch_tokens: int = 4096
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.beam > 1 and self.sample:
            raise InputError(f"a beam of {self.beam} and sampling are mutually exclusive")
        check_in_range("length_penalty", self.length_penalty)
        check_in_range("temperature", self.temperature, at_least=0)
        for name in ("beam", "max_length", "batch_size", "batch_tokens"):
            check_in_range(name, getattr(self, name), at_least=1)
        check_truncation(self.top_k, self.top_p, self.min_p, self.repetition_penalty)


def decode(
    begin: Begin,
    step: Step,
    lengths: Sequence[int],
    config: DecodingConfig,
    *,
    bos: int,
    eos: int,
    max_length: int | Sequence[int],
    banned: Sequence[int] = (),
    names: Sequence[int] | None = None,
    prompts: Sequence[Sequence[int]] | None = None,
    watch: Watch | None = None,
) -> list[Hypothesis]:
    """The best or one sampled hypothesis of each source, in the order of the sources, whose token counts are `lengths`.

    `begin(rows)` returns the state before the first token for a batch of sources; `step` is the contract's step.
    `names` number the sources' random streams (default: their indices): a source decoded in another call under the same
    name gives the same output. `config.max_length` overrides `max_length`, one number or one per source.
    `repetition_penalty` also covers the tokens `prompts` of each source. `watch` sees the tokens of all sources, with
    their indices, as they are generated and may end a source; beam search has no such order.

    Raises:
        ValueError: "beam search cannot be watched: use beam 1".
    """
    if watch is not None and config.beam > 1:
        raise ValueError("beam search cannot be watched: use beam 1")
    limits = [max_length] * len(lengths) if isinstance(max_length, int) else list(max_length)
    if config.max_length is not None:
        limits = [config.max_length] * len(lengths)
    decoded: dict[int, Hypothesis] = {}
    for rows in plan(lengths, config.batch_size, config.batch_tokens // config.beam):
        with torch.inference_mode():
            state = begin(rows)
        common: dict[str, Any] = {
            "batch": len(rows),
            "bos": bos,
            "eos": eos,
            "max_length": [limits[row] for row in rows],
            "banned": banned,
        }
        if watch is not None:
            common["watch"] = _of_batch(watch, rows)
        if config.sample:
            hypotheses = sample(
                step,
                state,
                temperature=config.temperature,
                top_k=config.top_k,
                top_p=config.top_p,
                min_p=config.min_p,
                repetition_penalty=config.repetition_penalty,
                seed=config.seed,
                rows=rows if names is None else [names[row] for row in rows],
                prompts=None if prompts is None else _padded([prompts[row] for row in rows]).to(state_device(state)),
                **common,
            )
        elif config.beam == 1:
            hypotheses = greedy(step, state, **common)
        else:
            ranked = beam(step, state, width=config.beam, alpha=config.length_penalty, **common)
            hypotheses = [best for best, *_ in ranked]
        decoded.update(zip(rows, hypotheses, strict=True))
    return [decoded[row] for row in range(len(lengths))]


def _of_batch(watch: Watch, rows: Sequence[int]) -> Watch:
    """`watch` for a batch of the sources `rows`."""
    place = {row: i for i, row in enumerate(rows)}
    return lambda new: [place[row] for row in watch([(rows[i], token) for i, token in new]) if row in place]


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Token ids (B, P); short rows are padded with their first token, which adds no new token to them."""
    longest = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[row[0]] * (longest - len(row))] if row else [0] * longest for row in rows])


def plan(lengths: Sequence[int], max_rows: int, max_tokens: int) -> list[list[int]]:
    """Rows in batches of at most `max_rows` rows and `max_tokens` padded tokens, except for single rows.

    Sorted by length, which reduces padding, and the longest first: a batch that exceeds the memory fails at the start
    rather than at the end.
    """
    batches: list[list[int]] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not batches or len(batches[-1]) >= max_rows or (len(batches[-1]) + 1) * longest > max_tokens:
            batches.append([])
            longest = max(1, lengths[row])
        batches[-1].append(row)
    return batches
