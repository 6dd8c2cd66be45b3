"""Agreement of attention heads with the dependency arcs of a treebank, beside the best fixed offset."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.inspect.arcs import Parsed, arc_hits, best_offset, offset_hits, read_arcs
from sightline.inspect.record import recorded_attention
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Draw, Examples, Recipe, answers, fit, initialised
from sightline.lab.claims.numbers import in_words
from sightline.lab.claims.results import ClaimNumber
from sightline.lab.stats import compare_items
from sightline.models.encoder_model import EncoderConfig

FOLDER, TRAIN, TEST = "ud_english_ewt", "train", "dev"
LONGEST, UNKNOWN = 24, 1
HEAD, OFFSET = "head", "offset"


class ArcAgreement(NamedTuple):
    """Of held-out sentences: shares of arcs that the best head and the best offset find, and of right labels."""

    head: ClaimNumber
    offset: ClaimNumber
    difference: ClaimNumber
    labels: float

    @property
    def better(self) -> bool:
        """Whether the interval of the difference lies above zero."""
        return self.difference.low is not None and self.difference.low > 0.0

    def words(self) -> str:
        """The measurement as part of a sentence."""
        return (
            f"the best head found {in_words(self.head)} of the dependency arcs, the best fixed offset "
            f"{in_words(self.offset)}"
        )

    def numbers(self) -> list[ClaimNumber]:
        """All numbers."""
        return [self.head, self.offset, self.difference, ClaimNumber("relations labelled right", self.labels)]


def treebank() -> Path | None:
    """The folder of the treebank in the folder that SIGHTLINE_DATA names, None where it is not there."""
    folder = Path(os.environ.get("SIGHTLINE_DATA", "")) / FOLDER
    return folder if os.environ.get("SIGHTLINE_DATA") and folder.is_dir() else None


def arc_agreement(effort: Effort) -> ArcAgreement | None:
    """Train a labeller of dependency relations and compare its heads with arcs; None without data or in quick form."""
    folder = treebank()
    if folder is None or effort.quick:
        return None
    train, test = (_sentences(folder, part) for part in (TRAIN, TEST))
    return agreement(train[:4000], test[:600], Recipe(1200, 64, 2e-3), effort)


def _sentences(folder: Path, part: str) -> list[Parsed]:
    file = next(iter(sorted(folder.glob(f"*{part}*.conllu*"))), folder / f"{part}.conllu")
    return [one for one in read_arcs(file) if 3 <= len(one.words) <= LONGEST]


def agreement(train: Sequence[Parsed], test: Sequence[Parsed], recipe: Recipe, effort: Effort) -> ArcAgreement:
    """Train on `train`, choose the best head and offset there, and compare them on `test`."""
    often = Counter(word.lower() for one in train for word in one.words)
    words = {word: number for number, (word, count) in enumerate(often.most_common(), UNKNOWN + 1) if count > 1}
    labels = {label: number for number, label in enumerate(sorted({x for one in train for x in one.relations}))}
    rows, checked = (_examples(part, words, labels) for part in (train, test))
    with initialised(effort.seed):
        model = EncoderConfig(d_model=64, layers=2, heads=4).build(len(words) + UNKNOWN + 1, len(labels))
    effort.say(f"C14: syntax: {len(train)} sentences")
    fit(model, _drawn(rows), recipe, effort.seed)
    maps = {part: _maps(model, of_part.inputs) for part, of_part in (("train", _first(rows, 600)), ("test", checked))}
    chosen_on = [arc_hits(weights, one) for weights, one in zip(maps["train"], train)]
    best = int(np.concatenate(chosen_on, 1).mean(1).argmax())
    offset = best_offset(train)
    hits = [(arc_hits(weights, one)[best], offset_hits(one, offset)) for weights, one in zip(maps["test"], test)]
    items = {
        name: np.array([[[pair[place].sum(), len(pair[place])] for pair in hits]], float)
        for place, name in enumerate((HEAD, OFFSET))
    }
    compared = compare_items(items, resamples=2000)
    (pair,) = compared.pairs
    sign, change = (1.0 if pair.first == HEAD else -1.0), pair.difference
    ends = sorted(sign * end for end in (change.low, change.high) if end is not None)
    number = len(items[HEAD][0])
    head, of_offset = (
        ClaimNumber(
            label, compared.scores[name].mean or 0.0, compared.scores[name].low, compared.scores[name].high, n=number
        )
        for label, name in (("arcs found by the best head", HEAD), (f"arcs found by the offset {offset}", OFFSET))
    )
    difference = ClaimNumber("best head less best offset", sign * (change.mean or 0.0), ends[0], ends[-1], n=number)
    right = answers(model, checked)
    return ArcAgreement(head, of_offset, difference, float(right.sum() / checked.counted.sum()))


def _examples(sentences: Sequence[Parsed], words: dict[str, int], labels: dict[str, int]) -> Examples:
    tokens, targets = (torch.zeros(len(sentences), LONGEST, dtype=torch.long) for _ in range(2))
    for row, one in enumerate(sentences):
        tokens[row, : len(one.words)] = torch.tensor([words.get(word.lower(), UNKNOWN) for word in one.words])
        targets[row, : len(one.words)] = torch.tensor([labels.get(label, 0) for label in one.relations])
    mask = tokens > 0
    return Examples((tokens, mask), targets, mask)


def _drawn(rows: Examples) -> Draw:
    def draw(generator: torch.Generator, count: int) -> Examples:
        chosen = torch.randint(len(rows.labels), (count,), generator=generator)
        return Examples(tuple(x[chosen] for x in rows.inputs), rows.labels[chosen], rows.counted[chosen])

    return draw


def _first(rows: Examples, count: int) -> Examples:
    return Examples(tuple(x[:count] for x in rows.inputs), rows.labels[:count], rows.counted[:count])


@torch.no_grad()
def _maps(model: torch.nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The weights of all heads of all layers, (N, layers · H, T, T)."""
    model.eval()
    with recorded_attention(model) as weights:
        model(*inputs)
    return torch.cat(list(weights.values()), 1)
