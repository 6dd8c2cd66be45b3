"""What a language model makes of its context on real text: loss on repeated n-grams against the rest, and by position.

**Repeats.** The label at a position is a repeat where the n-gram that it ends (the n - 1 tokens read last, and itself)
has occurred before in the same sequence: its continuation can be looked up. With n = 2 these are the bigrams of Arora
et al. 2023 ("Zoology", arXiv:2312.04927), whose associative-recall hits are repeated bigrams that are rare in training
(at most 1,250 times in their corpus), since a frequent one can be known without looking back. Here a *new repeat* does
not occur in the training text at all, a *known repeat* does; the *rest* is not a repeat. Where tokens are shorter than
subwords, a bigram says little: n is 1 + the number of tokens in `BYTES` bytes, 5 for tokens of one byte.

The mean loss is the sum of what the three kinds add to it. Of the gap between two models on the same tokens each kind
has the share Σ(its differences) / Σ(all differences).

**By position.** Every sequence begins with an empty state, so that position p has p positions to look at. Sequences
are longer than the training context, and are read in chunks with the state carried along: memory is that of a chunk,
and whatever the model cannot extrapolate shows beyond the context.

Intervals are Bayesian bootstraps over sequences, with the same weights for all models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.data.spaced import spaced
from sightline.data.text.positions import stretches
from sightline.data.text.windows import windows
from sightline.lab.bands import ratio_band, resampling
from sightline.lab.panel_results import Band, ContextGap, ContextLoss, TokenClass, TokenKind
from sightline.lab.reach import distances
from sightline.lab.results import Estimate
from sightline.models.decoder import Decoder

BYTES = 4  # before the last token of an n-gram, about
LONGER = 4  # times the training context that is read
TRAINING_BYTES = 16 << 20  # of the training text that are looked through, evenly spaced
KINDS: tuple[TokenKind, ...] = ("new repeat", "known repeat", "rest")
LOGITS = 1 << 22  # numbers in the logits of a chunk
MIXER = np.uint64(0x9E3779B97F4A7C15)


@final
@dataclass(frozen=True)
class TextSample:
    """Sequences of a text, padded on the right: tokens and labels (N, T) int64, real (N, T) bool."""

    tokens: np.ndarray
    labels: np.ndarray
    real: np.ndarray

    @property
    def digest(self) -> str:
        """Of everything that is read and predicted."""
        parts = [np.where(self.real, part, -1).tobytes() for part in (self.tokens, self.labels)]
        return hashlib.sha256(b"".join([str(self.real.shape).encode(), *parts])).hexdigest()[:16]


@final
@dataclass(frozen=True)
class Losses:
    """-ln p (N, T) of every label of a sample, and the kind of each as a place in `KINDS`, -1 for padding."""

    result: ContextLoss
    nats: np.ndarray
    kinds: np.ndarray


def context_loss(name: str, task: Any, part: Any, train: Any, most: int = 256) -> Losses:
    """The losses of a task's language model on at most `most` sequences of a part.

    train: the part that it was trained on; None: repeats are new, whatever it contained

    Raises:
        InputError: "runs/x: no text in the test part".
    """
    context = task.config.context
    sample = text_sample(part, task.tokenizer, LONGER * context, most)
    if not sample.real.any():
        raise InputError(f"no text in the {part.name} part", where=name)
    try:
        nats = chunked_nats(task.decoder, sample, task.device)
    except ValueError:  # a table of learned positions ends beyond the context
        sample = TextSample(*(part[:, :context] for part in (sample.tokens, sample.labels, sample.real)))
        nats = chunked_nats(task.decoder, sample, task.device)
    n = gram_size(sample, task.tokenizer.bytes_of)
    kinds = token_kinds(sample, n, train, task.tokenizer)
    inside = kinds.copy()
    inside[:, context:] = -1
    weights = resampling(len(nats))
    edges = [*distances(sample.real.shape[1]), sample.real.shape[1]]
    result = ContextLoss(
        name=name,
        loss_unit=task.loss_unit,
        n=n,
        context=min(context, sample.real.shape[1]),
        sequences=len(nats),
        loss=_estimate(nats, inside >= 0, weights),
        classes=[_token_class(kind, nats, inside, place, weights) for place, kind in enumerate(KINDS)],
        by_position=_by_position(nats, sample.real, edges, weights),
        digest=f"{sample.digest}-{n}-{context}",
    )
    return Losses(result, nats, inside)


def text_sample(part: Any, tokenizer: Any, length: int, most: int) -> TextSample:
    """At most `most` sequences of at most `length` positions, evenly spaced among the first 8·most."""
    chosen = list(islice(windows(stretches(part.numbered(), tokenizer), length, length), 8 * most))
    chosen = [chosen[i] for i in spaced(len(chosen), most)]
    lengths = np.array([len(window.labels) for window in chosen], dtype=np.int64)
    real = np.arange(max(lengths, default=0)) < lengths[:, None]
    tokens, labels = np.zeros((2, *real.shape), dtype=np.int64)
    for row, window in enumerate(chosen):
        tokens[row, : lengths[row]], labels[row, : lengths[row]] = window.tokens, window.labels
    return TextSample(tokens, labels, real)


def gram_size(sample: TextSample, bytes_of: np.ndarray) -> int:
    """n of the n-grams: 2 where a token has `BYTES` bytes or more on average."""
    mean = max(float(bytes_of[sample.labels[sample.real]].mean()), 1.0)
    return 1 + max(1, round(BYTES / mean))


def gram_hashes(ids: np.ndarray, n: int) -> np.ndarray:
    """A hash (N, T - n + 1) uint64 of every n-gram of ids (N, T): equal for equal ones."""
    count = max(ids.shape[1] - n + 1, 0)
    hashed = np.zeros((len(ids), count), dtype=np.uint64)
    for offset in range(n):
        hashed = (hashed ^ ids[:, offset : offset + count].astype(np.uint64)) * MIXER
        hashed ^= hashed >> np.uint64(29)
    return hashed


def repeats(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which hashes (N, T) have occurred earlier in their row, of those that are `known` (N, T) to exist."""
    flags = np.zeros(hashes.shape, dtype=bool)
    for row in range(len(hashes)):
        places = np.flatnonzero(known[row])
        _, first = np.unique(hashes[row, places], return_index=True)
        again = np.ones(len(places), dtype=bool)
        again[first] = False
        flags[row, places] = again
    return flags


def token_kinds(sample: TextSample, n: int, train: Any, tokenizer: Any) -> np.ndarray:
    """The kind of every label (N, T) as a place in `KINDS`, -1 for padding."""
    sequence = np.concatenate([sample.tokens[:, :1], sample.labels], 1)  # (N, T + 1)
    kinds = np.where(sample.real, KINDS.index("rest"), -1)
    hashes = gram_hashes(sequence, n)  # that of column c ends with the label at position c + n - 2
    if hashes.shape[1] == 0:
        return kinds
    real = sample.real[:, n - 2 :]
    again = repeats(hashes, real)
    repeated = np.unique(hashes[again])
    known = np.isin(hashes, repeated[:0] if train is None else in_training(repeated, n, train, tokenizer))
    kinds[:, n - 2 :][again] = KINDS.index("new repeat")
    kinds[:, n - 2 :][again & known] = KINDS.index("known repeat")
    return kinds


def in_training(hashes: np.ndarray, n: int, train: Any, tokenizer: Any) -> np.ndarray:
    """Which of the hashes (W,) of n-grams occur in the training text, or in `TRAINING_BYTES` of it."""
    seen = np.zeros(len(hashes), dtype=bool)
    before = np.zeros(0, dtype=np.int64)
    for stretch in stretches(train.numbered(train.sample(TRAINING_BYTES)), tokenizer):
        start = stretch.tokens[:1] if stretch.begins else before
        ids = np.concatenate([start, stretch.labels]).astype(np.int64)
        seen |= np.isin(hashes, gram_hashes(ids[None], n))
        before = ids[max(0, len(ids) - (n - 1)) :]
    return hashes[seen]


@torch.no_grad()
def chunked_nats(model: Decoder, sample: TextSample, device: Any, chunk: int | None = None) -> np.ndarray:
    """-ln p (N, T) of the labels in float64, each sequence read from an empty state in chunks of positions."""
    nats = np.zeros(sample.real.shape)
    rows = 16
    with evaluating(model):
        for first in range(0, len(nats), rows):
            here = slice(first, first + rows)
            tokens, labels = (torch.from_numpy(part[here]).to(device) for part in (sample.tokens, sample.labels))
            nats[here] = _read_in_chunks(model, tokens, labels, chunk)
    return np.where(sample.real, nats, 0.0)


def _read_in_chunks(model: Decoder, tokens: Tensor, labels: Tensor, chunk: int | None) -> np.ndarray:
    state, place, parts = model.initial_state(len(tokens)), 0, []
    step = chunk or 64
    while place < tokens.shape[1]:
        logits, state = model(tokens[:, place : place + step], state)
        some = labels[:, place : place + step]
        log_p = torch.log_softmax(logits.double(), -1)
        parts.append(F.nll_loss(log_p.flatten(0, 1), some.flatten(), reduction="none").view(some.shape))
        place += step
        step = chunk or max(1, min(1024, LOGITS // (len(tokens) * logits.shape[2])))
    return torch.cat(parts, 1).cpu().numpy()


def _sums(nats: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums of nats (N, 1) and the numbers (N, 1) of the chosen labels of each sequence."""
    return np.where(chosen, nats, 0.0).sum(1, keepdims=True), chosen.sum(1, keepdims=True)


def _estimate(nats: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> Estimate:
    return _only(ratio_band([0], *_sums(nats, chosen), weights))


def _only(band: Band) -> Estimate:
    return Estimate(band.centre[0], band.low[0], band.high[0])


def _token_class(kind: TokenKind, nats: np.ndarray, kinds: np.ndarray, place: int, weights: np.ndarray) -> TokenClass:
    chosen = kinds == place
    adds = float(nats[chosen].sum() / max(int((kinds >= 0).sum()), 1))
    return TokenClass(kind, int(chosen.sum()), _estimate(nats, chosen, weights), adds)


def _by_position(nats: np.ndarray, real: np.ndarray, edges: Sequence[int], weights: np.ndarray) -> Band:
    """By the edges of stretches of positions."""
    columns = [_sums(nats[:, a:b], real[:, a:b]) for a, b in pairwise([0, *edges])]
    sums, counts = (np.concatenate(part, 1) for part in zip(*columns))
    return ratio_band(edges, sums, counts, weights)


def context_gaps(measured: Sequence[Losses]) -> list[ContextGap]:
    """The gaps between all models that read the same tokens, the better one first."""
    gaps = []
    for place, one in enumerate(measured):
        for other in measured[place + 1 :]:
            if one.result.digest == other.result.digest:
                gaps.append(context_gap(one, other))
    return gaps


def context_gap(one: Losses, other: Losses) -> ContextGap:
    """The gap between two models on the same tokens, and the share of each kind of token."""
    scored = one.kinds >= 0
    better, worse = sorted((one, other), key=lambda losses: losses.nats[scored].sum())
    weights, difference = resampling(len(scored)), worse.nats - better.nats
    gap = _estimate(difference, scored, weights)
    shares: dict[TokenKind, Estimate] = {}
    if gap.low is not None and gap.low > 0:
        total, _ = _sums(difference, scored)
        for place, kind in enumerate(KINDS):
            of_kind, _ = _sums(difference, one.kinds == place)
            shares[kind] = _only(ratio_band([0], of_kind, total, weights))
    return ContextGap(better.result.name, worse.result.name, gap, shares)
