"""What each test item of Stanford Sentiment shows about a model's attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.data.labelled.part import LabelledPart
from sightline.data.spaced import spaced
from sightline.inspect.alternatives import adversarial_attention, permuted_attention, pooled_attention
from sightline.inspect.faithfulness import gradient_importance, kendall, leave_one_out
from sightline.inspect.retrained import compare_adversary
from sightline.tasks.classification.task import ClassificationTask
from sst_readout import pooled_readout

Items = dict[str, np.ndarray]  # by test: a number for each item (N,), or a map (N, T)

PERMUTATIONS, BOUND, STARTS, STEPS = 100, 0.01, 5, 100
TOP = 0.1  # share of an item's words whose overlap is counted, at least one


class ItemBatch(NamedTuple):
    """Some items, and their numbers in the part."""

    tokens: Tensor  # (B, T)
    mask: Tensor  # (B, T)
    rows: list[int]


def batches_of(task: ClassificationTask, part: LabelledPart, limit: int | None = None) -> Iterator[ItemBatch]:
    """All items of a part, or some that are evenly spaced, those of similar length together."""
    chosen = list(spaced(len(part), limit or len(part)))
    for batch in task.trained.batches(part.select(chosen), shuffle=False):
        mask = torch.ones_like(batch.source, dtype=torch.bool) if batch.source_mask is None else batch.source_mask
        yield ItemBatch(batch.source, mask, [chosen[row] for row in batch.rows])


def items_of(task: ClassificationTask, part: LabelledPart) -> Items:
    """Whether each answer is right, and the predicted class."""
    predicted = task.trained.scores(part).argmax(1)
    return {"correct": predicted == part.numbers(task.classes), "predicted": predicted}


def attention_items(task: ClassificationTask, part: LabelledPart, seed: int, limit: int | None = None) -> Items:
    """Attention beside gradients and leaving out, and with other weights; NaN of items that were left out by `limit`.

    tau_between is τ of gradients with leaving out, for comparison; maps (N, T) are the weights themselves.
    """
    batches = list(batches_of(task, part, limit))
    names = ("tau_gradient", "tau_leave_one_out", "tau_between", "top_gradient", "top_leave_one_out", "permuted",
             "adversarial")  # fmt: skip
    items = {name: np.full(len(part), np.nan) for name in names}
    items["maps"] = np.zeros((len(part), max(batch.tokens.shape[1] for batch in batches)))
    generator = torch.Generator().manual_seed(derive(seed, "other weights") % 2**63)
    for tokens, mask, rows in batches:
        own = pooled_attention(task.model, tokens, mask).weights
        gradient = gradient_importance(task.model, tokens, mask)
        without = leave_one_out(task.model, tokens, mask)
        readout, x = pooled_readout(task.model, tokens, mask)  # pyrefly: ignore[bad-argument-type]
        found = {
            "tau_gradient": kendall(own, gradient, mask),
            "tau_leave_one_out": kendall(own, without, mask),
            "tau_between": kendall(gradient, without, mask),
            "top_gradient": overlap(own, gradient, mask),
            "top_leave_one_out": overlap(own, without, mask),
            "permuted": permuted_attention(readout, x, mask, generator, PERMUTATIONS).numpy(),
            "adversarial": adversarial_attention(
                readout, x, mask, generator, bound=BOUND, starts=STARTS, steps=STEPS
            ).divergence.numpy(),
        }
        for name, values in found.items():
            items[name][rows] = values
        items["maps"][rows, : own.shape[1]] = own.numpy()
    return items


def adversary_items(base: ClassificationTask, adversary: ClassificationTask, part: LabelledPart) -> Items:
    """How an adversary answers and attends beside the model that it imitates."""
    items = {name: np.full(len(part), np.nan) for name in ("change", "divergence", "agrees")}
    for tokens, mask, rows in batches_of(base, part):
        for name, values in compare_adversary(base.model, adversary.model, tokens, mask)._asdict().items():
            items[name][rows] = values.numpy()
    return items


def overlap(first: Tensor, second: Tensor, mask: Tensor) -> np.ndarray:
    """The share (B,) of a row's most important tenth of words, at least one, that two importances have in common."""
    shares = []
    for a, b, real in zip(first, second, mask, strict=True):
        count = max(1, round(TOP * int(real.sum())))
        top = [set(one[real].topk(count).indices.tolist()) for one in (a, b)]
        shares.append(len(top[0] & top[1]) / count)
    return np.array(shares)
