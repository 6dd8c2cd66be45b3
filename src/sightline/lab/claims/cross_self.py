"""C20: most modern architectures use both self- and cross-attention: the encoder-decoder with each removed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sightline.core.digits import and_joined
from sightline.lab.claims.assembled import LAYERS, WIDTH, DecoderOnly, encoder_decoder
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.contests import Contest, accuracy_task, contest, paired, standing, unit_of
from sightline.lab.claims.fitting import Recipe
from sightline.lab.claims.numbers import in_words, placed
from sightline.lab.claims.planted import FIRST, recall, translation
from sightline.lab.claims.results import ClaimOutcome, ClaimResult


class AttentionKindSizes(NamedTuple):
    """How much is trained and tested."""

    longest: int
    pairs: int
    steps: int
    seeds: int


FULL, QUICK = AttentionKindSizes(10, 6, 600, 2), AttentionKindSizes(6, 4, 250, 2)
BOTH, NO_CROSS, NO_OWN, DECODER = "both", "no cross-attention", "no self-attention", "decoder only"


def cross_and_self(effort: Effort) -> ClaimResult:
    """A two-layer Transformer encoder-decoder, the same without cross-attention and without self-attention.

    Positions are added to the embeddings, so that they do not go with self-attention. Beside them a causal Transformer
    that reads source and target as one sequence has no cross-attention and no encoder: today's language models. Tasks:
    the made translation of C7, and recall, a list of pairs whose last symbol asks for one (accuracy).

    Rule: a kind of attention is needed on a task if the model without it is worse than the one with both in paired
    differences over seeds and test examples, at 5 % after Holm's correction. A task counts if the best model has an
    accuracy of 0.5. The claim holds if both kinds are needed on every task that counts and the model that is only a
    decoder is worse on every one too. It does not hold if no task that counts needs both kinds. Otherwise it depends.
    """
    longest, pairs, steps, seeds = effort.choose(FULL, QUICK)
    seeds = effort.some_seeds(seeds)
    symbols, listed = FIRST + 16, FIRST + 32 + 8
    tasks = [
        (accuracy_task("translation", translation(longest)), symbols, symbols),
        (accuracy_task("recall", recall(pairs)), listed, 8),
    ]
    recipe = Recipe(steps, 32)
    contests = [
        contest(
            task,
            {
                BOTH: partial(encoder_decoder, *sizes),
                NO_CROSS: partial(encoder_decoder, *sizes, cross=False),
                NO_OWN: partial(encoder_decoder, *sizes, own_of_encoder=False, own_of_decoder=False),
                DECODER: partial(DecoderOnly, *sizes),
            },
            recipe,
            seeds,
            effort.say,
        )
        for task, *sizes in tasks
    ]
    numbers = []
    for one in contests:
        numbers += one.numbers() + one.differences(BOTH)
    return ClaimResult(
        *placed(judge, contests),
        numbers=numbers,
        charts=[one.chart() for one in contests],
        conditions=(
            f"{LAYERS} layers of width {WIDTH}; {steps} steps of {recipe.batch}; {len(seeds)} seeds; "
            f"{effort.conditions()}"
        ),
        limits="What small models need on two made tasks; how many architectures use what is not measured.",
    )


def judge(contests: Sequence[Contest]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `cross_and_self`, and what was measured in words."""
    counted = [one for one in contests if one.learned]
    parts = [f"{one.task} was not learned and does not count" for one in contests if not one.learned]
    cross, own, only = [], [], []
    for one in counted:
        pairs = one.pairs(BOTH)
        for needed, name in ((cross, NO_CROSS), (own, NO_OWN), (only, DECODER)):
            if standing(pairs[name], name) == "worse":
                needed.append(one.task)
        each = ", ".join(f"{name} {in_words(paired(one, pairs[name], name))}" for name in (NO_CROSS, NO_OWN, DECODER))
        parts.append(f"{one.task}, accuracy less that with both: {each} {unit_of(one.metric)}".strip())
    summary = "; ".join(parts) + "."
    if not counted:
        return "depends", f"Not decided: {summary}"
    needs_both = [task for task in cross if task in own]
    if len(needs_both) == len(only) == len(counted):
        return "holds", f"Both were needed, and a decoder alone did worse: {summary}"
    if not needs_both:
        return "does not hold", f"No task needed both: {summary}"
    reasons = []
    if len(needs_both) < len(counted):
        reasons.append(f"both were needed for {and_joined(needs_both)} only")
    if len(only) < len(counted):
        did = [one.task for one in counted if one.task not in only]
        reasons.append(f"a decoder alone, without cross-attention, was not shown to be worse at {and_joined(did)}")
    return "depends", f"It depends: {'; '.join(reasons)}. {summary[0].upper()}{summary[1:]}"
