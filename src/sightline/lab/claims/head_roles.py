"""C14: different heads specialise: previous token, syntax, long-range, rare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from sightline.inspect.heads import Head, head_importance, head_scores, mean_outputs
from sightline.inspect.roles import ROLES, HeadScores
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import NextToken, Recipe, fit, held_out, initialised, losses
from sightline.lab.claims.numbers import (
    POSITIVE,
    SHARE,
    in_words,
    mean_of,
    mean_share,
    mean_within,
    of_number,
    placed,
    points_of,
)
from sightline.lab.claims.planted import FIRST, repeats
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.claims.syntax import FOLDER, ArcAgreement, arc_agreement, treebank
from sightline.models.language_model import LanguageModelConfig

SYMBOLS, TAKEN, FURTHER = 16, 0.5, 1.2
LEARNED = 0.1  # of the loss of an even guess


class RoleSizes(NamedTuple):
    """How much is trained and tested."""

    length: int
    steps: int
    seeds: int


FULL, QUICK = RoleSizes(24, 2500, 4), RoleSizes(16, 1200, 1)


class HeadTable(NamedTuple):
    """Of one training: scores of all heads (H,) by role, before and after, and what ablation costs (H,), in nats."""

    names: list[str]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    importance: np.ndarray
    loss: float


def head_roles(effort: Effort) -> ClaimResult:
    """Scores of the heads of a two-layer causal Transformer that learned to continue repeated random symbols.

    The scores are those of `inspect.heads`; long-range is the mean distance of a head in units of what even weights
    would have. Importance is the rise of the loss when a head's output is replaced by its mean. Syntax needs a
    treebank: where SIGHTLINE_DATA names a folder with ud_english_ewt, a two-layer Transformer encoder learns to label
    words with their dependency relations, and the head that agrees best with the arcs of training sentences is compared
    with the best fixed offset on others.

    Rule: a role is taken if in every training some head has a score of 0.5 or more in it, the median head less than
    half of that, and no head of the untrained model half of it; long-range, if some head looks 1.2 times as far as even
    weights would, and the median head and all heads before training do not; syntax, if the interval of the difference
    to the best offset lies above zero. The claim holds if the four roles that it names (previous, syntax, long-range,
    rare) are taken. It does not hold if none is and none of first, duplicate and induction either. Otherwise it
    depends: on the role, and on what the text asks for. If the text was not learned (a loss below a tenth of that of
    an even guess), it is not decided.
    """
    length, steps, seeds = effort.choose(FULL, QUICK)
    seeds = effort.some_seeds(seeds)
    tables = [_table(effort, length, steps, seed) for seed in seeds]
    arcs = arc_agreement(effort)
    return ClaimResult(
        *placed(judge, tables, arcs),
        numbers=_numbers(tables, arcs),
        charts=_charts(tables[0]),
        conditions=(
            f"rows of {length} in which {length // 4} to {length // 2} of {SYMBOLS} symbols are repeated; two layers "
            f"of four heads, width 64; {steps} steps of 32; {len(seeds)} seeds; {effort.conditions()}; treebank: "
            f"{FOLDER if treebank() else 'none'}"
        ),
        limits=(
            "A made text of random symbols and a small model: which roles exist follows from what the text asks for."
            + ("" if arcs else " Syntax was not measured: no treebank (SIGHTLINE_DATA), or the quick form.")
        ),
    )


def _table(effort: Effort, length: int, steps: int, seed: int) -> HeadTable:
    draw = repeats(length, SYMBOLS)
    examples = held_out(draw, seed, 200)
    (tokens,) = examples.inputs
    config = LanguageModelConfig(d_model=64, layers=2, heads=4, dropout=0.0)
    with initialised(seed):
        model = NextToken(config.build(FIRST + SYMBOLS))

    def run() -> torch.Tensor:
        return losses(model, examples)

    before = head_scores(model, tokens, run)
    fit(model, draw, Recipe(steps, 32), seed)
    after = head_scores(model, tokens, run)
    importance = head_importance(model, run, mean_outputs(model, run))
    layers = {name: f"layer {number}" for number, name in enumerate(after, 1)}
    names = [str(head._replace(layer=layers[head.layer])) for head in importance]
    loss = float(run().mean())
    effort.say(f"C14: seed {seed}: loss {loss:.3f}")
    changes = np.array([float(change.mean()) for change in importance.values()])
    return HeadTable(names, _by_role(before, list(importance)), _by_role(after, list(importance)), changes, loss)


def _by_role(scores: dict[str, HeadScores], heads: Sequence[Head]) -> dict[str, np.ndarray]:
    fields = HeadScores._fields
    return {name: np.array([float(getattr(scores[h.layer], name)[h.number]) for h in heads]) for name in fields}


def taken(table: HeadTable, role: str) -> bool:
    """Whether a head of one training took the role, by the rule of `head_roles`."""
    after, before = table.after[role], table.before[role]
    return bool(after.max() >= TAKEN and np.median(after) < after.max() / 2 and before.max() < after.max() / 2)


def far_reaching(table: HeadTable) -> bool:
    """Whether a head of one training looks further than even weights, and the median head and all before do not."""
    after, before = table.after["distance"], table.before["distance"]
    return bool(after.max() >= FURTHER and np.median(after) < FURTHER and before.max() < FURTHER)


def judge(tables: Sequence[HeadTable], arcs: ArcAgreement | None) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `head_roles`, and what was measured in words."""
    even = float(np.log(SYMBOLS))
    if max(table.loss for table in tables) > LEARNED * even:
        worst, even_loss = (of_number(name, f"{value:.2f}") for name, value in _losses(tables).items())
        return "depends", f"Not decided: the text was not learned (a loss of {worst} of {even_loss} nats)."
    roles = {role: all(taken(table, role) for table in tables) for role in ROLES}
    roles["long-range"] = all(far_reaching(table) for table in tables)
    best = {role: mean_share(f"{role}: best head", [table.after[role].max() for table in tables]) for role in ROLES}
    present = [role for role, is_taken in roles.items() if is_taken]
    others = [role for role, is_taken in roles.items() if not is_taken]
    summary = (
        f"roles with a head of their own: {', '.join(present) or 'none'}; without: {', '.join(others) or 'none'} "
        f"(best head: {', '.join(f'{role} {in_words(value)}' for role, value in best.items())})"
    )
    most, middle = (in_words(replace(one, low=None)) for one in _rises(tables))
    summary += f"; without its most important head the loss rose by {most} nats, without the median one {middle}"
    if arcs is not None:
        summary += f"; {arcs.words()}"
    text = summary[0].upper() + summary[1:] + "."
    syntax = arcs is not None and arcs.better
    if syntax and all(roles[role] for role in ("previous", "long-range", "rare")):
        return "holds", text
    if not present and not syntax:
        return "does not hold", text
    return "depends", f"It depends on the role. {text}"


def _numbers(tables: Sequence[HeadTable], arcs: ArcAgreement | None) -> list[ClaimNumber]:
    numbers = []
    for role in (*ROLES, "distance", "entropy"):
        limits = SHARE if role in ROLES else POSITIVE
        numbers.append(mean_within(f"{role}: best head", [table.after[role].max() for table in tables], limits))
        numbers.append(mean_within(f"{role}: median head", [np.median(table.after[role]) for table in tables], limits))
        numbers.append(
            mean_within(f"{role}: best head, untrained", [table.before[role].max() for table in tables], limits)
        )
    numbers += _rises(tables)
    numbers += [ClaimNumber(name, value, unit="nats") for name, value in _losses(tables).items()]
    return numbers + ([] if arcs is None else arcs.numbers())


def _rises(tables: Sequence[HeadTable]) -> list[ClaimNumber]:
    return [
        mean_of("rise of the loss without the most important head", [t.importance.max() for t in tables], "nats"),
        mean_of("rise without the median head", [float(np.median(t.importance)) for t in tables], "nats"),
    ]


def _losses(tables: Sequence[HeadTable]) -> dict[str, float]:
    return {"largest loss": max(table.loss for table in tables), "loss of an even guess": float(np.log(SYMBOLS))}


def _charts(table: HeadTable) -> list[ClaimChart]:
    roles = [points_of(role, list(table.after[role][:, None])) for role in ROLES]
    lost = [points_of("loss without the head", list(table.importance[:, None]))]
    return [
        ClaimChart("Scores of the heads", "", "score", roles, categories=table.names),
        ClaimChart("What each head is needed for", "", "rise of the loss (nats)", lost, categories=table.names),
    ]
