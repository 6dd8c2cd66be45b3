"""Decoding of many sources: sorted by length, batched by tokens, returned in the original order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeAlias, final

import torch

from sightline.core.errors import InputError
from sightline.core.precision import Precision
from sightline.core.settings import check_in_range
from sightline.decoding.beam import LENGTH_PENALTY, MOST_PENALTY, beam
from sightline.decoding.choose import Chooser, MostLikely
from sightline.decoding.drafts import Draft, NGramDraft
from sightline.decoding.greedy import Refill, unroll
from sightline.decoding.hypothesis import Extend, Hypothesis, Step, state_device
from sightline.decoding.outputs import BatchOutputs, Watch
from sightline.decoding.sample import NO_TOKEN, Sampler, check_truncation
from sightline.decoding.speculate import DraftTally, speculate

Begin: TypeAlias = Callable[[list[int]], Any]
DraftKind: TypeAlias = Literal["none", "ngram", "model"]
DRAFT_TOKENS = 8  # proposed at a time, by default
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")  # settings of sampling alone


@final
@dataclass(frozen=True)
class DecodingConfig:
    """Settings of decoding. `beam=1` is greedy; `sample` samples, with the options from `temperature` to `seed`.

    max_length: maximum number of tokens of an output, including the end token; None leaves it to the caller.
    batch_size: maximum number of sources in a batch.
    batch_tokens: maximum number of padded source tokens in a batch, times the beam width.
    precision: of the products of linear layers; the caller prepares the model for it (`models.inference`).
    compiled: steps of one row, or of one beam, run as machine code, which the caller prepares (`models.compiled`).
    refill: sources enter a batch when others have ended, instead of when all have; for greedy decoding and sampling.
    draft: who proposes tokens that the model then checks several at a time: nobody, the text itself, where its last
        tokens occurred before ("ngram"), or a smaller model, which the caller passes ("model"); not with beam search.
    draft_tokens: maximum number of tokens proposed at a time, None: `DRAFT_TOKENS`; only with a draft.

    Raises:
        InputError: a value out of its range; "draft_tokens: requires a draft, such as ngram", "top_k: requires
            sampling: set sample" and others that would change nothing; settings that exclude each other.
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
    compiled: bool = False
    refill: bool = False
    draft: DraftKind = "none"
    draft_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.beam > 1 and self.sample:
            raise InputError(f"a beam of {self.beam} and sampling are mutually exclusive")
        check_in_range("length_penalty", self.length_penalty, at_least=-MOST_PENALTY, at_most=MOST_PENALTY)
        check_in_range("temperature", self.temperature, at_least=0)
        for name, needed in (("refill", self.refill), ("draft", self.draft != "none")):
            if needed and self.beam > 1:
                raise InputError("needs greedy decoding or sampling: remove the beam", where=name)
        if self.refill and self.draft != "none":
            raise InputError("drafts and refill are mutually exclusive", where="draft")
        for name in ("beam", "max_length", "batch_size", "batch_tokens", "draft_tokens"):
            check_in_range(name, getattr(self, name), at_least=1)
        check_truncation(self.top_k, self.top_p, self.min_p, self.repetition_penalty)
        self._check_used()

    def _check_used(self) -> None:
        """Refuse settings that would change nothing beside the others."""
        needs = {"length_penalty": (self.beam > 1, "a beam of 2 or more"),
                 "draft_tokens": (self.draft != "none", "a draft, such as ngram")}  # fmt: skip
        needs |= dict.fromkeys(SAMPLING, (self.sample, "sampling: set sample"))
        for field in fields(self):
            used, what = needs.get(field.name, (True, ""))
            if not used and getattr(self, field.name) != field.default:
                raise InputError(f"requires {what}", where=field.name)

    @property
    def rows_alone(self) -> tuple[int, ...]:
        """The numbers of rows that one source has in a batch, where its steps are to be compiled."""
        return (self.beam,) if self.compiled else ()


class Speculation(NamedTuple):
    """The needs of drafts besides those of decoding.

    extend: as in `decoding.hypothesis`, for states of `step` after the first token
    draft: of a smaller model, for a batch of sources; None unless `draft` is "model"
    tally: counts proposals
    """

    extend: Extend
    draft: Callable[[list[int]], Draft] | None = None
    tally: DraftTally | None = None


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
    speculation: Speculation | None = None,
) -> list[Hypothesis]:
    """The best or one sampled hypothesis of each source, in the order of the sources, whose token counts are `lengths`.

    `begin(rows)` returns the state before the first token for a batch of sources; `step` is the contract's step.
    `names` number the sources' random streams (default: their indices): a source decoded in another call under the same
    name gives the same output. `config.max_length` overrides `max_length`, one number or one per source.
    `repetition_penalty` also covers the tokens `prompts` of each source. `watch` sees the tokens of all sources, with
    their indices, as they are generated and may end a source; beam search has no such order. `config.draft` needs
    `speculation`.

    Raises:
        ValueError: "beam search cannot be watched: use beam 1"; "drafts of kind 'ngram' need `speculation` of that
            kind".
    """
    _check(config, watch, speculation)
    limit = max_length if config.max_length is None else config.max_length
    limits = [limit] * len(lengths) if isinstance(limit, int) else list(limit)
    names = range(len(lengths)) if names is None else names
    # What drafts that are drawn cost of a row's random numbers depends on the other rows of a batch.
    max_rows = 1 if config.sample and config.draft == "model" else config.batch_size
    max_tokens = config.batch_tokens // config.beam
    batches = plan(lengths, max_rows, max_tokens)
    decoded: dict[int, Hypothesis] = {}
    for first in [batches[0]] if config.refill and batches else batches:
        with torch.inference_mode():
            state = begin(first)
        rows = list(chain(*batches)) if config.refill else first
        if config.beam > 1:
            ranked = beam(
                step, state, batch=len(rows), bos=bos, eos=eos, max_length=[limits[row] for row in rows],
                banned=banned, width=config.beam, alpha=config.length_penalty,
                filled=config.compiled and len(rows) == 1,
            )  # fmt: skip
            decoded.update(zip(rows, (best for best, *_ in ranked), strict=True))
            continue
        device = state_device(state)
        before = None if prompts is None else [prompts[row] for row in rows]
        of_rows = [limits[row] for row in rows]
        chooser = _chooser(config, [names[row] for row in rows], before, max(of_rows), device)
        heard = None if watch is None else _of_batch(watch, rows)
        outputs = BatchOutputs(chooser, len(rows), of_rows, eos, banned, heard, device)
        if speculation is None or config.draft == "none":
            refill = _refill(begin, rows, len(first), lengths, max_rows, max_tokens) if config.refill else None
            hypotheses = unroll(step, state, outputs, bos=bos, refill=refill)
        else:
            draft = NGramDraft(before or [()] * len(rows)) if speculation.draft is None else speculation.draft(rows)
            tally = speculation.tally or DraftTally()
            most = DRAFT_TOKENS if config.draft_tokens is None else config.draft_tokens
            hypotheses = speculate(step, speculation.extend, state, outputs, draft, bos=bos, most=most, tally=tally)
        decoded.update(zip(rows, hypotheses, strict=True))
    return [decoded[row] for row in range(len(lengths))]


def _check(config: DecodingConfig, watch: Watch | None, speculation: Speculation | None) -> None:
    """Raise `ValueError` for what `decode` cannot combine."""
    if watch is not None and config.beam > 1:
        raise ValueError("beam search cannot be watched: use beam 1")
    if config.draft != "none" and (speculation is None or (config.draft == "model") != (speculation.draft is not None)):
        raise ValueError(f"drafts of kind {config.draft!r} need `speculation` of that kind")


def _chooser(
    config: DecodingConfig,
    names: Sequence[int],
    prompts: Sequence[Sequence[int]] | None,
    longest: int,
    device: torch.device,
) -> Chooser:
    """How the rows with these names and prompts choose their tokens."""
    if not config.sample:
        return MostLikely()
    return Sampler(
        names,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        min_p=config.min_p,
        repetition_penalty=config.repetition_penalty,
        seed=config.seed,
        longest=longest,
        prompts=None if prompts is None else _padded(prompts).to(device),
        device=device,
    )


def _refill(
    begin: Begin, rows: Sequence[int], first: int, lengths: Sequence[int], max_rows: int, max_tokens: int
) -> Refill:
    """The sources `rows`, longest first: a batch begins with the `first` and never exceeds what `plan` allows."""

    def room(staying: list[int], waiting: int) -> int:
        longest = max(1, lengths[rows[min([*staying, waiting])]])
        fit = max(1, min(max_rows, max_tokens // longest))
        return max(0, fit - len(staying))

    return Refill(first, lambda places: begin([rows[place] for place in places]), room)


def _of_batch(watch: Watch, rows: Sequence[int]) -> Watch:
    """`watch` for a batch of the sources `rows`."""
    place = {row: i for i, row in enumerate(rows)}
    return lambda new: [place[row] for row in watch([(rows[i], token) for i, token in new]) or () if row in place]


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Token ids (B, P); a short row is filled up with its first token, which adds no new one, an empty one with
    `NO_TOKEN`.
    """
    longest = max(map(len, rows), default=0)
    filled = [[*row, *[row[0] if row else NO_TOKEN] * (longest - len(row))] for row in rows]
    return torch.tensor(filled, dtype=torch.long)


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
