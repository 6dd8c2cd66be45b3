"""Agreement of a trained model's heads with the dependency arcs of a treebank, beside the best fixed offset.

Heads and offsets are chosen on every second sentence and measured on the others, so that the best of many heads is not
the luckiest. Intervals are percentiles of a bootstrap of sentences (Efron 1979), the same ones for a head and its
baseline. The p-value of a difference is that of Fisher's randomization test (1935): where a head is only as good as the
offset, the two could change places in any sentence. It is right for any number of sentences, unlike a bootstrap of few.
P-values are corrected over the relations by Holm's procedure (1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.inspect.arcs import Parsed, arc_hits, arc_relations, best_offset, offset_hits, read_arcs
from sightline.inspect.head_calls import is_causal
from sightline.inspect.head_report import ArcRelation, ArcShare, SyntaxAgreement
from sightline.inspect.heads import heads_of
from sightline.inspect.opened_model import OpenedModel
from sightline.inspect.words import tokens_of_words, word_weights
from sightline.lab.stats import holm

RESAMPLES = 10_000  # so that a p-value can be below 5 % after a correction over 250 relations
ALL_SIGNS = 13  # sentences of which all exchanges are tried, and not as many random ones
FEWEST_ARCS = 20  # of a relation, among the sentences that heads are chosen on and among those that are measured
LONGEST = 200  # words of a sentence


class _Sentence(NamedTuple):
    """The hits of one sentence: for each arc whether each head finds it (H, arcs)."""

    parsed: Parsed
    hits: np.ndarray


@torch.no_grad()
def syntax_agreement(
    task: Any, treebank: Path, columns: Mapping[str, Sequence[int]], limit: int | None = None
) -> SyntaxAgreement:
    """How often each head's heaviest word is the syntactic head, by relation, on sentences of a treebank.

    task: a task that reads texts; columns: of each layer, by the path of its probe, the indices of its heads in the
        report. Layers over other sequences than the text are left out, and so are sentences whose words the tokens do
        not match

    Attention from word to word is that of `words.word_weights`; a word's weight on itself does not count. Where every
    layer hides later words, as in a language model, only arcs to earlier words count, for heads and offsets.

    Raises:
        InputError: "--dependencies: no sentence of ud.conllu has …"; what `arcs.read_arcs` and the task raise.
    """
    parsed = [one for one in read_arcs(treebank, limit) if 2 <= len(one.words) <= LONGEST]
    sentences, order, left_out, earlier = [], [], 0, False
    for sentence in parsed:
        weights = _weights(task, sentence)
        if not weights:
            left_out += 1
            continue
        order = [index for name in weights for index in columns[name]]
        if earlier := all(is_causal(task.stored_model, name) for name in weights):
            seen = [head if head < place else -1 for place, head in enumerate(sentence.heads)]
            sentence = sentence._replace(heads=seen)
        sentences.append(_Sentence(sentence, arc_hits(torch.cat(list(weights.values())), sentence)))
    if len(sentences) < 4:
        raise InputError(
            f"{len(sentences)} of {len(parsed)} sentences of {treebank} have tokens that match their words, and a "
            "layer of heads over them: at least 4 are needed",
            where="--dependencies",
        )
    chosen, measured = sentences[0::2], sentences[1::2]
    names = [None, *sorted({relation for one in sentences for relation in arc_relations(one.parsed)})]
    relations = [_relation(name, chosen, measured, order) for name in names if _enough(name, chosen, measured)]
    relations = _corrected(relations)
    return SyntaxAgreement(treebank.name, len(measured), len(chosen), left_out, earlier, relations)


def _weights(task: Any, sentence: Parsed) -> dict[str, Tensor]:
    """The weights from word to word (H, N, N) of every layer over the text; empty where tokens and words differ."""
    try:
        opened = task.open_input(sentence.text)
    except InputError:  # a sentence that the model cannot read, such as one that is too long
        return {}
    look = OpenedModel(task.stored_model, opened, 1)
    covers = tokens_of_words(sentence.text, sentence.spans, opened.source.pieces[opened.source.added :])
    if covers is None:
        return {}
    covers = torch.nn.functional.pad(covers, (opened.source.added, 0))
    with evaluating(task.stored_model):
        weights, _, _ = look.recorded
    size = (covers.shape[1],) * 2
    own = [name for name in heads_of(task.stored_model) if name in weights and look.place(name).columns == "source"]
    return {
        name: word_weights(weights[name][0], covers.to(weights[name].device))
        for name in own
        if look.place(name).kind == "self" and tuple(weights[name].shape[2:]) == size
    }


def _enough(relation: str | None, *parts: Sequence[_Sentence]) -> bool:
    return all(sum(_of(one, relation).sum() for one in part) >= FEWEST_ARCS for part in parts)


def _of(one: _Sentence, relation: str | None) -> np.ndarray:
    """Which arcs of a sentence have the relation; None = all."""
    return np.array([relation in (None, name) for name in arc_relations(one.parsed)], bool)


def _relation(
    relation: str | None, chosen: Sequence[_Sentence], measured: Sequence[_Sentence], order: Sequence[int]
) -> ArcRelation:
    offset = best_offset([one.parsed for one in chosen], relation)
    best = int(np.stack([one.hits[:, _of(one, relation)].sum(1) for one in chosen]).sum(0).argmax())
    counts = np.array([_of(one, relation).sum() for one in measured], float)  # (N,)
    hits = np.stack([one.hits[:, _of(one, relation)].sum(1) for one in measured]).astype(float)  # (N, H)
    base = np.array([offset_hits(one.parsed, offset)[_of(one, relation)].sum() for one in measured], float)
    low, high = bootstrap_shares(hits - base[:, None], counts)
    shares = (hits.sum(0) / counts.sum()).tolist()
    of_offset = float(base.sum() / counts.sum())
    heads = [
        ArcShare(index, share, share - of_offset, float(low[place]), float(high[place]))
        for place, (index, share) in enumerate(zip(order, shares, strict=True))
    ]
    p_value = randomization_p(hits[:, best] - base)
    return ArcRelation(relation or "", int(counts.sum()), offset, of_offset, order[best], heads, p_value)


def _corrected(relations: Sequence[ArcRelation]) -> list[ArcRelation]:
    """The relations with p-values that are corrected over them; that of all arcs together is one by itself."""
    known = {place: one.p_value for place, one in enumerate(relations) if one.relation and one.p_value is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return [replace(one, p_value=corrected.get(place, one.p_value)) for place, one in enumerate(relations)]


def bootstrap_shares(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % intervals (K,) of Σ sums / Σ counts of sums (N, K) and counts (N,) over resampled items."""
    times = _resampled(len(counts))
    shares = (times @ sums) / np.maximum(times @ counts, 1.0)[:, None]  # (R, K)
    low, high = np.percentile(shares, [2.5, 97.5], axis=0)
    return low, high


def randomization_p(differences: np.ndarray) -> float:
    """The two-sided p-value of the sum of differences (N,), each of which is as likely with the other sign by chance.

    Of up to `ALL_SIGNS` differences that are not 0 it is exact, otherwise over `RESAMPLES` random signs.
    """
    nonzero = differences[differences != 0.0]
    count = len(nonzero)
    exact = count <= ALL_SIGNS
    signs = (
        1.0 - 2.0 * (np.arange(1 << count)[:, None] >> np.arange(count) & 1)
        if exact
        else np.random.default_rng(derive(0, "signs")).choice([-1.0, 1.0], (RESAMPLES, count))
    )
    extreme = int((np.abs(signs @ nonzero) >= abs(float(nonzero.sum())) - 1e-9).sum())
    return extreme / len(signs) if exact else (extreme + 1) / (RESAMPLES + 1)


@lru_cache(maxsize=1)
def _resampled(count: int) -> np.ndarray:
    """How often each of so many items is in each resample, (R, N)."""
    random = np.random.default_rng(derive(0, "sentences"))
    return random.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)
