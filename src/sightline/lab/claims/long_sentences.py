"""C7: an encoder-decoder without attention loses the beginning of long sentences; with attention it does not."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Literal, NamedTuple

import numpy as np
import torch

from sightline.core.mixer import SequenceMixer
from sightline.core.sourced import sourced
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Examples, Recipe, answers, fit, held_out, initialised
from sightline.lab.claims.numbers import SHARE, curve_of, in_words, mean_of, mean_share, of_number, placed
from sightline.lab.claims.planted import FIRST, asked_pair, recall, source_places, translation
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder
from sightline.models.encoder import RecurrentEncoder
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import Residual, Stack
from sightline.parts.front_ends import build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.norm import make_norm
from sightline.parts.token_embedding import TokenEmbedding

CELLS: tuple[Literal["rnn", "lstm", "gru"], ...] = ("rnn", "lstm", "gru")
QUARTERS, THIRDS = 4, 3
LOSS_OF_LENGTH = 0.10  # shortest less longest quarter, from which long sentences are lost
LOSS_OF_BEGINNING = 0.05  # last less first third of the source, from which the beginning is lost
SHORT, LONG = "accuracy, shortest quarter", "accuracy, longest quarter"
FIRST_THIRD, LAST_THIRD = "first third of long sources", "last third of long sources"
LEARNED = 0.90  # accuracy of attention in the shortest quarter, below which a cell is not judged


class LengthQuality(NamedTuple):
    """Accuracies of one kind of model on one task, a row for each seed."""

    task: str
    cell: str
    attention: bool
    by_length: np.ndarray  # (seeds, quarters of lengths), shortest first
    by_place: np.ndarray  # (seeds, thirds of the source), of the longest quarter

    @property
    def learned(self) -> float:
        """Accuracy in the shortest quarter."""
        return float(self.by_length[:, 0].mean())

    @property
    def lost_with_length(self) -> np.ndarray:
        """Shortest less longest quarter, (seeds,)."""
        return self.by_length[:, 0] - self.by_length[:, -1]

    @property
    def lost_at_beginning(self) -> np.ndarray:
        """Last less first third of the source, (seeds,)."""
        return self.by_place[:, -1] - self.by_place[:, 0]


def long_sentences(effort: Effort) -> ClaimResult:
    """Accuracy by length and by place in the source, of recurrent encoder-decoders that differ in attention alone.

    One recurrent layer reads the source from left to right; its final state starts a decoder layer of the same cell.
    With attention the decoder's output attends to the encoder's outputs with one head (after the recurrence, as in
    Luong et al. 2015). Two tasks, on lengths drawn evenly: a made translation of random symbols into the same order of
    pairs, and recall, a list of pairs of which the last symbol asks for one. The decoder reads the right target so far.

    Rule: a model loses long sentences if the accuracy in the longest quarter of lengths is 0.10 or more below that in
    the shortest, and loses their beginning if in the longest quarter the first third of the source is 0.05 or more
    below the last third. A cell is judged on a task if with attention it has an accuracy of 0.90 in the shortest
    quarter. The claim holds if in every judged pair the model without attention does both and the one with attention
    neither. It does not hold if no model without attention loses long sentences. Otherwise it depends.
    """
    qualities = [
        _measure(effort, task, cell, attention)
        for task in ("translation", "recall")
        for cell in CELLS
        for attention in (False, True)
    ]
    sizes = effort.choose(FULL, QUICK)
    return ClaimResult(
        *placed(judge, qualities),
        numbers=_numbers(qualities),
        charts=_charts(qualities, sizes),
        conditions=(
            f"made translation of 2 to {sizes.longest} symbols and recall of 2 to {sizes.pairs} pairs; width "
            f"{sizes.width}, {sizes.steps} steps of 64; {sizes.seeds} seeds; {effort.conditions()}"
        ),
        limits="Small models on made tasks, with the right target so far; no real text and no search.",
    )


class SentenceSizes(NamedTuple):
    """How much is trained and tested."""

    longest: int
    pairs: int
    width: int
    steps: int
    seeds: int
    tested: int


FULL, QUICK = SentenceSizes(20, 10, 64, 700, 2, 5000), SentenceSizes(12, 8, 48, 400, 1, 4000)


def build(cell: Literal["rnn", "lstm", "gru"], attention: bool, width: int, tokens: int, outputs: int) -> SequenceModel:
    """A recurrent encoder-decoder; `attention` adds one residual layer of it to the decoder, and nothing else."""
    encoder = RecurrentEncoder(build_front_end(tokens, width), Stack([MIXERS[cell]().build(width)]))
    layers: list[SequenceMixer] = [MIXERS[cell](d_summary=encoder.d_summary).build(width)]
    if attention:
        cross = MIXERS["cross"](heads=1, d_memory=encoder.d_memory).build(width)
        layers.append(Residual(cross, make_norm("rms", width)))
    return SequenceModel(encoder, Decoder(TokenEmbedding(outputs, width), Stack(layers), TokenHead(width, outputs)))


def _measure(effort: Effort, task: str, cell: Literal["rnn", "lstm", "gru"], attention: bool) -> LengthQuality:
    sizes = effort.choose(FULL, QUICK)
    by_length, by_place = [], []
    for seed in effort.some_seeds(sizes.seeds):
        effort.say(f"C7: {task}, {cell}, {'with' if attention else 'without'} attention, seed {seed}")
        if task == "translation":
            draw, tokens, outputs = translation(sizes.longest), FIRST + 16, FIRST + 16
        else:
            draw, tokens, outputs = recall(sizes.pairs), FIRST + 32 + 8, 8
        with initialised(seed):
            model = build(cell, attention, sizes.width, tokens, outputs)
        fit(model, draw, Recipe(sizes.steps), seed)
        examples = held_out(draw, effort.seed, sizes.tested)
        right = answers(model, examples)
        read = translation_quality if task == "translation" else recall_quality
        of_length, of_place = read(examples, right, sizes.longest if task == "translation" else sizes.pairs)
        by_length.append(of_length)
        by_place.append(of_place)
    return LengthQuality(task, cell, attention, np.array(by_length), np.array(by_place))


def _part(value: torch.Tensor, low: int, high: torch.Tensor | int, parts: int) -> torch.Tensor:
    """Which of `parts` equal parts of [low, high] each value is in."""
    return ((value - low) * parts // (high - low + 1)).clamp(0, parts - 1)


def translation_quality(examples: Examples, right: torch.Tensor, longest: int) -> tuple[list[float], list[float]]:
    """Accuracies by quarter of the length, and by third of the place in the source in the longest quarter."""
    mask = examples.counted
    length = mask.sum(1, keepdim=True)
    quarter = _part(length, 2, longest, QUARTERS).expand_as(mask)
    # A symbol without a partner stays in place: only the last one of an odd length.
    third = _part(torch.minimum(source_places(longest), length - 1), 0, length - 1, THIRDS)
    last = mask & (quarter == QUARTERS - 1)
    return (
        [_share(right, mask & (quarter == part)) for part in range(QUARTERS)],
        [_share(right, last & (third == part)) for part in range(THIRDS)],
    )


def recall_quality(examples: Examples, right: torch.Tensor, longest: int) -> tuple[list[float], list[float]]:
    """Accuracies by quarter of the number of pairs, and by third of the pair that is asked for in the longest."""
    pairs, asked = asked_pair(examples)
    right, quarter, third = right[:, 0], _part(pairs, 2, longest, QUARTERS), _part(asked, 0, pairs - 1, THIRDS)
    last = quarter == QUARTERS - 1
    return (
        [_share(right, quarter == part) for part in range(QUARTERS)],
        [_share(right, last & (third == part)) for part in range(THIRDS)],
    )


def _share(right: torch.Tensor, chosen: torch.Tensor) -> float:
    return float((right & chosen).sum() / chosen.sum().clamp(min=1))


def judge(qualities: Sequence[LengthQuality]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `long_sentences`, and what was measured in words."""
    with_attention = {(one.task, one.cell): one for one in qualities if one.attention}
    judged = _judged(qualities)
    if not judged:
        places = [("numbers", _name(one, SHORT), "value") for one in with_attention.values()]
        best = sourced(f"{max(one.learned for one in with_attention.values()):.2f}", *places, how="most")
        return "depends", (
            f"Not decided: no model with attention learned a task (at most {best} of short sentences were right)."
        )
    losing = [(a, b) for a, b in judged if _loses_length(a)]
    if not losing:
        return "does not hold", "No model without attention lost long sentences: " + _lost(judged)
    beginning = [a for a, _ in losing if _loses_beginning(a)]
    attentive = [b for _, b in judged if _loses_length(b) or _loses_beginning(b)]
    if len(losing) == len(judged) and len(beginning) == len(losing) and not attentive:
        return "holds", "Every model without attention lost long sentences and their beginning, none with it: " + _lost(
            judged
        )
    lost, of_all = _counted(losing, judged, (SHORT, LONG))
    begun, _ = _counted(beginning, judged, (FIRST_THIRD, LAST_THIRD))
    reasons = [f"without attention {lost} of {of_all} models lost long sentences"]
    reasons.append(f"{begun} of them the beginning ({_named(beginning) or 'none'})")
    if attentive:
        reasons.append(f"with attention {_named(attentive)} lost them too")
    left = [
        f"{task}, {cell}" for task, cell in with_attention if (task, cell) not in {(a.task, a.cell) for a, _ in judged}
    ]
    if left:
        reasons.append(f"not judged, as attention did not learn it: {'; '.join(left)}")
    return "depends", f"It depends on the task and the cell: {'; '.join(reasons)}. {_lost(judged)}"


def _judged(qualities: Sequence[LengthQuality]) -> list[tuple[LengthQuality, LengthQuality]]:
    """The models without attention, each beside the one with it, where that learned the task."""
    with_attention = {(one.task, one.cell): one for one in qualities if one.attention}
    pairs = [(one, with_attention[one.task, one.cell]) for one in qualities if not one.attention]
    return [(one, other) for one, other in pairs if other.learned >= LEARNED]


def _loses_length(one: LengthQuality) -> bool:
    return float(one.lost_with_length.mean()) >= LOSS_OF_LENGTH


def _loses_beginning(one: LengthQuality) -> bool:
    return float(one.lost_at_beginning.mean()) >= LOSS_OF_BEGINNING


def _named(models: Sequence[LengthQuality]) -> str:
    return "; ".join(f"{one.task}, {one.cell}" for one in models)


def _counted(some: Sized, judged: Sequence[tuple[LengthQuality, LengthQuality]], parts: Sequence[str]) -> list[str]:
    """How many of the judged models without attention, by these numbers of theirs, and how many are judged."""
    places = [[("numbers", _name(one, part), "value") for one, _ in judged] for part in parts]
    of_all = sourced(str(len(judged)), *places[0], how="count")
    return [sourced(str(len(some)), *(place for each in places for place in each), how="derived"), of_all]


def _falls(judged: Sequence[tuple[LengthQuality, LengthQuality]]) -> list[ClaimNumber]:
    """The fall of accuracy with length, averaged over the judged pairs, without attention and with it."""
    names = [f"all judged, {how} attention: fall from short to long" for how in ("without", "with")]
    lost = [[pair[side].lost_with_length for pair in judged] for side in (0, 1)]
    return [mean_of(name, np.concatenate(each)) for name, each in zip(names, lost, strict=True)] if judged else []


def _lost(judged: Sequence[tuple[LengthQuality, LengthQuality]]) -> str:
    """The falls of accuracy with length in words."""
    without, attentive = _falls(judged)
    trainings = of_number(without.name, str(without.n), "n")
    return (
        f"From short to long sentences accuracy fell by {in_words(without)} without attention and by "
        f"{in_words(attentive)} with it (means over {trainings} trainings of either kind)."
    )


def _name(one: LengthQuality, part: str) -> str:
    return f"{one.task}, {one.cell}, {'with' if one.attention else 'without'} attention: {part}"


def _numbers(qualities: Sequence[LengthQuality]) -> list[ClaimNumber]:
    numbers = []
    for one in qualities:
        numbers += [
            mean_share(_name(one, SHORT), one.by_length[:, 0]),
            mean_share(_name(one, LONG), one.by_length[:, -1]),
            mean_share(_name(one, FIRST_THIRD), one.by_place[:, 0]),
            mean_share(_name(one, LAST_THIRD), one.by_place[:, -1]),
        ]
    return numbers + _falls(_judged(qualities))


def _charts(qualities: Sequence[LengthQuality], sizes: SentenceSizes) -> list[ClaimChart]:
    charts = []
    for task, longest in (("translation", sizes.longest), ("recall", sizes.pairs)):
        models = [one for one in qualities if one.task == task]
        labels = [f"{one.cell}{' + attention' if one.attention else ''}" for one in models]
        middles = [2 + (longest - 1) * (part + 0.5) / QUARTERS for part in range(QUARTERS)]
        unit = "symbols" if task == "translation" else "pairs"
        by_length = [curve_of(label, middles, one.by_length, SHARE) for label, one in zip(labels, models)]
        by_place = [curve_of(label, [1, 2, 3], one.by_place, SHARE) for label, one in zip(labels, models)]
        charts.append(
            ClaimChart(f"{task}: accuracy by length", f"length of the source ({unit})", "accuracy", by_length)
        )
        charts.append(
            ClaimChart(f"{task}: accuracy by place in long sources", "third of the source", "accuracy", by_place)
        )
    return charts
